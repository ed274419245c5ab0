// Ways of executing a graph that must all give what the reference gives.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/differential/oracle.h"

namespace naru::fuzz {

struct Way {
  std::string name;
  Match match = Match::Spread;
  std::function<std::vector<Datum>(const RandomCase&)> run;
};

/// The passes before the reference, another order of the nodes, the text form, the container, and for
/// each of `devices` an engine.
std::vector<Way> all_ways(const std::vector<std::string>& devices);

/// The same nodes in another topological order, drawn with `seed`.
Graph reordered(const Graph& graph, std::uint64_t seed);

/// Compares one execution; the first message says what differs or was thrown. A difference counts
/// when it stays beyond a tolerance found with many more moved runs.
std::optional<std::string> failure(const RandomCase& test, const Way& way, std::span<const Expected> expected);

}  // namespace naru::fuzz
