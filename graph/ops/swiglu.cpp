// SwiGLU: the gated activation of transformer feed-forward layers.
#include "graph/ops/activation.h"
#include "graph/ops/broadcast.h"
#include "graph/ops/families.h"
#include "graph/ops/nn_rules.h"
#include "graph/scalar.h"

namespace naru {
namespace {

void infer_swiglu(InferContext& ctx) {
  infer_broadcast(ctx, 0, 2, expect_common_type(ctx, {0, 1}));
}

void reference_swiglu(ReferenceContext& ctx) {
  const Tensor& a = ctx.input(0);
  const Tensor& b = ctx.input(1);
  const std::vector<double> gate = to_wide<double>(a);
  const std::vector<double> value = to_wide<double>(b);
  const double alpha = ctx.node.attr_float("alpha");
  Tensor& output = ctx.output(0);
  std::vector<double> y(static_cast<std::size_t>(output.numel()));
  for_each_broadcast<2>(output.shape(), {&a.shape(), &b.shape()}, [&](std::int64_t to, const auto& from) {
    const double x = gate[static_cast<std::size_t>(from[0])];
    y[static_cast<std::size_t>(to)] =
        x * sigmoid(alpha * x) * value[static_cast<std::size_t>(from[1])];
  });
  from_wide<double>(y, output);
}

bool decompose_swiglu(DecomposeContext& ctx) {
  const ValueId gate =
      ctx.add("Swish", {ctx.input(0)}, {{"alpha", ctx.node.attr_float("alpha")}});
  ctx.set_output(0, ctx.add("Mul", {gate, ctx.input(1)}));
  return true;
}

}  // namespace

void define_swiglu(std::vector<OpDef>& ops) {
  ops.push_back({
      .name = "SwiGLU",
      .since_version = 28,
      .doc = "A * sigmoid(alpha * A) * B.",
      .source = "ONNX SwiGLU-28",
      .inputs = {{"A", "the gate, f32|f16|bf16|f64"}, {"B", "the value, of A's shape"}},
      .outputs = {{"Y", "the shape of A"}},
      .attributes = {{"alpha", AttrKind::Float, "steepness of the gate", 1.0f}},
      .infer = infer_swiglu,
      .reference = reference_swiglu,
      .cost = cost_per_input_element<6>,
      .decompose = decompose_swiglu,
  });
}

}  // namespace naru
