// Normalisations: batch, instance, layer, group, RMS, Lp, mean-variance and local response.
#include <algorithm>
#include <cmath>

#include "graph/onnx_dtype.h"
#include "graph/ops/families.h"
#include "graph/ops/nn_rules.h"
#include "graph/ops/wide_math.h"
#include "graph/scalar.h"

namespace naru {
namespace {

/// Mean and population variance of a run of values.
struct Moments {
  double mean = 0;
  double variance = 0;
};

Moments moments_of(const double* values, std::int64_t count) {
  Moments moments;
  for (std::int64_t i = 0; i < count; ++i) moments.mean += values[i];
  moments.mean /= static_cast<double>(count);
  for (std::int64_t i = 0; i < count; ++i) {
    const double difference = values[i] - moments.mean;
    moments.variance += difference * difference;
  }
  moments.variance /= static_cast<double>(count);
  return moments;
}

double epsilon_of(const Node& node) { return static_cast<double>(node.attr_float("epsilon")); }

// BatchNormalization

void infer_batch_normalization(InferContext& ctx) {
  expect_type(ctx, 0, kFloats);
  expect_common_type(ctx, {1, 2});
  const DType statistics = expect_common_type(ctx, {3, 4});
  const bool training = ctx.node.attr_int("training_mode") != 0;
  ctx.require(training || (!ctx.node.has_output(1) && !ctx.node.has_output(2)),
              "outputs: got running statistics, expected only Y without training_mode");
  Dim channels = ctx.fresh_dim();
  if (const SymShape* x = expect_min_rank(ctx, 0, 1)) {
    channels = x->size() == 1 ? Dim(1) : (*x)[1];
  }
  for (std::size_t i = 1; i <= 4; ++i) {
    if (const SymShape* parameter = expect_rank(ctx, i, 1)) {
      channels = expect_equal(ctx, (*parameter)[0], channels, "channels");
    }
  }
  ctx.set_output(0, ctx.input(0));
  ctx.set_output(1, statistics, {channels});
  ctx.set_output(2, statistics, {channels});
}

/// [batch, channels, inner] of a tensor; a vector has one channel.
struct ChannelView {
  std::int64_t batch = 1;
  std::int64_t channels = 1;
  std::int64_t inner = 1;

  explicit ChannelView(const Shape& shape)
      : batch(shape[0]),
        channels(shape.rank() > 1 ? shape[1] : 1),
        inner(shape.rank() > 2 ? shape.numel(2, shape.rank()) : 1) {}

