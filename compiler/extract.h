// extract(): cuts a set of nodes out of a graph as a closed graph of its own.
#pragma once

#include <span>
#include <vector>

#include "graph/graph.h"

namespace naru {

/// A closed graph made of some nodes of another, and how its ends map to the source's values.
struct Extract {
  Graph graph;
  std::vector<ValueId> inputs;   ///< source values that feed graph.inputs, in order
  std::vector<ValueId> outputs;  ///< source values that graph.outputs produce, in order
};

/// Cuts out `nodes` (ascending indices). `outputs` lists the source values, produced by those nodes
/// or passed through, that the extract must return. Constants are shared.
Extract extract(const Graph& source, std::span<const std::size_t> nodes,
                std::span<const ValueId> outputs);

}  // namespace naru
