// Single-operator graphs that the conformance kit runs, in every element type that they may have.
#pragma once

#include <string>
#include <vector>

#include "graph/graph.h"

namespace naru::tool::vendor {

struct OpCase {
  std::string name;
  Graph graph;                 ///< types inferred
  std::vector<Datum> inputs;   ///< one per graph input
};

/// All cases whose float ends have type `dtype`.
std::vector<OpCase> op_cases(DType dtype);

}  // namespace naru::tool::vendor
