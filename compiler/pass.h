// Passes: how rewritings of a graph are run, checked, timed and dumped.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace naru {

/// One rewriting. `run` sees a graph with inferred types, rewrites that level of it only
/// (sub-graphs are visited for it), keeps its inputs and outputs, and says whether it changed
/// anything.
struct Pass {
  std::string name;
  bool (*run)(Graph&) = nullptr;
  /// Neighbouring passes of one group above 0 are repeated until none of them changes anything.
  int group = 0;
};

/// What one run of one pass did. Nodes of sub-graphs count.
struct PassRecord {
  std::string name;
  int round = 0;  ///< of its group, from 0
  bool changed = false;
  std::size_t nodes_before = 0;
  std::size_t nodes_after = 0;
  std::chrono::nanoseconds duration{};
};

/// For example "fold_constants: 812 -> 402 nodes, 3.1 ms".
std::string to_string(const PassRecord& record);

struct PassOptions {
  /// Check the graph after every pass that changed it, not only after the last one.
  bool verify_each =
#ifdef NDEBUG
      false;
#else
      true;
#endif
  int max_rounds = 16;  ///< of one group
  /// A folder for the text form of the graph before the first pass and after each that changed it;
  /// empty: the environment's NARU_DUMP, else none.
  std::string dump_dir;
  /// Receives one line per run of a pass; null: standard error when NARU_LOG asks for "compile".
  std::function<void(const std::string& line)> log;
};

/// Infers types, runs `passes` in order on the graph and its sub-graphs, and verifies the result.
/// @throws Error InvalidModel when the graph breaks its rules, before or after a pass.
std::vector<PassRecord> optimize(Graph& graph, const std::vector<Pass>& passes,
                                 const PassOptions& options = {});

/// Nodes of the graph and its sub-graphs.
std::size_t count_nodes(const Graph& graph);

}  // namespace naru
