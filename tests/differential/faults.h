// Faults on purpose: what kernels, passes and comparisons get wrong in practice, to see that the
// oracle finds it. They live here alone, as changes to nodes, results and graphs.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "tests/differential/oracle.h"

namespace naru::fuzz {

/// One wrong kernel or pass. A kernel's fault changes nodes of `ops` before they are evaluated, or
/// their results after; a pass's fault rewrites the graph.
struct Fault {
  std::string_view name;
  std::string_view ops;  ///< full names, separated by spaces
  bool (*before)(Node& node, std::vector<Datum>& inputs) = nullptr;
  bool (*after)(const Node& node, const std::vector<Datum>& inputs, std::vector<Datum>& outputs) = nullptr;
  bool (*rewrite)(Graph& graph) = nullptr;

  bool concerns(const Graph& graph) const;
};

/// All seeded faults of kernels and passes.
std::span<const Fault> faults();

/// Executes the test with the fault; `acted` tells whether it changed anything.
std::vector<Datum> run_faulty(const RandomCase& test, const Fault& fault, bool& acted);

/// Wrong comparisons: each says nothing where mismatch() would. `found` counts those that the table
/// of known pairs exposes.
struct ComparatorScore {
  std::size_t seeded = 0, found = 0;
  std::vector<std::string> missed;
};
ComparatorScore score_comparators();

}  // namespace naru::fuzz
