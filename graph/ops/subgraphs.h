// What operators with sub-graphs share: types that iterations widen, slices put together.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "graph/op_def.h"

namespace naru {

/// Finds the types of values that a body takes from one iteration to the next: a dimension that an
/// iteration changes becomes open, once and for all.
class CarriedTypes {
 public:
  CarriedTypes(InferContext& ctx, std::vector<Type> initial)
      : ctx_(ctx), types_(std::move(initial)), any_(types_.size(), false) {}

  const std::vector<Type>& types() const { return types_; }
  /// Takes in what one iteration made of each value. Returns true when a type got wider: the body
  /// must then be inferred again.
  bool widen(std::span<const Type> next);
  /// The types after the last iteration.
  std::vector<Type> final_types();

 private:
  bool widen(Type& type, const Type& next);
  Type closed(const Type& type);

  InferContext& ctx_;
  std::vector<Type> types_;
  std::vector<bool> any_;  ///< an optional in one iteration, its content in another
  std::set<std::string> open_;
};

/// Puts tensors of one type together along a new axis. `empty` tells type and shape of none.
Tensor stack(const ReferenceContext& ctx, const std::vector<Tensor>& parts, const Type& empty,
             std::int64_t axis, bool reversed);

/// The one element of a bool or integer tensor.
std::int64_t single_value(const ReferenceContext& ctx, const char* what, const Tensor& tensor);

/// The sub-graph's inputs less those for captures.
std::size_t formal_input_count(const Node& node, const Graph& graph);

}  // namespace naru
