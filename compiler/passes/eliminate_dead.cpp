// eliminate_dead: drops nodes and optional outputs that nothing uses.
#include <algorithm>
#include <vector>

#include "compiler/passes/passes.h"
#include "graph/op_def.h"

namespace naru {
namespace {

class Liveness {
 public:
  explicit Liveness(const Graph& graph) : live_(graph.values.size(), false) {
    mark(graph.outputs);
    for (const State& state : graph.states) mark({state.output});
  }

  void mark(const std::vector<ValueId>& ids) {
    for (ValueId id : ids) {
      if (id != kNoValue) live_[static_cast<std::size_t>(id)] = true;
    }
  }
  bool live(ValueId id) const { return id != kNoValue && live_[static_cast<std::size_t>(id)]; }

 private:
  std::vector<bool> live_;
};

/// Marks optional outputs that nothing uses as absent, so that kernels need not write them.
bool drop_optional_outputs(Node& node, const Liveness& liveness) {
  bool changed = false;
  for (std::size_t i = 0; i < node.outputs.size() && i < node.op->outputs.size(); ++i) {
    const bool optional = node.op->outputs[i].arity == Arity::Optional;
    if (optional && node.outputs[i] != kNoValue && !liveness.live(node.outputs[i])) {
      node.outputs[i] = kNoValue;
      changed = true;
    }
  }
  while (node.outputs.size() > 1 && node.outputs.back() == kNoValue) {
    node.outputs.pop_back();
    changed = true;
  }
  return changed;
}

}  // namespace

bool eliminate_dead(Graph& graph) {
  Liveness liveness(graph);
  bool changed = false;
  std::vector<bool> keep(graph.nodes.size(), true);
  for (std::size_t n = graph.nodes.size(); n-- > 0;) {
    Node& node = graph.nodes[n];
    keep[n] = std::any_of(node.outputs.begin(), node.outputs.end(),
                          [&](ValueId id) { return liveness.live(id); });
    if (!keep[n]) {
      changed = true;
      continue;
    }
    changed |= drop_optional_outputs(node, liveness);
    liveness.mark(node.inputs);
    liveness.mark(node.captures);
  }
  if (!changed) return false;
  std::size_t n = 0;
  std::erase_if(graph.nodes, [&](const Node&) { return !keep[n++]; });
  graph.compact();
  return true;
}

}  // namespace naru
