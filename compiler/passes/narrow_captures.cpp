// narrow_captures: constants move into the sub-graphs that capture them; equal and unused captures
// go.
#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "compiler/passes/passes.h"

namespace naru {
namespace {

bool uses_value(const Graph& graph, ValueId id) {
  const auto among = [&](const std::vector<ValueId>& ids) {
    return std::find(ids.begin(), ids.end(), id) != ids.end();
  };
  return among(graph.outputs) ||
         std::any_of(graph.nodes.begin(), graph.nodes.end(),
                     [&](const Node& node) { return among(node.inputs) || among(node.captures); });
}

/// The sub-graph's input that stands for capture `i`.
ValueId formal_of(const Graph& sub, const Node& node, std::size_t i) {
  return sub.inputs[sub.inputs.size() - node.captures.size() + i];
}

bool unused(const Node& node, std::size_t i) {
  bool used = false;
  for_each_subgraph(node, [&](const std::string&, const Graph& sub) {
    used = used || uses_value(sub, formal_of(sub, node, i));
  });
  return !used;
}

/// What becomes of each capture of a node.
struct Plan {
  enum class Fate : std::uint8_t { Keep, Constant, Merge, Drop };
  std::vector<Fate> fates;
  std::vector<std::size_t> merged_into;  // for Merge
};

Plan plan_captures(const Graph& graph, const Node& node) {
  Plan plan;
  for (std::size_t i = 0; i < node.captures.size(); ++i) {
    const auto first = std::find(node.captures.begin(), node.captures.end(), node.captures[i]);
    const auto first_index = static_cast<std::size_t>(first - node.captures.begin());
    plan.merged_into.push_back(first_index);
    plan.fates.push_back(graph.value(node.captures[i]).is_constant() ? Plan::Fate::Constant
                         : first_index < i                           ? Plan::Fate::Merge
                         : unused(node, i)                           ? Plan::Fate::Drop
                                                                     : Plan::Fate::Keep);
    // One that others merge into is used when they are; a later round drops it if it is not.
    if (plan.fates.back() == Plan::Fate::Merge) plan.fates[first_index] = Plan::Fate::Keep;
  }
  return plan;
}

GraphPtr apply(const Plan& plan, const Graph& graph, const Node& node, const Graph& original) {
  Graph sub = original;
  const std::size_t formal_count = sub.inputs.size() - node.captures.size();
  std::vector<ValueId> inputs(sub.inputs.begin(),
                              sub.inputs.begin() + static_cast<std::ptrdiff_t>(formal_count));
  for (std::size_t i = 0; i < node.captures.size(); ++i) {
    const ValueId formal = formal_of(original, node, i);
    switch (plan.fates[i]) {
      case Plan::Fate::Keep: inputs.push_back(formal); break;
      case Plan::Fate::Drop: break;
      case Plan::Fate::Merge:
        sub.replace_uses(formal, formal_of(original, node, plan.merged_into[i]));
        break;
      case Plan::Fate::Constant: {
        const Value& outer = graph.value(node.captures[i]);
        sub.value(formal).constant = outer.constant;
        sub.value(formal).type = outer.type;
        break;
      }
    }
  }
  sub.inputs = std::move(inputs);
  sub.compact();
  return std::make_shared<const Graph>(std::move(sub));
}

bool narrow(const Graph& graph, Node& node) {
  const Plan plan = plan_captures(graph, node);
  const bool all_kept = std::all_of(plan.fates.begin(), plan.fates.end(),
                                    [](Plan::Fate fate) { return fate == Plan::Fate::Keep; });
  if (all_kept) return false;
  for (auto& [name, attribute] : node.attributes) {
    if (auto* sub = std::get_if<GraphPtr>(&attribute)) *sub = apply(plan, graph, node, **sub);
    if (auto* subs = std::get_if<std::vector<GraphPtr>>(&attribute)) {
      for (GraphPtr& sub : *subs) sub = apply(plan, graph, node, *sub);
    }
  }
  std::size_t i = 0;
  std::erase_if(node.captures, [&](ValueId) { return plan.fates[i++] != Plan::Fate::Keep; });
  return true;
}

}  // namespace

bool narrow_captures(Graph& graph) {
  bool changed = false;
  for (Node& node : graph.nodes) changed |= !node.captures.empty() && narrow(graph, node);
  if (changed) graph.compact();
  return changed;
}

}  // namespace naru
