// Ways of executing a graph that must all give what the reference gives.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/differential/oracle.h"

namespace naru::fuzz {

/// The outputs; nothing where a way does not apply to a case.
using Results = std::optional<std::vector<Datum>>;

struct Way {
  std::string name;
  Match match = Match::Spread;
  std::function<Results(const RandomCase&)> run;
};

/// The passes before the reference, another order of the nodes, the text form, the container, the
/// ONNX form, and for each of `devices` an engine, with the batch as it is and sample by sample.
std::vector<Way> all_ways(const std::vector<std::string>& devices);

/// The same nodes in another topological order, drawn with `seed`.
Graph reordered(const Graph& graph, std::uint64_t seed);

/// What one way gave.
struct Verdict {
  bool applies = true;
  std::optional<std::string> difference;  ///< or what was thrown, in words
};

/// Compares one execution. A difference counts when it stays beyond a tolerance found with many more
/// moved runs.
Verdict judge(const RandomCase& test, const Way& way, std::span<const Expected> expected);

}  // namespace naru::fuzz
