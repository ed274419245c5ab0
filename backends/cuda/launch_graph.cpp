// LaunchGraph: nodes, instantiation, updates.
#include "backends/cuda/launch_graph.h"

namespace naru::cuda {

LaunchGraph::LaunchGraph(ContextPtr context, const LaunchList& launches) : context_(std::move(context)) {
  GraphHandle graph = nullptr;
  context_->check(api().GraphCreate(&graph, 0), "creating a graph");
  graph_ = {context_, graph};
  for (std::size_t i = 0; i < launches.size(); ++i) {
    GraphNode node = nullptr;
    const GraphNode* before = nodes_.empty() ? nullptr : &nodes_.back();
    context_->check(api().GraphAddKernelNode(&node, graph, before, before == nullptr ? 0 : 1, &launches[i]), "adding a kernel to a graph");
    nodes_.push_back(node);
  }
  GraphExec program = nullptr;
  context_->check(api().GraphInstantiate(&program, graph, 0), "instantiating a graph");
  program_ = {context_, program};
}

void LaunchGraph::start(const LaunchList& launches, const std::set<std::size_t>& changed, StreamHandle stream) const {
  for (const std::size_t i : changed) {
    context_->check(api().GraphExecKernelNodeSetParams(program_.get(), nodes_[i], &launches[i]), "updating a graph");
  }
  context_->check(api().GraphLaunch(program_.get(), stream), "launching a graph");
}

}  // namespace naru::cuda
