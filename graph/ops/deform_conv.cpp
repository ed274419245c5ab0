// DeformConv and Col2Im: convolution with moved sampling points, and folding of patches.
#include <algorithm>
#include <cmath>

#include "graph/checked.h"
#include "graph/ops/conv.h"
#include "graph/ops/families.h"
#include "graph/ops/movement.h"
#include "graph/ops/nn_rules.h"
#include "graph/ops/patches.h"
#include "graph/ops/wide_math.h"
#include "graph/scalar.h"

namespace naru {
namespace {

// DeformConv

constexpr std::size_t kOffset = 2, kBias = 3, kMask = 4;

void infer_deform_conv(InferContext& ctx) {
  const DType dtype = expect_common_type(ctx, {0, 1, kOffset, kBias, kMask});
  infer_convolution(ctx, 0, 1, dtype);
  const std::int64_t groups = ctx.node.attr_int("offset_group");
  ctx.require(groups >= 1, "offset_group: got {}, expected 1 or more", groups);
  const Type output = ctx.output_types()[0];
  const SymShape* x = ctx.shape(0);
  const SymShape* w = ctx.shape(1);
  if (!output.shape || x == nullptr || w == nullptr) return;
  const SymShape& y = *output.shape;
  ctx.require(!(*x)[1].is_known() || (*x)[1].value() % groups == 0,
              "X: got {} channels, expected a multiple of offset_group {}", (*x)[1].to_string(),
              groups);
  expect_vector(ctx, kBias, (*w)[0]);
  const Dim taps = product(*w, 2, w->size());
  const Dim axes(static_cast<std::int64_t>(x->size()) - 2);
  for (const auto& [input, channels] : {std::pair{kOffset, taps * axes * groups}, std::pair{kMask, taps * groups}}) {
    const SymShape* own = expect_rank(ctx, input, x->size());
    if (own == nullptr) continue;
    const std::string& name = ctx.node.op->inputs[input].name;
    expect_equal(ctx, (*own)[0], y[0], name + ": batch");
    expect_equal(ctx, (*own)[1], channels, name + ": channels");
    for (std::size_t i = 2; i < y.size(); ++i) {
      expect_equal(ctx, (*own)[i], y[i], fmt::format("{}: axis {}", name, i));
    }
  }
}

/// A channel's value at a fractional position: linear along each axis, zero outside.
double interpolated(const double* plane, const std::vector<std::int64_t>& size,
                    const std::vector<double>& position) {
  double sum = 0;
  const std::size_t rank = size.size();
  for (std::size_t corner = 0; corner < (std::size_t{1} << rank); ++corner) {
    double weight = 1;
    std::int64_t offset = 0;
    for (std::size_t axis = 0; axis < rank && weight != 0; ++axis) {
      const double low = std::floor(position[axis]);
      const bool upper = (corner >> axis & 1) != 0;
      const double at = low + (upper ? 1 : 0);
      const double fraction = position[axis] - low;
      // The comparison is false for NaN, too.
      const bool inside = at >= 0 && at < static_cast<double>(size[axis]);
      weight = inside ? weight * (upper ? fraction : 1 - fraction) : 0;
      offset = offset * size[axis] + (inside ? static_cast<std::int64_t>(at) : 0);
    }
    if (weight != 0) sum += weight * plane[offset];
  }
  return sum;
}

/// What deformed sampling needs of one call.
struct Deformation {
  ConvSizes sizes;
  std::int64_t offset_groups;
  std::vector<double> x, offset, mask;

