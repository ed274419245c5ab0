// Which operators were followed by which in the graphs that the fuzzer made.
#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "graph/graph.h"

namespace naru::fuzz {

/// Pairs (a, b) of operators where a node b used a result of a node a.
class PairCoverage {
 public:
  void add(const Graph& graph);
  /// Pairs met among the fuzzer's own operators, and all there could be by their types.
  std::size_t met() const { return met_.size(); }
  std::size_t possible() const;
  /// Some pairs never met.
  std::vector<std::string> missing(std::size_t count) const;

 private:
  std::set<std::pair<std::string, std::string>> met_;
};

}  // namespace naru::fuzz
