// com.microsoft operators that ONNX Runtime's optimiser fuses: activations, normalizations, products.
#include "graph/ops/by_parts.h"
#include "graph/ops/families.h"

namespace naru {
namespace {

AttrSpec number(const char* name, float value) { return {name, AttrKind::Float, "", value}; }
AttrSpec integer(const char* name, std::int64_t value) { return {name, AttrKind::Int, "", value}; }
AttrSpec text(const char* name) { return {name, AttrKind::String, "", std::string()}; }

// Activations

bool gelu(DecomposeContext& ctx) {
  Parts p(ctx);
  p.set(0, p.add("Gelu", {p.in(0)}));
  return true;
}

bool fast_gelu(DecomposeContext& ctx) {
  Parts p(ctx);
  p.set(0, p.add("Gelu", {p.sum(p.in(0), p.in(1))}, {{"approximate", std::string("tanh")}}));
  return true;
}

bool quick_gelu(DecomposeContext& ctx) {
  Parts p(ctx);
  p.set(0, p.add("Swish", {p.in(0)}, {{"alpha", p.node.attr_float("alpha")}}));
  return true;
}

bool bias_gelu(DecomposeContext& ctx) {
  Parts p(ctx);
  p.set(0, p.add("Gelu", {p.sum(p.in(0), p.in(1))}));
  return true;
}

bool bias_split_gelu(DecomposeContext& ctx) {
  Parts p(ctx);
  const std::vector<ValueId> halves = ctx.add_multi("Split", {p.sum(p.in(0), p.in(1))}, 2, {{"axis", std::int64_t{-1}}, {"num_outputs", std::int64_t{2}}});
  p.set(0, p.add("Mul", {halves[0], p.add("Gelu", {halves[1]})}));
  return true;
}

bool bias_add(DecomposeContext& ctx) {
  Parts p(ctx);
  p.set(0, p.sum(p.sum(p.in(0), p.in(1)), p.in(2)));
  return true;
}

// Normalizations

/// 1 / sqrt(mean(x^2) + epsilon) from `axis` on.
ValueId inverse_rms(Parts& p, ValueId x, DType dtype, std::int64_t axis) {
  const ValueId mean = p.add("ReduceMean", {p.add("Mul", {x, x}), p.ctx.ints({axis})});
  return p.add("Reciprocal", {p.add("Sqrt", {p.add("Add", {mean, p.ctx.scalar(dtype, p.node.attr_float("epsilon"))})})});
}

bool skip_layer_norm(DecomposeContext& ctx) {
  Parts p(ctx);
  const ValueId sum = p.sum(p.sum(p.in(0), p.in(1)), p.in(4));
  const std::vector<ValueId> results = ctx.add_multi("LayerNormalization", {sum, p.in(2), p.in(3)}, 3, {{"axis", std::int64_t{-1}}, {"epsilon", p.node.attr_float("epsilon")}});
  for (std::size_t i = 0; i < 3; ++i) p.set(i, results[i]);
  p.set(3, sum);
  return true;
}

bool skip_simplified_layer_norm(DecomposeContext& ctx) {
  Parts p(ctx);
  const ValueId sum = p.sum(p.sum(p.in(0), p.in(1)), p.in(3));
  p.set(0, p.add("RMSNormalization", {sum, p.in(2)}, {{"axis", std::int64_t{-1}}, {"epsilon", p.node.attr_float("epsilon")}}));
  if (p.wants(2)) p.set(2, inverse_rms(p, sum, p.dtype(0), -1));
  p.set(3, sum);
  return true;
}

bool simplified_layer_norm(DecomposeContext& ctx) {
  Parts p(ctx);
  const std::int64_t axis = p.node.attr_int("axis");
  p.set(0, p.add("RMSNormalization", {p.in(0), p.in(1)}, {{"axis", axis}, {"epsilon", p.node.attr_float("epsilon")}, {"stash_type", p.node.attr_int("stash_type")}}));
  if (p.wants(1)) {
    const bool last = axis == -1 || (p.rank(0) && axis == *p.rank(0) - 1);
    if (!last) return false;
    p.set(1, inverse_rms(p, p.in(0), p.dtype(0), -1));
  }
  return true;
}

bool embed_layer_norm(DecomposeContext& ctx) {
  enum : std::size_t { kIds, kSegments, kWords, kPositions, kSegmentTable, kGamma, kBeta, kMask, kPositionIds };
  Parts p(ctx);
  ValueId sum = p.add("Gather", {p.in(kWords), p.in(kIds)});
  if (p.has(kPositionIds)) {
    sum = p.sum(sum, p.add("Gather", {p.in(kPositions), p.in(kPositionIds)}));
  } else {
    sum = p.sum(sum, p.add("Slice", {p.in(kPositions), ctx.ints({0}), p.length(p.in(kIds), 1), ctx.ints({0})}));
  }
  if (p.has(kSegments)) sum = p.sum(sum, p.add("Gather", {p.in(kSegmentTable), p.in(kSegments)}));
  p.set(0, p.add("LayerNormalization", {sum, p.in(kGamma), p.in(kBeta)}, {{"axis", std::int64_t{-1}}, {"epsilon", p.node.attr_float("epsilon")}}));
  if (p.wants(1)) {
    const ValueId counted = p.has(kMask) ? p.in(kMask) : p.add("Sub", {p.in(kIds), p.in(kIds)});
    p.set(1, p.add("ReduceSum", {counted, ctx.ints({1})}, {{"keepdims", std::int64_t{0}}}));
  }
  p.set(2, sum);
  return true;
}

// Products

/// The operand as FusedMatMul reads it: batch axes turned, then the last two.
ValueId turned(Parts& p, std::size_t i, bool batch, bool matrix) {
  const std::int64_t rank = *p.rank(i);
  if (rank < 2 || (!batch && !matrix)) return p.in(i);
  std::vector<std::int64_t> perm;
  for (std::int64_t axis = 0; axis < rank; ++axis) perm.push_back(axis);
  if (batch && rank > 2) {
    for (std::int64_t axis = 0; axis < rank - 2; ++axis) perm[static_cast<std::size_t>(axis)] = axis + 1;
    perm[static_cast<std::size_t>(rank - 2)] = 0;
  }
  if (matrix) std::swap(perm[static_cast<std::size_t>(rank - 2)], perm[static_cast<std::size_t>(rank - 1)]);
  return p.transpose(p.in(i), std::move(perm));
}

bool fused_matmul(DecomposeContext& ctx) {
  Parts p(ctx);
  if (!p.rank(0) || !p.rank(1) || p.dtype(0) == DType::Undefined) return false;
  const ValueId a = turned(p, 0, p.node.attr_int("transBatchA") != 0, p.node.attr_int("transA") != 0);
  const ValueId b = turned(p, 1, p.node.attr_int("transBatchB") != 0, p.node.attr_int("transB") != 0);
  ValueId y = p.add("MatMul", {a, b});
  const float alpha = p.node.attr_float("alpha");
  if (alpha != 1.0f) y = p.add("Mul", {y, ctx.scalar(p.dtype(0), alpha)});
  p.set(0, y);
  return true;
}

bool fused_gemm(DecomposeContext& ctx) {
  Parts p(ctx);
  Attributes gemm;
  for (const char* name : {"alpha", "beta"}) gemm[name] = p.node.attr_float(name);
  for (const char* name : {"transA", "transB"}) gemm[name] = p.node.attr_int(name);
  std::vector<float> params;
  for (const char* name : {"activation_alpha", "activation_beta", "activation_gamma"}) {
    if (p.node.has(name)) params.push_back(p.node.attr_float(name));
  }
  const ValueId y = p.activate(p.add("Gemm", {p.in(0), p.in(1), p.in(2)}, std::move(gemm)), p.dtype(0), p.node.attr_string("activation"), params);
  if (y == kNoValue) return false;
  p.set(0, y);
  return true;
}

/// The attributes that Conv knows.
Attributes conv_attributes(const Node& node) {
  Attributes attributes;
  for (const char* name : {"auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"}) {
    if (const Attribute* value = node.find(name)) attributes[name] = *value;
  }
  return attributes;
}

bool fused_conv(DecomposeContext& ctx) {
  Parts p(ctx);
  const ValueId conv = p.add("Conv", {p.in(0), p.in(1), p.in(2)}, conv_attributes(p.node));
  std::vector<float> params;
  if (p.node.has("activation_params")) params = p.node.attr_floats("activation_params");
  const ValueId y = p.activate(p.sum(conv, p.in(3)), p.dtype(0), p.node.attr_string("activation"), params);
  if (y == kNoValue) return false;
  p.set(0, y);
  return true;
}

bool nhwc_conv(DecomposeContext& ctx) {
  Parts p(ctx);
  const std::optional<std::int64_t> rank = p.rank(0);
  if (!rank || *rank < 3) return false;
  const ValueId y = p.add("Conv", {p.channels_first(p.in(0), *rank), p.in(1), p.in(2)}, conv_attributes(p.node));
  p.set(0, p.channels_last(y, *rank));
  return true;
}

std::vector<AttrSpec> conv_specs() {
  return {{"auto_pad", AttrKind::String, "", std::string("NOTSET")}, {"dilations", AttrKind::Ints, ""}, integer("group", 1),
          {"kernel_shape", AttrKind::Ints, ""}, {"pads", AttrKind::Ints, ""}, {"strides", AttrKind::Ints, ""}};
}

std::vector<AttrSpec> gemm_specs() {
  return {number("alpha", 1), number("beta", 1), integer("transA", 0), integer("transB", 0), text("activation"),
          {"activation_alpha", AttrKind::Float, ""}, {"activation_beta", AttrKind::Float, ""}, {"activation_gamma", AttrKind::Float, ""}};
}

std::vector<AttrSpec> matmul_specs() {
  return {number("alpha", 1), integer("transA", 0), integer("transB", 0), integer("transBatchA", 0), integer("transBatchB", 0)};
}

std::vector<AttrSpec> fused_conv_specs() {
  std::vector<AttrSpec> specs = conv_specs();
  specs.push_back(text("activation"));
  specs.push_back({"activation_params", AttrKind::Floats, ""});
  return specs;
}

}  // namespace

void define_contrib_layers(std::vector<OpDef>& ops) {
  ops.push_back(by_parts("Gelu", "x * normal distribution function of x.", {"X"}, {"Y"}, {}, gelu));
  ops.push_back(by_parts("FastGelu", "Gelu by tanh, after a bias.", {"X", "bias?"}, {"Y"}, {}, fast_gelu));
  ops.push_back(by_parts("QuickGelu", "x * sigmoid(alpha * x).", {"X"}, {"Y"}, {number("alpha", 1.702f)}, quick_gelu));
  ops.push_back(by_parts("BiasGelu", "Gelu(A + B).", {"A", "B"}, {"C"}, {}, bias_gelu));
  ops.push_back(by_parts("BiasSplitGelu", "The first half times Gelu of the second, after a bias.", {"X", "bias"}, {"Y"}, {}, bias_split_gelu));
  ops.push_back(by_parts("BiasAdd", "X + bias + skip.", {"X", "bias", "skip"}, {"Y"}, {}, bias_add));
  ops.push_back(by_parts("SkipLayerNormalization", "Layer normalization of input + skip + bias.", {"input", "skip", "gamma", "beta?", "bias?"},
                         {"output", "mean?", "inv_std_var?", "input_skip_bias_sum?"}, {number("epsilon", 1e-12f)}, skip_layer_norm));
  ops.push_back(by_parts("SkipSimplifiedLayerNormalization", "RMS normalization of input + skip + bias.", {"input", "skip", "gamma", "bias?"},
                         {"output", "mean?", "inv_std_var?", "input_skip_bias_sum?"}, {number("epsilon", 1e-12f)}, skip_simplified_layer_norm));
  OpDef simplified = by_parts("SimplifiedLayerNormalization", "RMS normalization.", {"X", "scale"}, {"Y", "inv_std_var?"},
                              {number("epsilon", 1e-5f), integer("axis", -1), integer("stash_type", 1)}, simplified_layer_norm);
  simplified.domain = "";  // where ONNX Runtime has it
  ops.push_back(std::move(simplified));
  ops.push_back(by_parts("EmbedLayerNormalization", "Layer normalization of the sum of word, position and segment embeddings.",
                         {"input_ids", "segment_ids?", "word_embedding", "position_embedding", "segment_embedding?", "gamma", "beta", "mask?", "position_ids?"},
                         {"output", "mask_index?", "embedding_sum?"}, {number("epsilon", 1e-12f), integer("mask_index_type", 0)}, embed_layer_norm));
  for (const char* name : {"FusedMatMul", "TransposeMatMul"}) {
    ops.push_back(by_parts(name, "alpha * A B, either one transposed.", {"A", "B"}, {"Y"}, matmul_specs(), fused_matmul));
  }
  ops.push_back(by_parts("FusedGemm", "Gemm and an activation.", {"A", "B", "C?"}, {"Y"}, gemm_specs(), fused_gemm));
  ops.push_back(by_parts("FusedConv", "Conv, a sum with Z, and an activation.", {"X", "W", "B?", "Z?"}, {"Y"}, fused_conv_specs(), fused_conv));
  ops.push_back(by_parts("NhwcConv", "Conv with channels last.", {"X", "W", "B?"}, {"Y"}, conv_specs(), nhwc_conv));
}

}  // namespace naru
