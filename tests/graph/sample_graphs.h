// Graphs that hold one of everything, for tests of the text form and the container.
#pragma once

#include <vector>

#include "graph/graph.h"

namespace naru::testing {

/// A defined tensor of `dtype` with bytes 0, 1, 2 ... (strings: awkward ones).
Tensor sample_tensor(DType dtype, Shape shape);

/// A valid graph: inputs of every kind of type, constants of every element type, states, metadata,
/// awkward names, an absent output, a duplicate constant.
Graph sample_graph();

/// Nodes with attributes of every kind and nested sub-graphs with captures. Its operators do not
/// have these attributes, so verify() refuses it.
Graph attribute_graph();

}  // namespace naru::testing
