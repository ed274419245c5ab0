// Conv, ConvTranspose, ConvInteger: N-dimensional convolutions over grouped channels.
#include "graph/ops/conv.h"

#include <algorithm>

#include "graph/checked.h"
#include "graph/ops/families.h"
#include "graph/ops/nn_rules.h"
#include "graph/ops/wide_math.h"
#include "graph/scalar.h"

namespace naru {
namespace {

/// How many windows of `taps` elements are unfolded at once: about a megabyte, to stay in cache.
std::int64_t patch_block(std::int64_t taps) {
  return std::clamp<std::int64_t>((1 << 17) / std::max<std::int64_t>(taps, 1), 64, 1024);
}

/// Spatial sizes of weights when they are all known.
std::optional<std::vector<std::int64_t>> known_tail(const SymShape& shape) {
  const std::optional<Shape> tail = known_shape(SymShape(shape.begin() + 2, shape.end()));
  if (!tail) return std::nullopt;
  return tail->dims();
}

/// The kernel from the attribute, checked against the weights where both are known.
std::optional<std::vector<std::int64_t>> kernel_of(const InferContext& ctx, const SymShape* w) {
  const std::vector<std::int64_t> stated = ctx.node.attr_ints_or("kernel_shape", {});
  std::optional<std::vector<std::int64_t>> actual;
  if (w != nullptr) actual = known_tail(*w);
  if (stated.empty()) return actual;
  ctx.require(w == nullptr || stated.size() + 2 == w->size(),
              "kernel_shape: got {} values, expected {}", stated.size(),
              w == nullptr ? 0 : w->size() - 2);
  ctx.require(!actual || *actual == stated, "kernel_shape: got {}, expected that of the weights {}",
              to_string(Shape(stated)), w == nullptr ? "" : to_string(*w));
  return stated;
}

/// Ranks of data and weights agree and are 3 or more.
void expect_conv_ranks(const InferContext& ctx, const SymShape* x, const SymShape* w) {
  ctx.require(x == nullptr || w == nullptr || x->size() == w->size(),
              "weights: got shape {}, expected rank {}", w == nullptr ? "" : to_string(*w),
              x == nullptr ? 0 : x->size());
}

std::int64_t group_of(const InferContext& ctx) {
  const std::int64_t group = ctx.node.attr_int("group");
  ctx.require(group >= 1, "group: got {}, expected 1 or more", group);
  return group;
}

void expect_multiple(const InferContext& ctx, const Dim& channels, std::int64_t group,
                     const char* what) {
  ctx.require(!channels.is_known() || channels.value() % group == 0,
              "{}: got {}, expected a multiple of group {}", what, channels.to_string(), group);
}

void infer_conv(InferContext& ctx) {
  const DType dtype = expect_common_type(ctx, {0, 1, 2});
  infer_convolution(ctx, 0, 1, dtype);
  if (ctx.has_input(2)) {
    const SymShape* w = ctx.shape(1);
    expect_vector(ctx, 2, w != nullptr ? (*w)[0] : ctx.fresh_dim());
  }
}

/// y filled with the bias of each channel, or zero.
std::vector<double> biased_output(const ReferenceContext& ctx, std::size_t bias, const Shape& y) {
  std::vector<double> result(static_cast<std::size_t>(y.numel()), 0.0);
  if (!ctx.has_input(bias)) return result;
  const std::vector<double> values = to_wide<double>(ctx.input(bias));
  const std::int64_t inner = y.numel(2, y.rank());
  for (std::size_t i = 0; i < result.size(); ++i) {
    result[i] = values[(i / static_cast<std::size_t>(inner)) % values.size()];
  }
  return result;
}

void reference_conv(ReferenceContext& ctx) {
  Tensor& output = ctx.output(0);
  std::vector<double> y = biased_output(ctx, 2, output.shape());
  convolve(conv_sizes(ctx.node, ctx.input(0).shape(), ctx.input(1).shape(), output.shape()),
           to_wide<double>(ctx.input(0)), to_wide<double>(ctx.input(1)), y);
  from_wide<double>(y, output);
}

Cost cost_conv(const Node& node, std::span<const Type> inputs, std::span<const Type> outputs) {
  return conv_cost(node, inputs, outputs, 1);
}

// ConvInteger

void infer_conv_integer(InferContext& ctx) {
  expect_common_type(ctx, {0, 2}, kBytes);
  expect_common_type(ctx, {1, 3}, kBytes);
  expect_single(ctx, 2);
  infer_convolution(ctx, 0, 1, DType::I32);
}

/// Subtracts a zero point that is one value, or one per channel of the outermost axis.
void subtract_zero_point(const ReferenceContext& ctx, std::size_t input,
                         std::vector<double>& values) {
  if (!ctx.has_input(input)) return;
  const std::vector<double> zero = to_wide<double>(ctx.input(input));
  ctx.require(!zero.empty() && values.size() % zero.size() == 0,
              "zero point: got {}, expected one value or one per output channel",
              to_string(ctx.input(input)));
  const std::size_t inner = values.size() / zero.size();
  for (std::size_t i = 0; i < values.size(); ++i) values[i] -= zero[i / inner];
}

void reference_conv_integer(ReferenceContext& ctx) {
  Tensor& output = ctx.output(0);
  std::vector<double> x = to_wide<double>(ctx.input(0));
  std::vector<double> w = to_wide<double>(ctx.input(1));
  if (!x.empty()) subtract_zero_point(ctx, 2, x);
  if (!w.empty()) subtract_zero_point(ctx, 3, w);
  // Products of bytes and sums of them are exact in double.
  std::vector<double> y(static_cast<std::size_t>(output.numel()), 0.0);
  convolve(conv_sizes(ctx.node, ctx.input(0).shape(), ctx.input(1).shape(), output.shape()), x, w,
           y);
  from_wide<double>(y, output);
}

// ConvTranspose

struct TransposedAttributes {
  std::vector<std::int64_t> output_padding;
  std::vector<std::int64_t> output_shape;  ///< spatial sizes, or empty
};

TransposedAttributes transposed_attributes(const Node& node, const Window& window) {
  TransposedAttributes result;
  const std::size_t rank = window.rank();
  result.output_padding = node.attr_ints_or("output_padding", {});
  if (result.output_padding.empty()) result.output_padding.assign(rank, 0);
  result.output_shape = node.attr_ints_or("output_shape", {});
  // Some exporters give batch and channels too.
  if (result.output_shape.size() == rank + 2) {
    result.output_shape.erase(result.output_shape.begin(), result.output_shape.begin() + 2);
  }
  for (const auto& [name, values] : {std::pair{"output_padding", &result.output_padding},
                                     std::pair{"output_shape", &result.output_shape}}) {
    const bool fits = values->size() == rank || values->empty();
    if (!fits) {
      fail(ErrorCode::InvalidModel, "{}: {}: got {} values, expected {}", node.label(), name,
           values->size(), rank);
    }
    for (std::int64_t value : *values) {
      if (value < 0 || value > INT32_MAX) {
        fail(ErrorCode::InvalidModel, "{}: {}: got {}, expected [0, {}]", node.label(), name, value,
             INT32_MAX);
      }
    }
  }
  return result;
}

void infer_conv_transpose(InferContext& ctx) {
  const DType dtype = expect_common_type(ctx, {0, 1, 2});
  const SymShape* x = expect_min_rank(ctx, 0, 3);
  const SymShape* w = expect_min_rank(ctx, 1, 3);
  expect_conv_ranks(ctx, x, w);
  const std::int64_t group = group_of(ctx);
  if (x == nullptr && w == nullptr) return ctx.set_output(0, dtype);
  SymShape y(x != nullptr ? x->size() : w->size());
  for (Dim& dim : y) dim = ctx.fresh_dim();
  if (x != nullptr) {
    y[0] = (*x)[0];
    expect_multiple(ctx, (*x)[1], group, "input channels");
    if (w != nullptr) expect_equal(ctx, (*w)[0], (*x)[1], "weights: input channels");
  }
  if (w != nullptr) y[1] = (*w)[1] * group;
  if (ctx.has_input(2)) expect_vector(ctx, 2, y[1]);
  if (const auto kernel = kernel_of(ctx, w)) {
    ctx.require(kernel->size() + 2 == y.size(), "kernel_shape: got {} values, expected {}",
                kernel->size(), y.size() - 2);
    const Window window = read_window(ctx.node, *kernel);
    const TransposedAttributes attributes = transposed_attributes(ctx.node, window);
    for (std::size_t axis = 0; axis < kernel->size(); ++axis) {
      if (!attributes.output_shape.empty()) {
        y[axis + 2] = attributes.output_shape[axis];
      } else if (x != nullptr) {
        y[axis + 2] =
            transposed_output(window, axis, (*x)[axis + 2], attributes.output_padding[axis]);
      }
    }
  }
  ctx.set_output(0, dtype, std::move(y));
}

void reference_conv_transpose(ReferenceContext& ctx) {
  const Shape& x = ctx.input(0).shape();
  const Shape& w = ctx.input(1).shape();
  Tensor& output = ctx.output(0);
  const Shape& y = output.shape();
  const Window window = read_window(ctx.node, {w.begin() + 2, w.end()});
  const TransposedAttributes attributes = transposed_attributes(ctx.node, window);
  ConvSizes sizes;
  sizes.batch = x[0];
  sizes.groups = ctx.node.attr_int("group");
  sizes.in_channels = x[1] / sizes.groups;
  sizes.out_channels = w[1];
  sizes.grid = {{y.begin() + 2, y.end()}, {x.begin() + 2, x.end()}, window.kernel, window.strides,
                window.dilations,         {}};
  for (std::size_t axis = 0; axis < window.rank(); ++axis) {
    sizes.grid.pads.push_back(transposed_pad_begin(
        window, axis, sizes.grid.coarse[axis], sizes.grid.fine[axis],
        attributes.output_padding[axis], !attributes.output_shape.empty()));
  }
  std::vector<double> result = biased_output(ctx, 2, y);
  convolve_transposed(sizes, to_wide<double>(ctx.input(0)), to_wide<double>(ctx.input(1)), result);
  from_wide<double>(result, output);
}

Cost cost_conv_transpose(const Node&, std::span<const Type> inputs,
                         std::span<const Type> outputs) {
  // Each input element meets the weights of its channel.
  const double channels = inputs[1].shape && (*inputs[1].shape)[0].is_known()
                              ? static_cast<double>((*inputs[1].shape)[0].value())
                              : 0;
  const double per_channel = channels > 0 ? element_count(inputs[1]) / channels : 0;
  return {2 * element_count(inputs[0]) * per_channel, total_bytes(inputs, outputs)};
}

}  // namespace

std::vector<AttrSpec> conv_attributes() {
  return {
      {"auto_pad", AttrKind::String, "NOTSET, SAME_UPPER, SAME_LOWER or VALID", "NOTSET"},
      {"dilations", AttrKind::Ints, "distance of kernel elements per spatial axis; 1 each"},
      {"group", AttrKind::Int, "groups that channels are divided into", std::int64_t{1}},
      {"kernel_shape", AttrKind::Ints, "kernel sizes; those of the weights when absent"},
      {"pads", AttrKind::Ints, "padding at the begin of each axis, then at the end; 0 each"},
      {"strides", AttrKind::Ints, "window distance per spatial axis; 1 each"},
  };
}

void infer_convolution(InferContext& ctx, std::size_t x_input, std::size_t w_input, DType dtype) {
  const SymShape* x = expect_min_rank(ctx, x_input, 3);
  const SymShape* w = expect_min_rank(ctx, w_input, 3);
  expect_conv_ranks(ctx, x, w);
  const std::int64_t group = group_of(ctx);
  if (x == nullptr && w == nullptr) return ctx.set_output(0, dtype);
  SymShape y(x != nullptr ? x->size() : w->size());
  for (Dim& dim : y) dim = ctx.fresh_dim();
  if (x != nullptr) y[0] = (*x)[0];
  if (w != nullptr) {
    y[1] = (*w)[0];
    expect_multiple(ctx, y[1], group, "output channels");
    if (x != nullptr) expect_equal(ctx, (*x)[1], (*w)[1] * group, "input channels");
  }
  if (const auto kernel = kernel_of(ctx, w)) {
    ctx.require(kernel->size() + 2 == y.size(), "kernel_shape: got {} values, expected {}",
                kernel->size(), y.size() - 2);
    const Window window = read_window(ctx.node, *kernel);
    for (std::size_t axis = 0; x != nullptr && axis < kernel->size(); ++axis) {
      y[axis + 2] = window_output(window, axis, (*x)[axis + 2]);
      ctx.require(!y[axis + 2].is_known() || y[axis + 2].value() >= 0,
                  "axis {}: got padded input {}, expected at least the kernel span {}", axis + 2,
                  ((*x)[axis + 2] + window.pads_begin[axis] + window.pads_end[axis]).to_string(),
                  window.span(axis));
    }
  }
  ctx.set_output(0, dtype, std::move(y));
}

ConvSizes conv_sizes(const Node& node, const Shape& x, const Shape& w, const Shape& y) {
  ConvSizes sizes;
  sizes.batch = x[0];
  sizes.groups = node.attr_int("group");
  sizes.in_channels = w[1];
  sizes.out_channels = w[0] / sizes.groups;
  sizes.grid = patch_grid(read_window(node, {w.begin() + 2, w.end()}), {x.begin() + 2, x.end()},
                          {y.begin() + 2, y.end()});
  return sizes;
}

void convolve(const ConvSizes& sizes, const std::vector<double>& x, const std::vector<double>& w,
              std::vector<double>& y) {
  const std::int64_t fine = sizes.grid.fine_size();
  const std::int64_t coarse = sizes.grid.coarse_size();
  const std::int64_t taps = checked_mul(sizes.in_channels, sizes.grid.kernel_size());
  if (fine == 0 || x.empty() || y.empty()) return;
  std::vector<double> columns;
  const std::int64_t block = patch_block(taps);
  for (std::int64_t begin = 0; begin < coarse; begin += block) {
    const std::int64_t width = std::min(block, coarse - begin);
    const std::vector<PatchRun> runs = patch_runs(sizes.grid, begin, begin + width);
    // Taps in the padding stay zero for every image and group of the block.
    columns.assign(static_cast<std::size_t>(checked_mul(taps, width)), 0.0);
    for (std::int64_t image = 0; image < sizes.batch * sizes.groups; ++image) {
      for (std::int64_t c = 0; c < sizes.in_channels; ++c) {
        const double* const plane = x.data() + (image * sizes.in_channels + c) * fine;
        double* const rows = columns.data() + c * (taps / sizes.in_channels) * width;
        for (const PatchRun& run : runs) {
          double* const to = rows + run.tap * width + run.first;
          const double* const from = plane + run.offset;
          for (std::int64_t i = 0; i < run.count; ++i) to[i] = from[i * run.step];
        }
      }
      const std::int64_t group = image % sizes.groups;
      add_product(w.data() + group * sizes.out_channels * taps, columns.data(),
                  y.data() + image * sizes.out_channels * coarse + begin, sizes.out_channels, taps,
                  width, coarse);
    }
  }
}

void convolve_transposed(const ConvSizes& sizes, const std::vector<double>& x,
                         const std::vector<double>& w, std::vector<double>& y) {
  const std::int64_t fine = sizes.grid.fine_size();
  const std::int64_t coarse = sizes.grid.coarse_size();
  const std::int64_t kernel = sizes.grid.kernel_size();
  const std::int64_t taps = checked_mul(sizes.out_channels, kernel);
  if (x.empty() || y.empty()) return;
  std::vector<double> columns, slice;
  // Weights as [group][out channel and tap, in channel], so that a product sums over in channels.
  std::vector<double> turned(w.size());
  for (std::int64_t g = 0; g < sizes.groups; ++g) {
    const std::int64_t base = g * sizes.in_channels * taps;
    for (std::int64_t c = 0; c < sizes.in_channels; ++c) {
      for (std::int64_t t = 0; t < taps; ++t) {
        turned[static_cast<std::size_t>(base + t * sizes.in_channels + c)] =
            w[static_cast<std::size_t>(base + c * taps + t)];
      }
    }
  }
  const std::int64_t block = patch_block(taps);
  for (std::int64_t begin = 0; begin < coarse; begin += block) {
    const std::int64_t width = std::min(block, coarse - begin);
    const std::vector<PatchRun> runs = patch_runs(sizes.grid, begin, begin + width);
    for (std::int64_t image = 0; image < sizes.batch * sizes.groups; ++image) {
      slice.resize(static_cast<std::size_t>(sizes.in_channels * width));
      for (std::int64_t c = 0; c < sizes.in_channels; ++c) {
        const double* const from = x.data() + (image * sizes.in_channels + c) * coarse + begin;
        std::copy(from, from + width, slice.data() + c * width);
      }
      columns.assign(static_cast<std::size_t>(checked_mul(taps, width)), 0.0);
      add_product(turned.data() + (image % sizes.groups) * sizes.in_channels * taps, slice.data(),
                  columns.data(), taps, sizes.in_channels, width);
      for (std::int64_t c = 0; c < sizes.out_channels; ++c) {
        double* const plane = y.data() + (image * sizes.out_channels + c) * fine;
        for (const PatchRun& run : runs) {
          const double* const from = columns.data() + (c * kernel + run.tap) * width + run.first;
          double* const to = plane + run.offset;
          for (std::int64_t i = 0; i < run.count; ++i) to[i * run.step] += from[i];
        }
      }
    }
  }
}

Cost conv_cost(const Node&, std::span<const Type> inputs, std::span<const Type> outputs,
               std::size_t weights) {
  const Type& w = inputs[weights];
  const double channels = w.shape && (*w.shape)[0].is_known()
                              ? static_cast<double>((*w.shape)[0].value())
                              : 0;
  const double per_output = channels > 0 ? element_count(w) / channels : 0;
  return {2 * element_count(outputs[0]) * per_output, total_bytes(inputs, outputs)};
}

void define_conv(std::vector<OpDef>& ops) {
  ops.push_back({
      .name = "Conv",
      .since_version = 22,
      .doc = "Convolves the input with the weights over all spatial axes.",
      .source = "ONNX Conv-22",
      .inputs = {{"X", "[batch, channels, spatial...], f32|f16|bf16|f64"},
                 {"W", "[out channels, channels / group, kernel...]"},
                 {"B", "[out channels], bias", Arity::Optional}},
      .outputs = {{"Y", "[batch, out channels, spatial...]"}},
      .attributes = conv_attributes(),
      .infer = infer_conv,
      .reference = reference_conv,
      .cost = cost_conv,
  });

  ops.push_back({
      .name = "ConvInteger",
      .since_version = 10,
      .doc = "Convolves 8-bit integers, less their zero points, into 32-bit sums.",
      .source = "ONNX ConvInteger-10",
      .inputs = {{"x", "[batch, channels, spatial...], i8|u8"},
                 {"w", "[out channels, channels / group, kernel...], i8|u8"},
                 {"x_zero_point", "one value", Arity::Optional},
                 {"w_zero_point", "one value, or one per output channel", Arity::Optional}},
      .outputs = {{"y", "[batch, out channels, spatial...], i32"}},
      .attributes = conv_attributes(),
      .infer = infer_conv_integer,
      .reference = reference_conv_integer,
      .cost = cost_conv,
  });

  std::vector<AttrSpec> attributes = conv_attributes();
  attributes.push_back(
      {"output_padding", AttrKind::Ints, "elements added to the end of each axis; 0 each"});
  attributes.push_back(
      {"output_shape", AttrKind::Ints, "spatial output sizes, from which pads follow"});
  ops.push_back({
      .name = "ConvTranspose",
      .since_version = 22,
      .doc = "Spreads each input element over a window of the output: the transpose of Conv.",
      .source = "ONNX ConvTranspose-22",
      .inputs = {{"X", "[batch, channels, spatial...], f32|f16|bf16|f64"},
                 {"W", "[channels, out channels / group, kernel...]"},
                 {"B", "[out channels], bias", Arity::Optional}},
      .outputs = {{"Y", "[batch, out channels, spatial...]"}},
      .attributes = std::move(attributes),
      .infer = infer_conv_transpose,
      .reference = reference_conv_transpose,
      .cost = cost_conv_transpose,
  });
}

}  // namespace naru
