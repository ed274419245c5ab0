// Decomposition: replaces a node by simpler operators, as its operator's record says.
#pragma once

#include <cstddef>

#include "graph/graph.h"

namespace naru {

/// Splices the decomposition of node `index` in its place and infers the types of new values. The
/// node's outputs stay the same values. Returns false, changing nothing, where the operator has no
/// decomposition or it does not apply.
bool decompose_node(Graph& graph, std::size_t index);

}  // namespace naru
