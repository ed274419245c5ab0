// LaunchGraph: the launches of a list as one CUDA graph, which starts with a single call.
#pragma once

#include <set>
#include <span>

#include "backends/cuda/launch_list.h"

namespace naru::cuda {

/// A chain of kernel nodes, made node by node rather than by capture of a stream: so each node is
/// known, and new addresses are set in those that have them instead of making the graph again.
class LaunchGraph {
 public:
  LaunchGraph(ContextPtr context, const LaunchList& launches);

  /// Starts all launches with the parameters that they have now; `changed` are those that have got
  /// others since the last start.
  void start(const LaunchList& launches, const std::set<std::size_t>& changed, StreamHandle stream) const;

 private:
  ContextPtr context_;
  Graph graph_;
  std::vector<GraphNode> nodes_;  // by launch
  GraphProgram program_;
};

}  // namespace naru::cuda
