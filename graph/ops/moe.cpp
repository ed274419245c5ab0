// naru.MoE: gated feed-forward layers of which each row takes a few.
#include <algorithm>
#include <cmath>

#include "graph/block/block_format.h"
#include "graph/onnx_dtype.h"
#include "graph/ops/activation.h"
#include "graph/ops/dequantize.h"
#include "graph/ops/families.h"
#include "graph/ops/movement.h"
#include "graph/ops/nn_rules.h"
#include "graph/scalar.h"

namespace naru {
namespace {

constexpr std::size_t kX = 0, kChosen = 1, kWeights = 2, kGate = 3, kUp = 4, kDown = 5,
                      kGateBias = 6, kUpBias = 7, kDownBias = 8;

// Shapes

/// Checks a stack of matrices [experts, outputs, inputs] and its bias [experts, outputs].
void check_matrices(InferContext& ctx, std::size_t i, std::size_t bias, const Dim& experts,
                    const Dim& outputs, const Dim& inputs) {
  const DType dtype = ctx.dtype(i);
  const std::string& name = ctx.node.op->inputs[i].name;
  ctx.require(dtype == DType::Undefined || is_block(dtype) || is_float(dtype),
              "{}: got {}, expected a float or block format", name, to_string(dtype));
  if (is_block(dtype)) require_whole_blocks(ctx, i);
  if (const SymShape* shape = expect_rank(ctx, i, 3)) {
    expect_equal(ctx, (*shape)[0], experts, name + ": experts");
    expect_equal(ctx, (*shape)[1], outputs, name + ": outputs");
    expect_equal(ctx, (*shape)[2], inputs, name + ": inputs");
  }
  expect_type(ctx, bias, {DType::F32});
  if (!ctx.has_input(bias)) return;
  if (const SymShape* shape = expect_rank(ctx, bias, 2)) {
    expect_equal(ctx, (*shape)[0], experts, name + ": experts of the bias");
    expect_equal(ctx, (*shape)[1], outputs, name + ": length of the bias");
  }
}

void infer_moe(InferContext& ctx) {
  const DType dtype = expect_common_type(ctx, {kX, kWeights});
  expect_type(ctx, kChosen, kIndices);
  ctx.require(ctx.node.attr_float("limit") >= 0, "limit: got {}, expected 0 or more",
              ctx.node.attr_float("limit"));
  const SymShape* x = expect_rank(ctx, kX, 2);
  const SymShape* chosen = expect_rank(ctx, kChosen, 2);
  const SymShape* weights = expect_rank(ctx, kWeights, 2);
  if (chosen != nullptr && weights != nullptr) {
    expect_equal(ctx, (*weights)[0], (*chosen)[0], "weights: rows");
    expect_equal(ctx, (*weights)[1], (*chosen)[1], "weights: chosen");
  }
  if (chosen != nullptr && x != nullptr) expect_equal(ctx, (*chosen)[0], (*x)[0], "chosen: rows");
  const SymShape* gate = expect_rank(ctx, kGate, 3);
  if (x != nullptr && gate != nullptr) {
    const Dim &experts = (*gate)[0], &inner = (*gate)[1];
    check_matrices(ctx, kGate, kGateBias, experts, inner, (*x)[1]);
    check_matrices(ctx, kUp, kUpBias, experts, inner, (*x)[1]);
    check_matrices(ctx, kDown, kDownBias, experts, (*x)[1], inner);
  }
  x == nullptr ? ctx.set_output(0, dtype) : ctx.set_output(0, dtype, *x);
}

// Values

/// One expert's matrix and bias as floats.
struct Matrix {
  std::vector<float> values;
  std::vector<double> bias;
  std::int64_t outputs, inputs;

