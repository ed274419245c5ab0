// The oracle: the reference's results, and how far from them a right execution may be.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "tests/differential/graph_builder.h"

namespace naru::fuzz {

/// May change a node and its operands before it is evaluated, or its results after; for faults.
struct NodeHooks {
  std::function<void(Node&, std::vector<Datum>& inputs)> before;
  std::function<void(const Node&, const std::vector<Datum>& inputs, std::vector<Datum>& outputs)> after;
};

/// Evaluates node by node; returns the value of every graph value, empty where nothing made one.
std::vector<Datum> interpret(const Graph& graph, std::span<const Datum> inputs, const NodeHooks& hooks = {});

/// The graph outputs among all values.
std::vector<Datum> outputs_of(const Graph& graph, const std::vector<Datum>& values);

/// One graph output: what the reference gives and what counts as equal to it.
struct Expected {
  Datum value;
  std::vector<double> tolerance;  ///< by element; infinite where the reference itself is undecided
  bool fixed_shape = true;        ///< false: rounding may change the shape
};

/// Evaluates the reference as it is, and `runs` times with operands and results moved at random
/// within the operators' contracts: the spread of the results is the tolerance.
std::vector<Expected> expect(const RandomCase& test, int runs, std::uint64_t seed);

/// How strictly two values are compared.
enum class Match : std::uint8_t {
  Exact,   ///< bit by bit, any NaN equal to any
  Spread,  ///< within the tolerance; infinities and NaN in the same places
};

/// What differs, in words; nullopt when nothing does.
std::optional<std::string> mismatch(std::span<const Datum> got, std::span<const Expected> expected, Match match);

}  // namespace naru::fuzz
