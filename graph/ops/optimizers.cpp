// Adagrad, Adam and Momentum: one step of training for any count of tensors.
#include <algorithm>
#include <array>
#include <cmath>

#include "graph/ops/families.h"
#include "graph/ops/nn_rules.h"
#include "graph/scalar.h"

namespace naru {
namespace {

constexpr TypeSet kTrained{DType::F32, DType::F64};
constexpr std::size_t kFixedInputs = 2;  // the learning rate and the update count

/// The tensors come in groups: all X, then all gradients, then each state of all; the outputs are
/// the new X and states.
template <std::size_t groups>
void infer_optimizer(InferContext& ctx) {
  expect_type(ctx, 0, kTrained);
  expect_type(ctx, 1, {DType::I64});
  expect_single(ctx, 0);
  expect_single(ctx, 1);
  const std::size_t tensors = ctx.input_count() - kFixedInputs;
  ctx.require(tensors > 0 && tensors % groups == 0, "inputs: got {} tensors, expected a multiple of {}", tensors,
              groups);
  const std::size_t count = tensors / groups;
  ctx.require(ctx.output_count() == count * (groups - 1), "outputs: got {}, expected {}", ctx.output_count(),
              count * (groups - 1));
  for (std::size_t i = 0; i < count; ++i) {
    Type type = ctx.input(kFixedInputs + i);
    for (std::size_t group = 0; group < groups; ++group) {
      expect_type(ctx, kFixedInputs + group * count + i, kTrained);
      type = merge(type, ctx.input(kFixedInputs + group * count + i));
    }
    for (std::size_t group = 0; group + 1 < groups; ++group) ctx.set_output(group * count + i, type);
  }
}

/// One element: its value, gradient and states, updated in place.
template <std::size_t groups>
using Element = std::array<double, groups>;

/// Calls `step` on every element of every tensor; element 1 is the gradient with its regularisation.
template <std::size_t groups, typename Step>
void run_optimizer(ReferenceContext& ctx, const Step& step) {
  const std::size_t count = (ctx.input_count() - kFixedInputs) / groups;
  const double norm = ctx.node.attr_float("norm_coefficient");
  for (std::size_t i = 0; i < count; ++i) {
    std::array<std::vector<double>, groups> values;
    for (std::size_t group = 0; group < groups; ++group) {
      values[group] = to_wide<double>(ctx.input(kFixedInputs + group * count + i));
    }
    for (std::size_t at = 0; at < values[0].size(); ++at) {
      Element<groups> element;
      for (std::size_t group = 0; group < groups; ++group) element[group] = values[group][at];
      element[1] += norm * element[0];
      step(element);
      for (std::size_t group = 0; group < groups; ++group) values[group][at] = element[group];
    }
    for (std::size_t group = 0; group < groups; ++group) {
      const std::size_t output = (group == 0 ? 0 : group - 1) * count + i;
      if (group != 1 && ctx.has_output(output)) from_wide<double>(values[group], ctx.output(output));
    }
  }
}

double rate_of(const ReferenceContext& ctx) { return load_f64(ctx.input(0).dtype(), ctx.input(0).data(), 0); }
std::int64_t updates_of(const ReferenceContext& ctx) { return ctx.input(1).as<std::int64_t>()[0]; }

void reference_adagrad(ReferenceContext& ctx) {
  const double decay = ctx.node.attr_float("decay_factor"), epsilon = ctx.node.attr_float("epsilon");
  const double rate = rate_of(ctx) / (1 + static_cast<double>(updates_of(ctx)) * decay);
  run_optimizer<3>(ctx, [&](Element<3>& element) {
    auto& [x, gradient, squares] = element;
    squares += gradient * gradient;
    x -= rate * gradient / (std::sqrt(squares) + epsilon);
  });
}

void reference_adam(ReferenceContext& ctx) {
  const double alpha = ctx.node.attr_float("alpha"), beta = ctx.node.attr_float("beta");
  const double epsilon = ctx.node.attr_float("epsilon"), after = 1 - ctx.node.attr_float("norm_coefficient_post");
  const auto updates = static_cast<double>(updates_of(ctx));
  double rate = rate_of(ctx);
  if (updates > 0) rate *= std::sqrt(1 - std::pow(beta, updates)) / (1 - std::pow(alpha, updates));
  run_optimizer<4>(ctx, [&](Element<4>& element) {
    auto& [x, gradient, mean, squares] = element;
    mean = alpha * mean + (1 - alpha) * gradient;
    squares = beta * squares + (1 - beta) * gradient * gradient;
    x = after * (x - rate * mean / (std::sqrt(squares) + epsilon));
  });
}

void reference_momentum(ReferenceContext& ctx) {
  const bool nesterov = expect_choice(ctx.node, "mode", {"standard", "nesterov"}) == 1;
  const double alpha = ctx.node.attr_float("alpha"), rate = rate_of(ctx);
  const double beta = updates_of(ctx) > 0 ? static_cast<double>(ctx.node.attr_float("beta")) : 1;
  run_optimizer<3>(ctx, [&](Element<3>& element) {
    auto& [x, gradient, momentum] = element;
    momentum = alpha * momentum + beta * gradient;
    x -= rate * (nesterov ? gradient + alpha * momentum : momentum);
  });
}

void infer_momentum(InferContext& ctx) {
  expect_choice(ctx.node, "mode", {"standard", "nesterov"});
  infer_optimizer<3>(ctx);
}

Cost cost_optimizer(const Node&, std::span<const Type> inputs, std::span<const Type> outputs) {
  double elements = 0;
  for (const Type& type : inputs.subspan(std::min(kFixedInputs, inputs.size()))) elements += element_count(type);
  return {4 * elements, total_bytes(inputs, outputs)};
}

OpDef optimizer(const char* name, const char* doc, const char* tensors, std::vector<AttrSpec> attributes) {
  OpDef op;
  op.name = name;
  op.domain = "ai.onnx.preview.training";
  op.doc = doc;
  op.source = std::string("ONNX preview training ") + name + "-1";
  op.inputs = {{"R", "learning rate, one f32|f64"}, {"T", "update count, one i64"}, {"inputs", tensors, Arity::Variadic}};
  op.outputs = {{"outputs", "new values of all but the gradients", Arity::Variadic}};
  op.attributes = std::move(attributes);
  op.cost = cost_optimizer;
  return op;
}

AttrSpec number(const char* name, const char* doc, float value) { return {name, AttrKind::Float, doc, value}; }

}  // namespace

void define_optimizers(std::vector<OpDef>& ops) {
  constexpr const char* kNorm = "weight of 0.5 |X|^2 in what is minimised";
  OpDef adagrad = optimizer("Adagrad", "One step of Adagrad.", "X..., gradients..., accumulated squared gradients...",
                            {number("norm_coefficient", kNorm, 0.0f), number("epsilon", "keeps the divisor from 0", 1e-6f),
                             number("decay_factor", "the rate is R / (1 + T * this)", 0.0f)});
  adagrad.infer = infer_optimizer<3>;
  adagrad.reference = reference_adagrad;
  ops.push_back(std::move(adagrad));
  OpDef adam = optimizer("Adam", "One step of Adam.", "X..., gradients..., averaged gradients..., averaged squared gradients...",
                         {number("norm_coefficient", kNorm, 0.0f), number("epsilon", "keeps the divisor from 0", 1e-6f),
                          number("norm_coefficient_post", "the new X shrinks by this part", 0.0f),
                          number("alpha", "weight of the averaged gradient", 0.9f),
                          number("beta", "weight of the averaged squared gradient", 0.999f)});
  adam.infer = infer_optimizer<4>;
  adam.reference = reference_adam;
  ops.push_back(std::move(adam));
  OpDef momentum = optimizer("Momentum", "One step of stochastic gradient descent with momentum.", "X..., gradients..., momenta...",
                             {{"norm_coefficient", AttrKind::Float, kNorm, std::nullopt, true},
                              {"alpha", AttrKind::Float, "decay of the momentum", std::nullopt, true},
                              {"beta", AttrKind::Float, "weight of the gradient after the first update", std::nullopt, true},
                              {"mode", AttrKind::String, "standard or nesterov", std::nullopt, true}});
  momentum.infer = infer_momentum;
  momentum.reference = reference_momentum;
  ops.push_back(std::move(momentum));
}

}  // namespace naru
