// NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss over class scores.
#include <algorithm>
#include <cmath>

#include "graph/ops/families.h"
#include "graph/ops/nn_rules.h"
#include "graph/scalar.h"

namespace naru {
namespace {

enum class Reduction : std::uint8_t { None, Sum, Mean };

Reduction reduction_of(const Node& node) {
  return static_cast<Reduction>(expect_choice(node, "reduction", {"none", "sum", "mean"}));
}

void infer_loss(InferContext& ctx) {
  const DType dtype = expect_common_type(ctx, {0, 2});
  expect_type(ctx, 1, kIndices);
  const Reduction reduction = reduction_of(ctx.node);
  const SymShape* scores = expect_min_rank(ctx, 0, 2);
  const SymShape* labels = expect_min_rank(ctx, 1, 1);
  expect_vector(ctx, 2, scores != nullptr ? (*scores)[1] : ctx.fresh_dim());
  std::optional<SymShape> samples;
  if (labels != nullptr) samples = *labels;
  if (scores != nullptr) {
    SymShape expected = *scores;
    expected.erase(expected.begin() + 1);
    if (labels != nullptr) {
      ctx.require(labels->size() == expected.size(), "{}: got shape {}, expected {}",
                  ctx.node.op->inputs[1].name, to_string(*labels), to_string(expected));
      for (std::size_t i = 0; i < expected.size(); ++i) {
        expected[i] = expect_equal(ctx, (*labels)[i], expected[i], ctx.node.op->inputs[1].name);
      }
    }
    samples = expected;
  }
  if (reduction != Reduction::None) {
    ctx.set_output(0, dtype, SymShape{});
  } else {
    ctx.set_output(0, samples ? Type::tensor(dtype, *samples) : Type::tensor(dtype));
  }
  Type log_probability = ctx.input(0);
  log_probability.dtype = dtype;
  ctx.set_output(1, std::move(log_probability));
}

/// Scores as [batch, classes, inner].
struct ScoreShape {
  std::int64_t batch, classes, inner;

  explicit ScoreShape(const Shape& shape)
      : batch(shape[0]), classes(shape[1]), inner(shape.numel(2, shape.rank())) {}

  std::size_t at(std::int64_t sample, std::int64_t label) const {
    return static_cast<std::size_t>((sample / inner * classes + label) * inner + sample % inner);
  }
};

/// The loss of logarithms of probabilities; sets output 0.
void store_loss(ReferenceContext& ctx, const std::vector<double>& logs) {
  const ScoreShape shape(ctx.input(0).shape());
  const std::vector<std::int64_t> labels = to_i64_vector(ctx.input(1));
  std::vector<double> class_weights(static_cast<std::size_t>(shape.classes), 1.0);
  if (ctx.has_input(2)) class_weights = to_wide<double>(ctx.input(2));
  const bool ignores = ctx.node.has("ignore_index");
  const std::int64_t ignored = ctx.node.attr_int_or("ignore_index", 0);
  std::vector<double> losses(labels.size(), 0.0);
  double sum = 0, weights = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const std::int64_t label = labels[i];
    if (ignores && label == ignored) continue;
    ctx.require(label >= 0 && label < shape.classes, "{}: got label {}, expected [0, {})",
                ctx.node.op->inputs[1].name, label, shape.classes);
    const double weight = class_weights[static_cast<std::size_t>(label)];
    losses[i] = -logs[shape.at(static_cast<std::int64_t>(i), label)] * weight;
    sum += losses[i];
    weights += weight;
  }
  Tensor& output = ctx.output(0);
  switch (reduction_of(ctx.node)) {
    case Reduction::None: return from_wide<double>(losses, output);
    case Reduction::Sum: return store_f64(output.dtype(), output.mutable_data(), 0, sum);
    case Reduction::Mean: return store_f64(output.dtype(), output.mutable_data(), 0, sum / weights);
  }
}

void reference_nll_loss(ReferenceContext& ctx) { store_loss(ctx, to_wide<double>(ctx.input(0))); }

void reference_cross_entropy(ReferenceContext& ctx) {
  const ScoreShape shape(ctx.input(0).shape());
  std::vector<double> logs = to_wide<double>(ctx.input(0));
  for (std::int64_t sample = 0; sample < shape.batch * shape.inner; ++sample) {
    double largest = logs.empty() ? 0.0 : logs[shape.at(sample, 0)];
    for (std::int64_t c = 1; c < shape.classes; ++c) {
      largest = std::max(largest, logs[shape.at(sample, c)]);
    }
    double sum = 0;
    for (std::int64_t c = 0; c < shape.classes; ++c) {
      sum += std::exp(logs[shape.at(sample, c)] - largest);
    }
    for (std::int64_t c = 0; c < shape.classes; ++c) {
      logs[shape.at(sample, c)] -= largest + std::log(sum);
    }
  }
  store_loss(ctx, logs);
  if (ctx.has_output(1)) from_wide<double>(logs, ctx.output(1));
}

std::vector<AttrSpec> loss_attributes() {
  return {{"ignore_index", AttrKind::Int, "a label that counts nothing"},
          {"reduction", AttrKind::String, "none, sum, or mean over the weights", "mean"}};
}

}  // namespace

void define_loss(std::vector<OpDef>& ops) {
  ops.push_back({
      .name = "NegativeLogLikelihoodLoss",
      .since_version = 22,
      .doc = "The negated logarithm of the probability of each label's class.",
      .source = "ONNX NegativeLogLikelihoodLoss-22",
      .inputs = {{"input", "[batch, classes, ...], logarithms of probabilities"},
                 {"target", "[batch, ...], i32|i64 labels"},
                 {"weight", "[classes]", Arity::Optional}},
      .outputs = {{"loss", "a scalar, or the shape of target without reduction"}},
      .attributes = loss_attributes(),
      .infer = infer_loss,
      .reference = reference_nll_loss,
      .cost = cost_per_input_element<1>,
  });
  ops.push_back({
      .name = "SoftmaxCrossEntropyLoss",
      .since_version = 13,
      .doc = "The negative log likelihood loss of the softmax of scores.",
      .source = "ONNX SoftmaxCrossEntropyLoss-13",
      .inputs = {{"scores", "[batch, classes, ...], f32|f16|bf16|f64"},
                 {"labels", "[batch, ...], i32|i64"},
                 {"weights", "[classes]", Arity::Optional}},
      .outputs = {{"output", "a scalar, or the shape of labels without reduction"},
                  {"log_prob", "the shape of scores", Arity::Optional}},
      .attributes = loss_attributes(),
      .infer = infer_loss,
      .reference = reference_cross_entropy,
      .cost = cost_per_input_element<6>,
  });
}

}  // namespace naru