  std::vector<double> times(const double* x) const {
    std::vector<double> y(static_cast<std::size_t>(outputs));
    for (std::int64_t o = 0; o < outputs; ++o) {
      double sum = bias.empty() ? 0 : bias[static_cast<std::size_t>(o)];
      for (std::int64_t i = 0; i < inputs; ++i)
        sum += static_cast<double>(values[static_cast<std::size_t>(o * inputs + i)]) * x[i];
      y[static_cast<std::size_t>(o)] = sum;
    }
    return y;
  }
};

Matrix read_matrix(const ReferenceContext& ctx, std::size_t i, std::size_t bias,
                   std::int64_t expert) {
  const Tensor& all = ctx.input(i);
  Tensor one(all.dtype(), {all.shape()[1], all.shape()[2]});
  copy_elements(one, 0, all, expert * one.numel(), one.numel());
  const Tensor values = dequantize(one);
  const std::span<const float> floats = values.as<float>();
  Matrix matrix{{floats.begin(), floats.end()}, {}, all.shape()[1], all.shape()[2]};
  if (ctx.has_input(bias)) {
    const std::span<const float> row =
        ctx.input(bias).as<float>().subspan(static_cast<std::size_t>(expert * matrix.outputs),
                                            static_cast<std::size_t>(matrix.outputs));
    matrix.bias.assign(row.begin(), row.end());
  }
  return matrix;
}

/// The gated activation, by the attributes of the node.
struct GatedUnit {
  double alpha, limit, offset;

  explicit GatedUnit(const Node& node)
      : alpha(static_cast<double>(node.attr_float("alpha"))),
        limit(static_cast<double>(node.attr_float("limit"))),
        offset(static_cast<double>(node.attr_float("up_offset"))) {}

  double operator()(double gate, double up) const {
    if (limit > 0) {
      gate = std::min(gate, limit);
      up = std::clamp(up, -limit, limit);
    }
    return gate * sigmoid(alpha * gate) * (up + offset);
  }
};

void reference_moe(ReferenceContext& ctx) {
  const std::vector<double> x = to_wide<double>(ctx.input(kX)),
                            weights = to_wide<double>(ctx.input(kWeights));
  const std::vector<std::int64_t> chosen = to_i64_vector(ctx.input(kChosen));
  const std::int64_t experts = ctx.input(kGate).shape()[0], hidden = ctx.input(kX).shape()[1];
  const std::int64_t used = ctx.input(kChosen).shape()[1];
  for (const std::int64_t expert : chosen) {
    ctx.require(expert >= 0 && expert < experts, "chosen: got {}, expected [0, {})", expert,
                experts);
  }
  const GatedUnit activation(ctx.node);
  Tensor& out = ctx.output(0);
  std::vector<double> y(static_cast<std::size_t>(out.numel()), 0.0);
  for (std::int64_t expert = 0; expert < experts; ++expert) {
    if (std::find(chosen.begin(), chosen.end(), expert) == chosen.end()) continue;
    const Matrix gate = read_matrix(ctx, kGate, kGateBias, expert),
                 up = read_matrix(ctx, kUp, kUpBias, expert);
    const Matrix down = read_matrix(ctx, kDown, kDownBias, expert);
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      if (chosen[i] != expert) continue;
      const std::int64_t row = static_cast<std::int64_t>(i) / used;
      std::vector<double> inner = gate.times(x.data() + row * hidden);
      const std::vector<double> factor = up.times(x.data() + row * hidden);
      for (std::size_t k = 0; k < inner.size(); ++k) inner[k] = activation(inner[k], factor[k]);
      const std::vector<double> result = down.times(inner.data());
      for (std::int64_t k = 0; k < hidden; ++k)
        y[static_cast<std::size_t>(row * hidden + k)] +=
            weights[i] * result[static_cast<std::size_t>(k)];
    }
  }
  from_wide<double>(y, out);
}

// Standard operators: the chosen matrices are gathered for each row

ValueId gathered(DecomposeContext& ctx, std::size_t i, DType to) {
  const DType from = ctx.type(ctx.input(i)).dtype;
  const ValueId rows =
      ctx.add("Gather", {ctx.input(i), ctx.input(kChosen)}, {{"axis", std::int64_t{0}}});
  if (from == to) return rows;
  return ctx.add(is_block(from) ? "naru.Dequantize" : "Cast", {rows}, {{"to", onnx_code(to)}});
}

/// [rows, chosen, outputs] from x [rows, chosen or 1, inputs].
ValueId multiplied(DecomposeContext& ctx, ValueId x, std::size_t matrices, std::size_t bias,
                   DType dtype) {
  const ValueId column = ctx.add("Unsqueeze", {x, ctx.ints({3})});
  ValueId y = ctx.add("MatMul", {gathered(ctx, matrices, dtype), column});
  y = ctx.add("Squeeze", {y, ctx.ints({3})});
  return ctx.has_input(bias) ? ctx.add("Add", {y, gathered(ctx, bias, dtype)}) : y;
}

bool decompose_moe(DecomposeContext& ctx) {
  const DType dtype = ctx.type(ctx.input(kX)).dtype;
  const GatedUnit activation(ctx.node);
  const ValueId x = ctx.add("Unsqueeze", {ctx.input(kX), ctx.ints({1})});
  ValueId gate = multiplied(ctx, x, kGate, kGateBias, dtype),
          up = multiplied(ctx, x, kUp, kUpBias, dtype);
  if (activation.limit > 0) {
    const ValueId limit = ctx.scalar(dtype, activation.limit);
    gate = ctx.add("Min", {gate, limit});
    up = ctx.add("Clip", {up, ctx.scalar(dtype, -activation.limit), limit});
  }
  if (activation.offset != 0) up = ctx.add("Add", {up, ctx.scalar(dtype, activation.offset)});
  const ValueId inner =
      ctx.add("SwiGLU", {gate, up}, {{"alpha", static_cast<float>(activation.alpha)}});
  const ValueId y = multiplied(ctx, inner, kDown, kDownBias, dtype);
  const ValueId weighted =
      ctx.add("Mul", {y, ctx.add("Unsqueeze", {ctx.input(kWeights), ctx.ints({2})})});
  ctx.set_output(0,
                 ctx.add("ReduceSum", {weighted, ctx.ints({1})}, {{"keepdims", std::int64_t{0}}}));
  return true;
}

Cost cost_moe(const Node&, std::span<const Type> inputs, std::span<const Type> outputs) {
  if (!inputs[kGate].is_static() || !inputs[kChosen].is_static()) return {};
  const double experts = static_cast<double>((*inputs[kGate].shape)[0].value());
  const double per_expert =
      (element_count(inputs[kGate]) + element_count(inputs[kUp]) + element_count(inputs[kDown])) /
      experts;
  return {2 * per_expert * element_count(inputs[kChosen]), total_bytes(inputs, outputs)};
}

}  // namespace

