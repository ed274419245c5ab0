// Which operators were followed by which in the graphs that the fuzzer made.
#pragma once

#include <cstddef>
#include <map>
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
  /// Pairs met, and those whose types meet: some result of the one has an element type that the other
  /// was given by some node.
  std::size_t met() const { return met_.size(); }
  std::size_t possible() const;
  /// Some pairs never met.
  std::vector<std::string> missing(std::size_t count) const;

 private:
  bool can_meet(const std::string& a, const std::string& b) const;

  std::set<std::pair<std::string, std::string>> met_;
  std::map<std::string, std::set<DType>> produced_, consumed_;
};

}  // namespace naru::fuzz
