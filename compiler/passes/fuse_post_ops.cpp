// fuse_post_ops: element-wise operators join the node that makes their running value, one by one as
// the graph is walked: a convolution, a matrix product, or another element-wise operator.
#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "compiler/passes/passes.h"
#include "compiler/rewrite.h"
#include "graph/op_def.h"
#include "graph/ops/post_ops.h"

namespace naru {
namespace {

/// Longer chains gain nothing, and kernels bind each operand as an argument.
constexpr std::size_t kMaxSteps = 24;
constexpr std::size_t kMaxOperands = 8;

/// A node with a chain, or one that can begin it.
struct Chain {
  std::string op;  ///< of the fused node
  std::vector<ValueId> inputs;
  Attributes attributes;
  std::vector<PostStep> steps;
  std::size_t operands = 0;
};

/// The steps that a node adds to a running value, its input `running`.
struct Addition {
  std::vector<PostStep> steps;
  std::vector<ValueId> operands;
};

std::optional<PostStep> step_of(const Rewriter& rw, const Node& node) {
  return as_post_step(node, [&](ValueId id) { return rw.constant(id); });
}

std::optional<Addition> addition_of(const Rewriter& rw, const Node& node, std::size_t running) {
  const std::optional<PostStep> step = step_of(rw, node);
  if (!step || running >= node.inputs.size()) return std::nullopt;
  if (!step->op->binary) return running == 0 ? std::optional(Addition{{*step}, {}}) : std::nullopt;
  const ValueId operand = node.inputs[1 - running];
  if (running == 0) return Addition{{*step}, {operand}};
  const std::string_view op = node.op->name;
  if (op == "Sub") {  // a - x is (-x) + a, exactly
    return Addition{{{find_post_op("Neg")}, {find_post_op("Add")}}, {operand}};
  }
  const bool commutes = op == "Add" || op == "Mul" || op == "Max" || op == "Min";
  return commutes ? std::optional(Addition{{*step}, {operand}}) : std::nullopt;
}

/// The node as a chain that takes further steps.
std::optional<Chain> open_chain(const Rewriter& rw, const Node& node) {
  const std::string op = node.op->full_name();
  Chain chain{op, node.inputs, node.attributes, {}, 0};
  if (op == "Conv" || op == "ConvTranspose" || op == "MatMul") {
    chain.op = "naru.Fused" + op;
    chain.inputs.resize(3, kNoValue);
    return find_op(chain.op) != nullptr ? std::optional(std::move(chain)) : std::nullopt;
  }
  if (node.op->domain == "naru" && node.has("post_ops")) {
    chain.steps = post_steps(node);
    const std::size_t first = first_operand(node);
    if (chain.inputs.size() < first) chain.inputs.resize(first, kNoValue);
    chain.operands = chain.inputs.size() - first;
    return chain;
  }
  // A lone element-wise node: its running value is an input of the output's full shape.
  for (std::size_t running : {0, 1}) {
    std::optional<Addition> own = addition_of(rw, node, running);
    if (!own || !same_shape(rw.type(node.inputs[running]), rw.type(node.outputs[0]))) continue;
    if (rw.constant(node.inputs[running]) != nullptr) continue;
    chain = {"naru.FusedElementwise",
             {node.inputs[running]},
             {},
             std::move(own->steps),
             own->operands.size()};
    chain.inputs.insert(chain.inputs.end(), own->operands.begin(), own->operands.end());
    return chain;
  }
  return std::nullopt;
}

/// The chain of `root`'s input with `root` behind it.
std::optional<Chain> extended(const Rewriter& rw, const Node& root, std::size_t running) {
  const ValueId value = root.inputs[running];
  const Node* producer = rw.producer(value);
  if (producer == nullptr || !rw.single_use(value) || !rw.only_first_output(*producer))
    return std::nullopt;
  const Type& before = rw.type(value);
  const Type& after = rw.type(root.outputs[0]);
  if (!is_float(before.dtype) || before.dtype != after.dtype || !same_shape(before, after))
    return std::nullopt;
  std::optional<Addition> addition = addition_of(rw, root, running);
  if (!addition) return std::nullopt;
  for (ValueId operand : addition->operands) {
    if (rw.type(operand).dtype != before.dtype) return std::nullopt;
  }
  std::optional<Chain> chain = open_chain(rw, *producer);
  if (!chain) return std::nullopt;
  chain->steps.insert(chain->steps.end(), addition->steps.begin(), addition->steps.end());
  chain->inputs.insert(chain->inputs.end(), addition->operands.begin(), addition->operands.end());
  chain->operands += addition->operands.size();
  if (chain->steps.size() > kMaxSteps || chain->operands > kMaxOperands) return std::nullopt;
  return chain;
}

bool join_chain(Rewriter& rw, const Node& root) {
  if (!step_of(rw, root)) return false;
  // Of two candidates a convolution or product comes before an element-wise chain; of two of those
  // the later one, whose result would have to wait for the other anyway.
  std::optional<Chain> best;
  std::size_t best_position = 0;
  for (std::size_t running = 0; running < std::min<std::size_t>(root.inputs.size(), 2); ++running) {
    std::optional<Chain> chain = extended(rw, root, running);
    if (!chain) continue;
    const bool anchored = chain->op != "naru.FusedElementwise";
    const bool best_anchored = best && best->op != "naru.FusedElementwise";
    const std::size_t position = rw.position(root.inputs[running]);
    if (!best || (anchored && !best_anchored) ||
        (anchored == best_anchored && position > best_position)) {
      best = std::move(chain);
      best_position = position;
    }
  }
  if (!best) return false;
  set_post_steps(best->attributes, best->steps);
  if (best->operands == 0) {
    while (best->inputs.back() == kNoValue) best->inputs.pop_back();
  }
  rw.replace(best->op, std::move(best->inputs), std::move(best->attributes));
  return true;
}

constexpr std::array kRules{Rule{"join_chain", "", join_chain}};

}  // namespace

bool fuse_post_ops(Graph& graph) { return rewrite(graph, kRules); }

bool extend_post_ops(Graph& graph) {
  const bool fused = std::any_of(graph.nodes.begin(), graph.nodes.end(), [](const Node& node) {
    return node.op->domain == "naru" && node.has("post_ops");
  });
  return fused && fuse_post_ops(graph);
}

}  // namespace naru
