// The interpreter: evaluates nodes and graphs by their operators' reference meaning.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "graph/op_def.h"

namespace naru {

/// Evaluates one node on whole values; `inputs` has one entry per node input (absent ones empty),
/// `captures` one per capture. Results follow node.outputs.
/// @throws Error InvalidModel or InvalidArgument with the node named in the context.
std::vector<Datum> evaluate_node(const Node& node, std::span<const Datum> inputs,
                                 std::span<const Datum> captures = {},
                                 const ReferenceContext::SubgraphRunner* run_subgraph = nullptr);

/// Called after each node with its outputs; used to compare two executions node by node.
using NodeObserver = std::function<void(const Node&, std::span<const Datum> outputs)>;

/// Evaluates a graph on whole values, one per graph input. Returns one value per graph output.
std::vector<Datum> evaluate(const Graph& graph, std::span<const Datum> inputs,
                            const NodeObserver& observer = {});

}  // namespace naru
