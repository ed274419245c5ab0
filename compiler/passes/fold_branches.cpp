// fold_branches: an If with a constant condition becomes the nodes of the chosen branch.
#include <array>
#include <utility>
#include <vector>

#include "compiler/passes/passes.h"
#include "compiler/rewrite.h"
#include "graph/fail.h"
#include "graph/scalar.h"

namespace naru {
namespace {

/// Copies a closed sub-graph's nodes into another graph, its inputs bound to `arguments`.
class Inliner {
 public:
  Inliner(Graph& target, const Graph& source, const std::vector<ValueId>& arguments)
      : target_(target), source_(source), ids_(source.values.size(), kNoValue) {
    for (std::size_t i = 0; i < arguments.size(); ++i) {
      ids_[static_cast<std::size_t>(source.inputs[i])] = arguments[i];
    }
  }

  std::vector<Node> nodes(const std::string& prefix) {
    std::vector<Node> result;
    for (Node node : source_.nodes) {
      node.name = prefix + "/" + node.name;
      for (auto* list : {&node.inputs, &node.outputs, &node.captures}) {
        for (ValueId& id : *list) id = map(id);
      }
      result.push_back(std::move(node));
    }
    return result;
  }

  std::vector<ValueId> outputs() {
    std::vector<ValueId> result;
    for (ValueId id : source_.outputs) result.push_back(map(id));
    return result;
  }

 private:
  ValueId map(ValueId id) {
    if (id == kNoValue) return id;
    ValueId& mapped = ids_[static_cast<std::size_t>(id)];
    if (mapped == kNoValue) {
      const Value& value = source_.value(id);
      mapped = target_.add_value(value.name, value.type);
      target_.value(mapped).constant = value.constant;
    }
    return mapped;
  }

  Graph& target_;
  const Graph& source_;
  std::vector<ValueId> ids_;
};

bool inline_branch(Rewriter& rw, const Node& node) {
  const Tensor* condition = rw.constant(node.inputs[0]);
  if (condition == nullptr || condition->dtype() != DType::Bool || condition->numel() != 1) {
    return false;
  }
  const bool taken = load_u64(DType::Bool, condition->data(), 0) != 0;
  const Graph& branch = node.attr_graph(taken ? "then_branch" : "else_branch");
  if (branch.inputs.size() != node.captures.size() || !branch.states.empty()) return false;
  Inliner inliner(rw.mutable_graph(), branch, node.captures);
  std::vector<Node> nodes = inliner.nodes(node.name);
  const std::vector<ValueId> outputs = inliner.outputs();
  rw.splice(std::move(nodes));
  rw.replace_outputs(outputs);
  return true;
}

constexpr std::array kRules{Rule{"inline_branch", "If", inline_branch}};

}  // namespace

bool fold_branches(Graph& graph) { return rewrite(graph, kRules); }

}  // namespace naru
