// Post-ops: the table, the attributes that hold a chain, and how standard nodes become steps.
#include "graph/ops/post_ops.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "graph/scalar.h"

namespace naru {
namespace {

constexpr std::array kPostOps{
    PostOp{"Abs"},
    PostOp{"Ceil"},
    PostOp{"Celu", "alpha"},
    PostOp{"Clip"},
    PostOp{"Cos"},
    PostOp{"Elu", "alpha"},
    PostOp{"Erf"},
    PostOp{"Exp"},
    PostOp{"Floor"},
    PostOp{"Gelu"},
    PostOp{"HardSigmoid", "alpha", "beta"},
    PostOp{"HardSwish"},
    PostOp{"LeakyRelu", "alpha"},
    PostOp{"Log"},
    PostOp{"Mish"},
    PostOp{"Neg"},
    PostOp{"Reciprocal"},
    PostOp{"Relu"},
    PostOp{"Round"},
    PostOp{"Selu", "alpha", "gamma"},
    PostOp{"Sigmoid"},
    PostOp{"Sign"},
    PostOp{"Sin"},
    PostOp{"Softplus"},
    PostOp{"Softsign"},
    PostOp{"Sqrt"},
    PostOp{"Swish", "alpha"},
    PostOp{"Tanh"},
    PostOp{"ThresholdedRelu", "alpha"},
    PostOp{"Add", nullptr, nullptr, true},
    PostOp{"Div", nullptr, nullptr, true},
    PostOp{"Max", nullptr, nullptr, true},
    PostOp{"Min", nullptr, nullptr, true},
    PostOp{"Mul", nullptr, nullptr, true},
    PostOp{"PRelu", nullptr, nullptr, true},
    PostOp{"Sub", nullptr, nullptr, true},
};

}  // namespace

std::span<const PostOp> post_ops() { return kPostOps; }

const PostOp* find_post_op(std::string_view name) {
  const auto found = std::find_if(kPostOps.begin(), kPostOps.end(),
                                  [&](const PostOp& op) { return op.name == name; });
  return found == kPostOps.end() ? nullptr : &*found;
}

std::vector<PostStep> post_steps(const Node& node) {
  const std::vector<std::string>& names = node.attr_strings("post_ops");
  const std::vector<float>& args = node.attr_floats("post_args");
  if (args.size() != 2 * names.size()) {
    fail(ErrorCode::InvalidModel, "{}: got {} post_args, expected 2 for each of {} post_ops",
         node.label(), args.size(), names.size());
  }
  std::vector<PostStep> steps;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const PostOp* op = find_post_op(names[i]);
    if (op == nullptr)
      fail(ErrorCode::InvalidModel, "{}: got post_op '{}', which is none", node.label(), names[i]);
    steps.push_back({op, args[2 * i], args[2 * i + 1]});
  }
  return steps;
}

void set_post_steps(Attributes& attributes, std::span<const PostStep> steps) {
  std::vector<std::string> names;
  std::vector<float> args;
  for (const PostStep& step : steps) {
    names.emplace_back(step.op->name);
    args.insert(args.end(), {step.alpha, step.beta});
  }
  attributes.insert_or_assign("post_ops", std::move(names));
  attributes.insert_or_assign("post_args", std::move(args));
}

std::size_t first_operand(const Node& node) { return node.op->name == "FusedElementwise" ? 1 : 3; }

std::optional<PostStep> as_post_step(const Node& node,
                                     const std::function<const Tensor*(ValueId)>& constant) {
  const PostOp* op = node.op->domain.empty() ? find_post_op(node.op->name) : nullptr;
  if (op == nullptr) return std::nullopt;
  PostStep step{op};
  if (node.op->name == "Clip") {
    step.alpha = -INFINITY;
    step.beta = INFINITY;
    for (std::size_t i : {1, 2}) {
      if (!node.has_input(i)) continue;
      const Tensor* bound = constant(node.inputs[i]);
      if (bound == nullptr || bound->numel() != 1) return std::nullopt;
      const double value = load_f64(bound->dtype(), bound->data(), 0);
      // A float attribute must hold the bound exactly.
      if (static_cast<double>(static_cast<float>(value)) != value) return std::nullopt;
      (i == 1 ? step.alpha : step.beta) = static_cast<float>(value);
    }
  } else if (node.op->name == "Gelu") {
    step.alpha = node.attr_string("approximate") == "tanh" ? 1.0f : 0.0f;
  } else {
    if (op->binary && node.inputs.size() != 2) return std::nullopt;
    if (op->alpha != nullptr) step.alpha = node.attr_float(op->alpha);
    if (op->beta != nullptr) step.beta = node.attr_float(op->beta);
  }
  return step;
}

}  // namespace naru