void define_moe(std::vector<OpDef>& ops) {
  ops.push_back({
      .name = "MoE",
      .domain = "naru",
      .doc = "The weighted sum, for each row, of the gated feed-forward layers that were chosen "
             "for it: down * "
             "(g * sigmoid(alpha * g) * (u + up_offset)), where g and u are the products with gate "
             "and up.",
      .source = "naru",
      .inputs = {{"x", "[rows, hidden], float"},
                 {"chosen", "i32|i64[rows, chosen], in [0, experts)"},
                 {"weights", "[rows, chosen], as x"},
                 {"gate", "[experts, inner, hidden], a float or block format"},
                 {"up", "as gate"},
                 {"down", "[experts, hidden, inner], a float or block format"},
                 {"gate_bias", "f32[experts, inner]", Arity::Optional},
                 {"up_bias", "f32[experts, inner]", Arity::Optional},
                 {"down_bias", "f32[experts, hidden]", Arity::Optional}},
      .outputs = {{"y", "[rows, hidden], as x"}},
      .attributes = {{"alpha", AttrKind::Float, "steepness of the gate", 1.0f},
                     {"limit", AttrKind::Float,
                      "g is at most this, u within plus and minus this; 0: no limit", 0.0f},
                     {"up_offset", AttrKind::Float, "added to u", 0.0f}},
      .infer = infer_moe,
      .reference = reference_moe,
      .cost = cost_moe,
      .decompose = decompose_moe,
  });
}

}  // namespace naru
