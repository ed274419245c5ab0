// Type and shape inference over whole graphs, and the interpreter that evaluates them.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <unordered_map>
#include <vector>

#include "graph/op_def.h"

namespace naru {

/// Infers the type of every value from the graph's inputs and constants, in place; also checks each
/// node's inputs, attributes and arity against its operator. Existing types of node outputs are
/// kept where they say more and must not contradict.
/// @throws Error InvalidModel naming the node.
void infer_types(Graph& graph);

/// Infers one node's outputs from exact input types and, where known, input values
/// (null entries for the unknown). Used when shapes are bound at run time.
/// `values` has one entry per node input. Fresh symbols are numbered after `*last_fresh_symbol`,
/// which moves on; without it they may equal symbols of the input types.
std::vector<Type> infer_node(const Node& node, std::vector<Type> input_types,
                             std::span<const Tensor* const> values,
                             std::span<const Type> capture_types = {},
                             std::uint64_t* last_fresh_symbol = nullptr);

/// The number n of the largest symbol "?n" that inference made up in `graph` and its sub-graphs.
std::uint64_t last_fresh_symbol(const Graph& graph);

/// Symbolic element values found during inference, by value id; used by shape folding.
using SymbolicValues = std::unordered_map<ValueId, SymValue>;
/// infer_types(), returning the symbolic values it found.
SymbolicValues infer_types_with_values(Graph& graph);

/// Checks arity, attribute names, kinds and required attributes of `node` against its operator.
void check_signature(const Node& node);

}  // namespace naru
