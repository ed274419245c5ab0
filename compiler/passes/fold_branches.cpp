// fold_branches: an If with a constant condition becomes the nodes of the chosen branch.
#include <array>
#include <utility>
#include <vector>

#include "compiler/inline.h"
#include "compiler/passes/passes.h"
#include "compiler/rewrite.h"
#include "graph/scalar.h"

namespace naru {
namespace {

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