  /// Calls `visit(first index, count)` for each dense run of a channel.
  template <typename Visit>
  void each_run(std::int64_t channel, Visit visit) const {
    for (std::int64_t n = 0; n < batch; ++n) visit((n * channels + channel) * inner, inner);
  }
};

std::vector<Moments> channel_moments(const ChannelView& view, const std::vector<double>& x) {
  std::vector<Moments> result;
  std::vector<double> values;
  for (std::int64_t c = 0; c < view.channels; ++c) {
    values.clear();
    view.each_run(c, [&](std::int64_t first, std::int64_t count) {
      values.insert(values.end(), x.begin() + first, x.begin() + first + count);
    });
    result.push_back(moments_of(values.data(), static_cast<std::int64_t>(values.size())));
  }
  return result;
}

void store_running(ReferenceContext& ctx, std::size_t output, const std::vector<double>& old,
                   const std::vector<double>& current) {
  if (!ctx.has_output(output)) return;
  const double momentum = ctx.node.attr_float("momentum");
  std::vector<double> values(old.size());
  for (std::size_t c = 0; c < old.size(); ++c) {
    values[c] = old[c] * momentum + current[c] * (1 - momentum);
  }
  from_wide<double>(values, ctx.output(output));
}

void reference_batch_normalization(ReferenceContext& ctx) {
  const ChannelView view(ctx.input(0).shape());
  std::vector<double> x = to_wide<double>(ctx.input(0));
  const std::vector<double> scale = to_wide<double>(ctx.input(1));
  const std::vector<double> bias = to_wide<double>(ctx.input(2));
  std::vector<double> mean = to_wide<double>(ctx.input(3));
  std::vector<double> variance = to_wide<double>(ctx.input(4));
  if (ctx.node.attr_int("training_mode") != 0) {
    std::vector<double> current_mean, current_variance;
    for (const Moments& moments : channel_moments(view, x)) {
      current_mean.push_back(moments.mean);
      current_variance.push_back(moments.variance);
    }
    store_running(ctx, 1, mean, current_mean);
    store_running(ctx, 2, variance, current_variance);
    mean = std::move(current_mean);
    variance = std::move(current_variance);
  }
  for (std::int64_t c = 0; c < view.channels; ++c) {
    const auto at = static_cast<std::size_t>(c);
    const double factor = scale[at] / std::sqrt(variance[at] + epsilon_of(ctx.node));
    view.each_run(c, [&](std::int64_t first, std::int64_t count) {
      for (std::int64_t i = first; i < first + count; ++i) {
        double& value = x[static_cast<std::size_t>(i)];
        value = (value - mean[at]) * factor + bias[at];
      }
    });
  }
  from_wide<double>(x, ctx.output(0));
}

/// Mean and variance over `axes` in a type wide enough for sums.
struct MomentParts {
  DType dtype = DType::F32;
  ValueId x = kNoValue, mean = kNoValue, difference = kNoValue, variance = kNoValue;

