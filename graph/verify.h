// verify(): the semantic check that every graph passes, wherever it came from.
#pragma once

#include "graph/graph.h"

namespace naru {

/// Checks structure: ids in range, one definition per value, topological order, names unique, arity
/// and attributes by operator, sub-graph inputs against captures, constants' types, states, limits.
/// Importers, the container, the text parser and each compiler pass go through it.
/// @throws Error InvalidModel naming graph, node and value.
void verify(const Graph& graph);

}  // namespace naru
