// specialise(): binds a graph's inputs to concrete shapes, and some to values.
#pragma once

#include <span>

#include "graph/graph.h"

namespace naru {

/// What one graph input is bound to.
struct InputBinding {
  Type type;     ///< static for tensors
  Tensor value;  ///< defined when the input's value is part of the specialisation
  bool operator==(const InputBinding& other) const;
};

/// Checks that a value of type `bound` may feed `declared`: same kind, element type and rank, equal
/// known dimensions. @throws Error InvalidArgument naming the value, what was got and expected.
void check_binding(const Value& declared, const Type& bound);

/// The graph with these inputs: types inferred exactly, everything computable from shapes and bound
/// values folded, dead nodes dropped. The list of inputs stays as it is.
/// @throws Error InvalidArgument when a binding contradicts the declared input type.
Graph specialise(const Graph& graph, std::span<const InputBinding> bindings);

}  // namespace naru
