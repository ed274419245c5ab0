// FlexAttention: attention whose scores and probabilities pass through sub-graphs of the model.
#include <algorithm>

#include "graph/onnx_dtype.h"
#include "graph/ops/attention.h"
#include "graph/ops/families.h"
#include "graph/ops/nn_rules.h"
#include "graph/scalar.h"

namespace naru {
namespace {

/// The type that sub-graphs see: the stated one, or that of Q, but no narrower than f32.
DType score_type(const Node& node, DType of_q) {
  const Attribute* stated = node.find("softmax_precision");
  if (stated != nullptr) return dtype_from_onnx(node.attr_int("softmax_precision"));
  return of_q == DType::F16 || of_q == DType::BF16 ? DType::F32 : of_q;
}

void infer_flex_attention(InferContext& ctx) {
  const DType dtype = expect_common_type(ctx, {0, 1, 2});
  expect_softmax_precision(ctx);
  const SymShape* q = expect_rank(ctx, 0, 4);
  const SymShape* k = expect_rank(ctx, 1, 4);
  const SymShape* v = expect_rank(ctx, 2, 4);
  SymShape scores(4), y(4);
  for (std::size_t i = 0; i < 4; ++i) {
    scores[i] = i < 3 && q != nullptr ? (*q)[i] : ctx.fresh_dim();
    y[i] = scores[i];
  }
  if (k != nullptr) scores[3] = (*k)[2];
  y[3] = v != nullptr ? (*v)[3] : ctx.fresh_dim();
  if (q != nullptr && k != nullptr) {
    expect_equal(ctx, (*k)[0], (*q)[0], "K: batch");
    expect_equal(ctx, (*k)[3], (*q)[3], "K: head size");
    const bool divides = !(*q)[1].is_known() || !(*k)[1].is_known() ||
                         ((*k)[1].value() > 0 && (*q)[1].value() % (*k)[1].value() == 0);
    ctx.require(divides, "Q: got {} heads, expected a multiple of the {} heads of K",
                (*q)[1].to_string(), (*k)[1].to_string());
  }
  if (k != nullptr && v != nullptr) {
    for (std::size_t axis : {0, 1, 2}) {
      expect_equal(ctx, (*v)[axis], (*k)[axis], fmt::format("V: axis {}", axis));
    }
  }
  const Type type = Type::tensor(score_type(ctx.node, dtype), scores);
  for (const char* attribute : {"score_mod", "prob_mod"}) {
    if (!ctx.node.has(attribute)) continue;
    const std::vector<Type> outputs = ctx.infer_subgraph(ctx.node.attr_graph(attribute), {type});
    ctx.require(outputs.size() == 1, "{}: got {} outputs, expected 1", attribute, outputs.size());
  }
  ctx.set_output(0, dtype, std::move(y));
}

HeadTensor read_heads(const Tensor& tensor) {
  const Shape& shape = tensor.shape();
  return {shape[0], shape[1], shape[2], shape[3], to_wide<double>(tensor)};
}

/// Passes all scores through the sub-graph that the attribute holds, when it holds one.
std::vector<double> through_graph(ReferenceContext& ctx, const char* attribute,
                                  std::vector<double> values, DType dtype, const Shape& shape) {
  if (!ctx.node.has(attribute)) return values;
  Tensor tensor(dtype, shape);
  from_wide<double>(values, tensor);
  const std::vector<Datum> outputs = ctx.run_subgraph(ctx.node.attr_graph(attribute), {tensor});
  const bool fits = outputs.size() == 1 && outputs[0].is_tensor() &&
                    outputs[0].tensor.defined() && outputs[0].tensor.shape() == shape;
  ctx.require(fits, "{}: got {}, expected a tensor of shape {}", attribute,
              outputs.empty() ? "no output" : to_string(outputs[0].tensor), to_string(shape));
  return to_wide<double>(outputs[0].tensor);
}

void reference_flex_attention(ReferenceContext& ctx) {
  const HeadTensor q = read_heads(ctx.input(0));
  const HeadTensor k = read_heads(ctx.input(1));
  const HeadTensor v = read_heads(ctx.input(2));
  const DType dtype = score_type(ctx.node, ctx.input(0).dtype());
  const Shape shape{q.batch, q.heads, q.length, k.length};
  const std::size_t head_size = static_cast<std::size_t>(q.length * k.length);

  // Sub-graphs see the scores of all heads at once, so the heads are walked twice.
  std::vector<double> scores;
  attend(q, k, v, attention_scale(ctx.node, q.size),
         [&](std::int64_t, std::int64_t, std::vector<double>& of_head) {
           scores.insert(scores.end(), of_head.begin(), of_head.end());
         });
  scores = through_graph(ctx, "score_mod", std::move(scores), dtype, shape);
  for (std::int64_t row = 0; row < shape.numel(0, 3); ++row) {
    softmax_row(scores.data() + row * k.length, k.length);
  }
  scores = through_graph(ctx, "prob_mod", std::move(scores), dtype, shape);
  const std::vector<double> y = attend(
      q, k, v, 0.0, [&](std::int64_t b, std::int64_t head, std::vector<double>& of_head) {
        const auto first = scores.begin() + (b * q.heads + head) * static_cast<std::int64_t>(head_size);
        std::copy_n(first, head_size, of_head.begin());
      });
  from_wide<double>(y, ctx.output(0));
}

Cost cost_flex_attention(const Node&, std::span<const Type> inputs,
                         std::span<const Type> outputs) {
  const Type& k = inputs[1];
  const double keys = k.shape && k.shape->size() == 4 && (*k.shape)[2].is_known()
                          ? static_cast<double>((*k.shape)[2].value())
                          : 0;
  return {2 * keys * (element_count(inputs[0]) + element_count(outputs[0])),
          total_bytes(inputs, outputs)};
}

}  // namespace

void define_flex_attention(std::vector<OpDef>& ops) {
  ops.push_back({
      .name = "FlexAttention",
      .domain = "ai.onnx.preview",
      .since_version = 1,
      .doc = "Attention whose scores and probabilities sub-graphs may change.",
      .source = "ONNX ai.onnx.preview.FlexAttention-1",
      .inputs = {{"Q", "[batch, heads, queries, size], f32|f16|bf16|f64"},
                 {"K", "[batch, kv heads, keys, size]"},
                 {"V", "[batch, kv heads, keys, v size]"}},
      .outputs = {{"Y", "[batch, heads, queries, v size]"}},
      .attributes = {{"prob_mod", AttrKind::Graph, "maps the probabilities, after softmax"},
                     {"scale", AttrKind::Float, "factor of the products; 1/sqrt(size) when absent"},
                     {"score_mod", AttrKind::Graph, "maps the scores, before softmax"},
                     {"softmax_precision", AttrKind::Int, "ONNX number of the softmax's type"}},
      .infer = infer_flex_attention,
      .reference = reference_flex_attention,
      .cost = cost_flex_attention,
      .dynamic_output = true,
  });
}

}  // namespace naru