  /// The dimensions of `axes` stay as ones.
  MomentParts(DecomposeContext& ctx, std::vector<std::int64_t> axes) {
    if (ctx.type(ctx.input(0)).dtype == DType::F64) dtype = DType::F64;
    x = ctx.add("Cast", {ctx.input(0)}, {{"to", onnx_code(dtype)}});
    const ValueId over = ctx.ints(std::move(axes));
    mean = ctx.add("ReduceMean", {x, over});
    difference = ctx.add("Sub", {x, mean});
    variance = ctx.add("ReduceMean", {ctx.add("Mul", {difference, difference}), over});
  }
};

/// In training, the statistics are those of the batch; the rest is the operator without training.
bool decompose_batch_normalization(DecomposeContext& ctx) {
  const Type& x = ctx.type(ctx.input(0));
  const DType statistics = ctx.type(ctx.input(3)).dtype;
  if (ctx.node.attr_int("training_mode") == 0 || !x.shape || x.shape->size() < 2 || statistics == DType::Undefined) return false;
  std::vector<std::int64_t> axes;
  for (std::size_t axis = 0; axis < x.shape->size(); ++axis) {
    if (axis != 1) axes.push_back(static_cast<std::int64_t>(axis));
  }
  const MomentParts moments(ctx, axes);
  const ValueId flat = ctx.ints({-1});
  std::vector<ValueId> inputs{ctx.input(0), ctx.input(1), ctx.input(2)};
  const double momentum = static_cast<double>(ctx.node.attr_float("momentum"));
  std::size_t i = 1;
  for (const ValueId own : {moments.mean, moments.variance}) {
    const ValueId current = ctx.add("Cast", {ctx.add("Reshape", {own, flat})}, {{"to", onnx_code(statistics)}});
    inputs.push_back(current);
    if (ctx.node.has_output(i)) {
      const ValueId before = ctx.add("Mul", {ctx.input(i + 2), ctx.scalar(statistics, momentum)});
      ctx.set_output(i, ctx.add("Add", {before, ctx.add("Mul", {current, ctx.scalar(statistics, 1 - momentum)})}));
    }
    ++i;
  }
  ctx.set_output(0, ctx.add("BatchNormalization", std::move(inputs), {{"epsilon", ctx.node.attr_float("epsilon")}}));
  return true;
}

// InstanceNormalization and GroupNormalization

void infer_instance_normalization(InferContext& ctx) {
  expect_common_type(ctx, {0, 1, 2});
  const SymShape* x = expect_min_rank(ctx, 0, 3);
  const Dim channels = x != nullptr ? (*x)[1] : ctx.fresh_dim();
  expect_vector(ctx, 1, channels);
  expect_vector(ctx, 2, channels);
  ctx.set_output(0, ctx.input(0));
}

void infer_group_normalization(InferContext& ctx) {
  expect_common_type(ctx, {0, 1, 2});
  const std::int64_t groups = ctx.node.attr_int("num_groups");
  ctx.require(groups >= 1, "num_groups: got {}, expected 1 or more", groups);
  const SymShape* x = expect_min_rank(ctx, 0, 2);
  const Dim channels = x != nullptr ? (*x)[1] : ctx.fresh_dim();
  ctx.require(!channels.is_known() || channels.value() % groups == 0,
              "X: got {} channels, expected a multiple of num_groups {}", channels.to_string(),
              groups);
  expect_vector(ctx, 1, channels);
  expect_vector(ctx, 2, channels);
  ctx.set_output(0, ctx.input(0));
}

/// Normalises `groups` runs of channels of each image, then scales and shifts each channel.
void normalize_groups(ReferenceContext& ctx, std::int64_t groups) {
  const ChannelView view(ctx.input(0).shape());
  std::vector<double> x = to_wide<double>(ctx.input(0));
  const std::vector<double> scale = to_wide<double>(ctx.input(1));
  const std::vector<double> bias = to_wide<double>(ctx.input(2));
  const std::int64_t per_group = view.channels / std::max<std::int64_t>(groups, 1);
  const std::int64_t count = per_group * view.inner;
  for (std::int64_t group = 0; count > 0 && group < view.batch * groups; ++group) {
    double* const values = x.data() + group * count;
    const Moments moments = moments_of(values, count);
    const double factor = 1 / std::sqrt(moments.variance + epsilon_of(ctx.node));
    for (std::int64_t i = 0; i < count; ++i) {
      const auto c = static_cast<std::size_t>(group % groups * per_group + i / view.inner);
      values[i] = (values[i] - moments.mean) * factor * scale[c] + bias[c];
    }
  }
  from_wide<double>(x, ctx.output(0));
}

void reference_instance_normalization(ReferenceContext& ctx) {
  normalize_groups(ctx, ctx.input(0).shape()[1]);
}

void reference_group_normalization(ReferenceContext& ctx) {
  normalize_groups(ctx, ctx.node.attr_int("num_groups"));
}

// LayerNormalization and RMSNormalization

/// The type of the statistics: the ONNX numbers of f32 and bf16 are allowed.
DType stash_type(const InferContext& ctx) {
  const DType dtype = dtype_from_onnx(ctx.node.attr_int("stash_type"));
  ctx.require(is_float(dtype), "stash_type: got {}, expected a float type", to_string(dtype));
  return dtype;
}

void infer_layer_normalization(InferContext& ctx) {
  const DType dtype = expect_common_type(ctx, {0, 1, 2});
  const DType stash = stash_type(ctx);
  const SymShape* x = expect_min_rank(ctx, 0, 1);
  if (x == nullptr) {
    ctx.set_output(0, dtype);
    ctx.set_output(1, stash);
    ctx.set_output(2, stash);
    return;
  }
  const std::int64_t axis = ctx.normalize_axis(ctx.node.attr_int("axis"),
                                               static_cast<std::int64_t>(x->size()));
  expect_broadcasts_to(ctx, 1, *x);
  expect_broadcasts_to(ctx, 2, *x);
  SymShape statistics = *x;
  std::fill(statistics.begin() + axis, statistics.end(), Dim(1));
  ctx.set_output(0, dtype, *x);
  ctx.set_output(1, stash, statistics);
  ctx.set_output(2, stash, statistics);
}

void infer_rms_normalization(InferContext& ctx) {
  expect_type(ctx, 0, kFloats);
  expect_type(ctx, 1, kFloats);
  stash_type(ctx);
  const SymShape* x = expect_min_rank(ctx, 0, 1);
  if (x == nullptr) return ctx.set_output(0, ctx.dtype(1));
  ctx.normalize_axis(ctx.node.attr_int("axis"), static_cast<std::int64_t>(x->size()));
  expect_broadcasts_to(ctx, 1, *x);
  ctx.set_output(0, ctx.dtype(1), *x);
}

/// Rows of a tensor normalised from `axis` on.
struct Rows {
  std::int64_t count;
  std::int64_t length;
};

Rows rows_of(const ReferenceContext& ctx) {
  const Shape& shape = ctx.input(0).shape();
  const std::int64_t axis = ctx.normalize_axis(ctx.node.attr_int("axis"), shape.rank());
  return {shape.numel(0, axis), shape.numel(axis, shape.rank())};
}

void multiply(std::vector<double>& values, const std::vector<double>& factors) {
  for (std::size_t i = 0; i < values.size(); ++i) values[i] *= factors[i];
}

void add(std::vector<double>& values, const std::vector<double>& addends) {
  for (std::size_t i = 0; i < values.size(); ++i) values[i] += addends[i];
}

void reference_layer_normalization(ReferenceContext& ctx) {
  const Tensor& input = ctx.input(0);
  const Rows rows = rows_of(ctx);
  std::vector<double> x = to_wide<double>(input);
  std::vector<double> means, factors;
  for (std::int64_t r = 0; r < rows.count; ++r) {
    double* const row = x.data() + r * rows.length;
    const Moments moments = moments_of(row, rows.length);
    const double factor = 1 / std::sqrt(moments.variance + epsilon_of(ctx.node));
    for (std::int64_t i = 0; i < rows.length; ++i) row[i] = (row[i] - moments.mean) * factor;
    means.push_back(moments.mean);
    factors.push_back(factor);
  }
  multiply(x, broadcast_values(ctx.input(1), input.shape()));
  if (ctx.has_input(2)) add(x, broadcast_values(ctx.input(2), input.shape()));
  from_wide<double>(x, ctx.output(0));
  if (ctx.has_output(1)) from_wide<double>(means, ctx.output(1));
  if (ctx.has_output(2)) from_wide<double>(factors, ctx.output(2));
}

void reference_rms_normalization(ReferenceContext& ctx) {
  const Tensor& input = ctx.input(0);
  const Rows rows = rows_of(ctx);
  std::vector<double> x = to_wide<double>(input);
  for (std::int64_t r = 0; r < rows.count; ++r) {
    double* const row = x.data() + r * rows.length;
    double squares = 0;
    for (std::int64_t i = 0; i < rows.length; ++i) squares += row[i] * row[i];
    const double mean = squares / static_cast<double>(rows.length);
    const double factor = 1 / std::sqrt(mean + epsilon_of(ctx.node));
    for (std::int64_t i = 0; i < rows.length; ++i) row[i] *= factor;
  }
  multiply(x, broadcast_values(ctx.input(1), input.shape()));
  from_wide<double>(x, ctx.output(0));
}

// LpNormalization

void infer_lp_normalization(InferContext& ctx) {
  const std::int64_t p = ctx.node.attr_int("p");
  ctx.require(p == 1 || p == 2, "p: got {}, expected 1 or 2", p);
  if (const SymShape* x = expect_min_rank(ctx, 0, 1)) {
    ctx.normalize_axis(ctx.node.attr_int("axis"), static_cast<std::int64_t>(x->size()));
  }
  infer_like_input(ctx);
}

void reference_lp_normalization(ReferenceContext& ctx) {
  const Shape& shape = ctx.input(0).shape();
  const std::int64_t axis = ctx.normalize_axis(ctx.node.attr_int("axis"), shape.rank());
  const std::int64_t outer = shape.numel(0, axis);
  const std::int64_t length = shape[axis];
  const std::int64_t inner = shape.numel(axis + 1, shape.rank());
  const bool squares = ctx.node.attr_int("p") == 2;
  std::vector<double> x = to_wide<double>(ctx.input(0));
  for (std::int64_t o = 0; o < outer; ++o) {
    for (std::int64_t i = 0; i < inner; ++i) {
      double* const line = x.data() + o * length * inner + i;
      double norm = 0;
      for (std::int64_t k = 0; k < length; ++k) {
        const double value = line[k * inner];
        norm += squares ? value * value : std::fabs(value);
      }
      if (squares) norm = std::sqrt(norm);
      // A zero vector stays zero.
      for (std::int64_t k = 0; norm != 0 && k < length; ++k) line[k * inner] /= norm;
    }
  }
  from_wide<double>(x, ctx.output(0));
}

// MeanVarianceNormalization

/// Of the operator's function body.
constexpr double kMeanVarianceEpsilon = 1e-9;

void infer_mean_variance_normalization(InferContext& ctx) {
  if (ctx.has_input(0) && ctx.shape(0) != nullptr) {
    const auto rank = static_cast<std::int64_t>(ctx.shape(0)->size());
    for (std::int64_t axis : ctx.node.attr_ints("axes")) ctx.normalize_axis(axis, rank);
  }
  infer_like_input(ctx);
}

void reference_mean_variance_normalization(ReferenceContext& ctx) {
  const Shape& shape = ctx.input(0).shape();
  // The statistics' slot of each element: its index over the axes that are kept.
  Shape kept = shape;
  for (std::int64_t axis : ctx.node.attr_ints("axes")) {
    kept[ctx.normalize_axis(axis, shape.rank())] = 1;
  }
  std::vector<double> x = to_wide<double>(ctx.input(0));
  const std::vector<std::int64_t> strides = kept.strides();
  std::vector<std::size_t> slots(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    auto rest = static_cast<std::int64_t>(i);
    std::int64_t slot = 0;
    for (std::int64_t axis = shape.rank() - 1; axis >= 0; --axis) {
      if (kept[axis] != 1) slot += rest % shape[axis] * strides[static_cast<std::size_t>(axis)];
      rest /= shape[axis];
    }
    slots[i] = static_cast<std::size_t>(slot);
  }
  std::vector<Moments> moments(static_cast<std::size_t>(kept.numel()));
  const double count = static_cast<double>(x.size()) / static_cast<double>(moments.size());
  for (std::size_t i = 0; i < x.size(); ++i) moments[slots[i]].mean += x[i] / count;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double difference = x[i] - moments[slots[i]].mean;
    moments[slots[i]].variance += difference * difference / count;
  }
  for (std::size_t i = 0; i < x.size(); ++i) {
    const Moments& own = moments[slots[i]];
    x[i] = (x[i] - own.mean) / (std::sqrt(own.variance) + kMeanVarianceEpsilon);
  }
  from_wide<double>(x, ctx.output(0));
}

bool decompose_mean_variance_normalization(DecomposeContext& ctx) {
  if (ctx.type(ctx.input(0)).dtype == DType::Undefined) return false;
  const MomentParts moments(ctx, ctx.node.attr_ints("axes"));
  const ValueId deviation = ctx.add("Add", {ctx.add("Sqrt", {moments.variance}), ctx.scalar(moments.dtype, kMeanVarianceEpsilon)});
  const ValueId y = ctx.add("Div", {moments.difference, deviation});
  ctx.set_output(0, ctx.add("Cast", {y}, {{"to", onnx_code(ctx.type(ctx.input(0)).dtype)}}));
  return true;
}

// LRN

void infer_lrn(InferContext& ctx) {
  ctx.require(ctx.node.attr_int("size") >= 1, "size: got {}, expected 1 or more",
              ctx.node.attr_int("size"));
  expect_min_rank(ctx, 0, 2);
  infer_like_input(ctx);
}

void reference_lrn(ReferenceContext& ctx) {
  const ChannelView view(ctx.input(0).shape());
  const std::int64_t size = ctx.node.attr_int("size");
  const double alpha = ctx.node.attr_float("alpha");
  const double beta = ctx.node.attr_float("beta");
  const double bias = ctx.node.attr_float("bias");
  const std::vector<double> x = to_wide<double>(ctx.input(0));
  std::vector<double> y(x.size());
  const std::int64_t before = (size - 1) / 2;
  const std::int64_t after = size - 1 - before;
  for (std::int64_t n = 0; n < view.batch; ++n) {
    const std::int64_t image = n * view.channels * view.inner;
    for (std::int64_t c = 0; c < view.channels; ++c) {
      const std::int64_t first = std::max<std::int64_t>(0, c - before);
      const std::int64_t last = c + std::min(after, view.channels - 1 - c);
      for (std::int64_t i = 0; i < view.inner; ++i) {
        double squares = 0;
        for (std::int64_t k = first; k <= last; ++k) {
          const double value = x[static_cast<std::size_t>(image + k * view.inner + i)];
          squares += value * value;
        }
        const auto at = static_cast<std::size_t>(image + c * view.inner + i);
        y[at] = x[at] / std::pow(bias + alpha / static_cast<double>(size) * squares, beta);
      }
    }
  }
  from_wide<double>(y, ctx.output(0));
}

AttrSpec epsilon_attribute() {
  return {"epsilon", AttrKind::Float, "added to the variance", 1e-5f};
}

AttrSpec stash_attribute() {
  return {"stash_type", AttrKind::Int, "ONNX number of the type of the statistics",
          std::int64_t{1}};
}

AttrSpec axis_attribute(const char* doc) { return {"axis", AttrKind::Int, doc, std::int64_t{-1}}; }

}  // namespace

