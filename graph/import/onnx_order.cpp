// Dependencies between the nodes of a file and their stable topological order.
#include "graph/import/onnx_order.h"

#include <queue>
#include <unordered_set>

#include "graph/fail.h"
#include "graph/model_file.h"

namespace naru {
namespace {

using Names = std::unordered_set<std::string_view>;

Names names_defined_in(const onnx::GraphProto& graph) {
  Names defined;
  for (const auto& input : graph.input()) defined.insert(input.name());
  for (const auto& tensor : graph.initializer()) defined.insert(tensor.name());
  for (const auto& tensor : graph.sparse_initializer()) defined.insert(tensor.values().name());
  for (const auto& node : graph.node()) defined.insert(node.output().begin(), node.output().end());
  return defined;
}

std::unordered_map<std::string_view, int> producers_of(const NodeList& nodes) {
  std::unordered_map<std::string_view, int> producers;
  for (int i = 0; i < nodes.size(); ++i) {
    for (const std::string& name : nodes[i].output()) {
      if (!name.empty() && !producers.emplace(name, i).second) {
        fail(ErrorCode::InvalidModel, "value {}: two nodes define it", quote_name(name));
      }
    }
  }
  return producers;
}

/// For each node the nodes that it needs, from this list.
std::vector<std::vector<int>> needs_of(const NodeList& nodes, FreeNames& free_names) {
  const auto producers = producers_of(nodes);
  std::vector<std::vector<int>> needs(static_cast<std::size_t>(nodes.size()));
  for (int i = 0; i < nodes.size(); ++i) {
    free_names.for_each_use(nodes[i], [&](std::string_view name) {
      const auto found = producers.find(name);
      if (found != producers.end()) needs[static_cast<std::size_t>(i)].push_back(found->second);
    });
  }
  return needs;
}

std::vector<int> sorted(const NodeList& nodes, const std::vector<std::vector<int>>& needs) {
  std::vector<std::vector<int>> users(needs.size());
  std::vector<std::size_t> waiting(needs.size());
  std::priority_queue<int, std::vector<int>, std::greater<>> ready;
  for (std::size_t i = 0; i < needs.size(); ++i) {
    waiting[i] = needs[i].size();
    for (const int need : needs[i])
      users[static_cast<std::size_t>(need)].push_back(static_cast<int>(i));
    if (needs[i].empty()) ready.push(static_cast<int>(i));
  }
  std::vector<int> order;
  while (!ready.empty()) {
    const int next = ready.top();
    ready.pop();
    order.push_back(next);
    for (const int user : users[static_cast<std::size_t>(next)]) {
      if (--waiting[static_cast<std::size_t>(user)] == 0) ready.push(user);
    }
  }
  for (std::size_t i = 0; i < waiting.size(); ++i) {
    if (waiting[i] == 0) continue;
    const onnx::NodeProto& node = nodes[static_cast<int>(i)];
    fail(ErrorCode::InvalidModel,
         "nodes: {} of them wait for each other in a cycle, for example {} {}",
         needs.size() - order.size(), quote_name(node.op_type()), quote_name(node.name()));
  }
  return order;
}

}  // namespace

const std::vector<std::string_view>& FreeNames::of(const onnx::GraphProto& graph) {
  const auto found = known_.find(&graph);
  if (found != known_.end()) return found->second;
  const Names defined = names_defined_in(graph);
  Names free;
  const auto use = [&](std::string_view name) {
    if (!name.empty() && !defined.contains(name)) free.insert(name);
  };
  for (const auto& node : graph.node()) for_each_use(node, use);
  for (const auto& output : graph.output()) use(output.name());
  return known_.emplace(&graph, std::vector<std::string_view>(free.begin(), free.end()))
      .first->second;
}

void FreeNames::for_each_use(const onnx::NodeProto& node,
                             const std::function<void(std::string_view)>& visit) {
  for (const std::string& name : node.input()) visit(name);
  for (const auto& attribute : node.attribute()) {
    if (attribute.has_g()) {
      for (const std::string_view name : of(attribute.g())) visit(name);
    }
    for (const auto& graph : attribute.graphs()) {
      for (const std::string_view name : of(graph)) visit(name);
    }
  }
}

std::vector<int> node_order(const NodeList& nodes, FreeNames& free_names) {
  const auto needs = needs_of(nodes, free_names);
  bool in_order = true;
  for (std::size_t i = 0; i < needs.size(); ++i) {
    for (const int need : needs[i]) in_order = in_order && static_cast<std::size_t>(need) < i;
  }
  if (!in_order) return sorted(nodes, needs);
  std::vector<int> order(needs.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int>(i);
  return order;
}

}  // namespace naru