  /// Samples tap `tap` of the window at coarse position `at` for every channel of one image.
  void sample(std::int64_t image, std::int64_t at, std::int64_t tap, std::vector<double>& values) const {
    const PatchGrid& grid = sizes.grid;
    const auto rank = static_cast<std::int64_t>(grid.fine.size());
    const std::int64_t taps = grid.kernel_size();
    const std::int64_t points = grid.coarse_size();
    const std::int64_t channels = sizes.groups * sizes.in_channels;
    const std::int64_t per_group = channels / offset_groups;
    std::vector<double> position(grid.fine.size());
    for (std::int64_t c = 0; c < channels; ++c) {
      const std::int64_t group = image * offset_groups + c / per_group;
      if (c % per_group == 0) {
        std::int64_t coarse = at, kernel = tap;
        for (std::int64_t axis = rank; axis-- > 0;) {
          const auto a = static_cast<std::size_t>(axis);
          const std::int64_t base = coarse % grid.coarse[a] * grid.strides[a] +
                                    kernel % grid.kernel[a] * grid.dilations[a] - grid.pads[a];
          position[a] = static_cast<double>(base) +
                        offset[static_cast<std::size_t>(((group * taps + tap) * rank + axis) * points + at)];
          coarse /= grid.coarse[a];
          kernel /= grid.kernel[a];
        }
      }
      const double factor =
          mask.empty() ? 1.0 : mask[static_cast<std::size_t>((group * taps + tap) * points + at)];
      const double* const plane = x.data() + (image * channels + c) * grid.fine_size();
      values[static_cast<std::size_t>(c)] = factor * interpolated(plane, grid.fine, position);
    }
  }
};

void reference_deform_conv(ReferenceContext& ctx) {
  Tensor& output = ctx.output(0);
  const Shape& y_shape = output.shape();
  Deformation run;
  run.sizes = conv_sizes(ctx.node, ctx.input(0).shape(), ctx.input(1).shape(), y_shape);
  run.offset_groups = ctx.node.attr_int("offset_group");
  run.x = to_wide<double>(ctx.input(0));
  run.offset = to_wide<double>(ctx.input(kOffset));
  if (ctx.has_input(kMask)) run.mask = to_wide<double>(ctx.input(kMask));
  const std::vector<double> w = to_wide<double>(ctx.input(1));
  const ConvSizes& sizes = run.sizes;
  const std::int64_t points = sizes.grid.coarse_size();
  const std::int64_t taps = sizes.grid.kernel_size();
  const std::int64_t channels = sizes.groups * sizes.in_channels;
  const std::int64_t out_channels = sizes.groups * sizes.out_channels;
  std::vector<double> y(static_cast<std::size_t>(output.numel()), 0.0);
  std::vector<double> values(static_cast<std::size_t>(channels));
  for (std::int64_t i = 0; i < sizes.batch * points * taps; ++i) {
    const std::int64_t tap = i % taps;
    const std::int64_t at = i / taps % points;
    const std::int64_t image = i / taps / points;
    run.sample(image, at, tap, values);
    for (std::int64_t m = 0; m < out_channels; ++m) {
      const std::int64_t first = m / sizes.out_channels * sizes.in_channels;
      double sum = 0;
      for (std::int64_t c = 0; c < sizes.in_channels; ++c) {
        sum += w[static_cast<std::size_t>((m * sizes.in_channels + c) * taps + tap)] *
               values[static_cast<std::size_t>(first + c)];
      }
      y[static_cast<std::size_t>((image * out_channels + m) * points + at)] += sum;
    }
  }
  if (ctx.has_input(kBias)) {
    const std::vector<double> bias = to_wide<double>(ctx.input(kBias));
    for (std::size_t i = 0; i < y.size(); ++i) {
      y[i] += bias[i / static_cast<std::size_t>(points) % bias.size()];
    }
  }
  from_wide<double>(y, output);
}

Cost cost_deform_conv(const Node& node, std::span<const Type> inputs,
                      std::span<const Type> outputs) {
  return conv_cost(node, inputs, outputs, 1);
}

// Col2Im

constexpr TypeSet kFoldTypes = kNumbers | kBool;

Window fold_window(const Node& node, const std::vector<std::int64_t>& block) {
  return read_window(node, block);
}

void infer_col2im(InferContext& ctx) {
  expect_type(ctx, 0, kFoldTypes);
  expect_type(ctx, 1, {DType::I64});
  expect_type(ctx, 2, {DType::I64});
  const SymShape* x = expect_rank(ctx, 0, 3);
  const std::optional<std::vector<Dim>> image = dims_value(ctx, 1);
  const std::optional<std::vector<std::int64_t>> block = ctx.int_values(2);
  std::optional<std::size_t> rank;
  if (image) rank = image->size();
  if (block) rank = block->size();
  if (!rank) return ctx.set_output(0, ctx.dtype(0));
  ctx.require(!image || !block || image->size() == block->size(),
              "block_shape: got {} values, expected {} as of image_shape",
              block ? block->size() : 0, image ? image->size() : 0);
  ctx.require(*rank >= 1, "image_shape: got no values, expected one per spatial axis");
  SymShape y(*rank + 2);
  for (Dim& dim : y) dim = ctx.fresh_dim();
  if (x != nullptr) y[0] = (*x)[0];
  if (image) std::copy(image->begin(), image->end(), y.begin() + 2);
  if (block) {
    const Window window = fold_window(ctx.node, *block);
    std::int64_t taps = 1;
    for (std::int64_t size : *block) taps = checked_mul(taps, size);
    if (x != nullptr) {
      ctx.require(!(*x)[1].is_known() || (*x)[1].value() % taps == 0,
                  "input: got {} rows, expected a multiple of the {} block elements",
                  (*x)[1].to_string(), taps);
      y[1] = floor_div((*x)[1], taps);
    }
    if (image && x != nullptr) {
      Dim blocks(1);
      for (std::size_t axis = 0; axis < *rank; ++axis) {
        blocks = blocks * window_output(window, axis, (*image)[axis]);
      }
      expect_equal(ctx, (*x)[2], blocks, "input: blocks");
    }
  }
  ctx.set_output(0, ctx.dtype(0), std::move(y));
}

template <typename T>
void fold_patches(ReferenceContext& ctx) {
  Tensor& output = ctx.output(0);
  const Shape& y_shape = output.shape();
  const Window window = fold_window(ctx.node, to_i64_vector(ctx.input(2)));
  PatchGrid grid{{y_shape.begin() + 2, y_shape.end()}, {}, window.kernel, window.strides,
                 window.dilations, window.pads_begin};
  for (std::size_t axis = 0; axis < grid.fine.size(); ++axis) {
    grid.coarse.push_back(window_output(window, axis, Dim(grid.fine[axis])).value());
  }
  const std::int64_t fine = grid.fine_size();
  const std::int64_t coarse = grid.coarse_size();
  const std::int64_t taps = grid.kernel_size();
  const std::vector<T> x = to_wide<T>(ctx.input(0));
  std::vector<T> y(static_cast<std::size_t>(output.numel()), T{});
  for (std::int64_t begin = 0; begin < coarse; begin += 1024) {
    const std::vector<PatchRun> runs = patch_runs(grid, begin, std::min(coarse, begin + 1024));
    for (std::int64_t plane = 0; plane < y_shape[0] * y_shape[1]; ++plane) {
      for (const PatchRun& run : runs) {
        const T* const from = x.data() + (plane * taps + run.tap) * coarse + begin + run.first;
        T* const to = y.data() + plane * fine + run.offset;
        for (std::int64_t i = 0; i < run.count; ++i) to[i * run.step] += from[i];
      }
    }
  }
  from_wide<T>(y, output);
}

void reference_col2im(ReferenceContext& ctx) {
  if (is_float(ctx.input(0).dtype())) return fold_patches<double>(ctx);
  fold_patches<std::uint64_t>(ctx);
}

}  // namespace

void define_deform_conv(std::vector<OpDef>& ops) {
  std::vector<AttrSpec> attributes = conv_attributes();
  attributes.erase(attributes.begin());  // auto_pad
  attributes.push_back({"offset_group", AttrKind::Int, "groups of channels with own offsets",
                        std::int64_t{1}});
  ops.push_back({
      .name = "DeformConv",
      .since_version = 22,
      .doc = "A convolution whose kernel elements are moved and weighted at each position.",
      .source = "ONNX DeformConv-22",
      .inputs = {{"X", "[batch, channels, spatial...], f32|f16|bf16|f64"},
                 {"W", "[out channels, channels / group, kernel...]"},
                 {"offset", "[batch, offset_group * kernel size * spatial rank, output...]"},
                 {"B", "[out channels], bias", Arity::Optional},
                 {"mask", "[batch, offset_group * kernel size, output...]", Arity::Optional}},
      .outputs = {{"Y", "[batch, out channels, output...]"}},
      .attributes = std::move(attributes),
      .infer = infer_deform_conv,
      .reference = reference_deform_conv,
      .cost = cost_deform_conv,
  });
  ops.push_back({
      .name = "Col2Im",
      .since_version = 18,
      .doc = "Adds column blocks up to the image that they were taken from.",
      .source = "ONNX Col2Im-18",
      .inputs = {{"input", "[batch, channels * block size, blocks], numbers"},
                 {"image_shape", "i64: spatial sizes of the image", Arity::Required, true},
                 {"block_shape", "i64: sizes of a block", Arity::Required, true}},
      .outputs = {{"output", "[batch, channels, image...]"}},
      .attributes = {{"dilations", AttrKind::Ints, "distance of block elements; 1 each"},
                     {"pads", AttrKind::Ints, "padding at the begin of each axis, then at the end"},
                     {"strides", AttrKind::Ints, "block distance per axis; 1 each"}},
      .infer = infer_col2im,
      .reference = reference_col2im,
      .cost = cost_per_input_element<1>,
  });
}

}  // namespace naru