void define_normalization(std::vector<OpDef>& ops) {
  ops.push_back({
      .name = "BatchNormalization",
      .since_version = 15,
      .doc = "Normalises each channel by given statistics, or by its own in training mode.",
      .source = "ONNX BatchNormalization-15",
      .inputs = {{"X", "[batch, channels, spatial...], f32|f16|bf16|f64"},
                 {"scale", "[channels]"},
                 {"B", "[channels]"},
                 {"input_mean", "[channels]"},
                 {"input_var", "[channels]"}},
      .outputs = {{"Y", "the shape of X"},
                  {"running_mean", "[channels], training mode only", Arity::Optional},
                  {"running_var", "[channels], training mode only", Arity::Optional}},
      .attributes = {epsilon_attribute(),
                     {"momentum", AttrKind::Float, "weight of the old running statistics", 0.9f},
                     {"training_mode", AttrKind::Int, "1: use the batch's statistics",
                      std::int64_t{0}}},
      .infer = infer_batch_normalization,
      .reference = reference_batch_normalization,
      .cost = cost_per_input_element<2>,
      .decompose = decompose_batch_normalization,
  });
  ops.push_back({
      .name = "InstanceNormalization",
      .since_version = 22,
      .doc = "Normalises each channel of each image by its own mean and variance.",
      .source = "ONNX InstanceNormalization-22",
      .inputs = {{"input", "[batch, channels, spatial...], f32|f16|bf16|f64"},
                 {"scale", "[channels]"},
                 {"B", "[channels]"}},
      .outputs = {{"output", "the shape of input"}},
      .attributes = {epsilon_attribute()},
      .infer = infer_instance_normalization,
      .reference = reference_instance_normalization,
      .cost = cost_per_input_element<7>,
  });
  ops.push_back({
      .name = "GroupNormalization",
      .since_version = 21,
      .doc = "Normalises groups of channels of each image, then scales each channel.",
      .source = "ONNX GroupNormalization-21",
      .inputs = {{"X", "[batch, channels, spatial...], f32|f16|bf16|f64"},
                 {"scale", "[channels]"},
                 {"bias", "[channels]"}},
      .outputs = {{"Y", "the shape of X"}},
      .attributes = {epsilon_attribute(),
                     {"num_groups", AttrKind::Int, "divides the channels", std::nullopt, true},
                     stash_attribute()},
      .infer = infer_group_normalization,
      .reference = reference_group_normalization,
      .cost = cost_per_input_element<7>,
  });
  ops.push_back({
      .name = "LayerNormalization",
      .since_version = 17,
      .doc = "Normalises over the axes from `axis` on, then scales and shifts.",
      .source = "ONNX LayerNormalization-17",
      .inputs = {{"X", "f32|f16|bf16|f64"},
                 {"Scale", "broadcasts to X"},
                 {"B", "broadcasts to X", Arity::Optional}},
      .outputs = {{"Y", "the shape of X"},
                  {"Mean", "the shape of X with 1 from `axis` on", Arity::Optional},
                  {"InvStdDev", "as Mean", Arity::Optional}},
      .attributes = {axis_attribute("first normalised axis"), epsilon_attribute(),
                     stash_attribute()},
      .infer = infer_layer_normalization,
      .reference = reference_layer_normalization,
      .cost = cost_per_input_element<8>,
  });
  ops.push_back({
      .name = "RMSNormalization",
      .since_version = 23,
      .doc = "Divides by the root of the mean square over the axes from `axis` on, then scales.",
      .source = "ONNX RMSNormalization-23",
      .inputs = {{"X", "f32|f16|bf16|f64"}, {"scale", "broadcasts to X; its type is the result's"}},
      .outputs = {{"Y", "the shape of X, the type of scale"}},
      .attributes = {axis_attribute("first normalised axis"), epsilon_attribute(),
                     stash_attribute()},
      .infer = infer_rms_normalization,
      .reference = reference_rms_normalization,
      .cost = cost_per_input_element<4>,
  });
  ops.push_back({
      .name = "LpNormalization",
      .since_version = 22,
      .doc = "Divides vectors along an axis by their L1 or L2 norm; zero vectors stay zero.",
      .source = "ONNX LpNormalization-22",
      .inputs = {{"input", "f32|f16|bf16|f64"}},
      .outputs = {{"output", "the shape of input"}},
      .attributes = {axis_attribute("axis of the vectors"),
                     {"p", AttrKind::Int, "1 or 2", std::int64_t{2}}},
      .infer = infer_lp_normalization,
      .reference = reference_lp_normalization,
      .cost = cost_per_input_element<3>,
  });
  ops.push_back({
      .name = "MeanVarianceNormalization",
      .since_version = 13,
      .doc = "Subtracts the mean and divides by the standard deviation over some axes.",
      .source = "ONNX MeanVarianceNormalization-13",
      .inputs = {{"X", "f32|f16|bf16|f64"}},
      .outputs = {{"Y", "the shape of X"}},
      .attributes = {{"axes", AttrKind::Ints, "axes of the statistics",
                      std::vector<std::int64_t>{0, 2, 3}}},
      .infer = infer_mean_variance_normalization,
      .reference = reference_mean_variance_normalization,
      .cost = cost_per_input_element<6>,
      .decompose = decompose_mean_variance_normalization,
  });
  ops.push_back({
      .name = "LRN",
      .since_version = 13,
      .doc = "Local response normalisation: damps a value by the squares of nearby channels.",
      .source = "ONNX LRN-13",
      .inputs = {{"X", "[batch, channels, spatial...], f32|f16|bf16|f64"}},
      .outputs = {{"Y", "the shape of X"}},
      .attributes = {{"alpha", AttrKind::Float, "weight of the mean square", 0.0001f},
                     {"beta", AttrKind::Float, "exponent", 0.75f},
                     {"bias", AttrKind::Float, "added to the mean square", 1.0f},
                     {"size", AttrKind::Int, "channels summed over", std::nullopt, true}},
      .infer = infer_lrn,
      .reference = reference_lrn,
      .cost = cost_per_input_element<10>,
  });
}

}  // namespace naru
