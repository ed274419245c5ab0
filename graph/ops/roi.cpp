// MaxUnpool, MaxRoiPool and RoiAlign: pooling over stated places.
#include <algorithm>
#include <cmath>
#include <limits>

#include "graph/checked.h"
#include "graph/ops/families.h"
#include "graph/ops/movement.h"
#include "graph/ops/nn_rules.h"
#include "graph/ops/window.h"
#include "graph/scalar.h"

namespace naru {
namespace {

// MaxUnpool

/// The shape that the pooling attributes give; the indices count in it.
SymShape unpooled_shape(const Node& node, const SymShape& x) {
  const Window window = read_pool_window(node);
  SymShape y = x;
  for (std::size_t axis = 0; axis < window.rank(); ++axis) {
    y[axis + 2] = transposed_output(window, axis, x[axis + 2], 0);
  }
  return y;
}

void infer_max_unpool(InferContext& ctx) {
  expect_type(ctx, 0, kFloats);
  expect_type(ctx, 1, {DType::I64});
  expect_type(ctx, 2, {DType::I64});
  const Window window = read_pool_window(ctx.node);
  const SymShape* x = expect_rank(ctx, 0, window.rank() + 2);
  if (const SymShape* indices = expect_rank(ctx, 1, window.rank() + 2); indices != nullptr && x != nullptr) {
    for (std::size_t i = 0; i < x->size(); ++i) {
      expect_equal(ctx, (*indices)[i], (*x)[i], fmt::format("I: axis {}", i));
    }
  }
  if (ctx.has_input(2)) {
    const std::optional<std::vector<Dim>> shape = dims_value(ctx, 2);
    if (shape) {
      ctx.require(shape->size() == window.rank() + 2, "output_shape: got {} values, expected {}",
                  shape->size(), window.rank() + 2);
      return ctx.set_output(0, ctx.dtype(0), *shape);
    }
    return ctx.set_output(0, ctx.dtype(0),
                          fresh_shape(ctx, static_cast<std::int64_t>(window.rank()) + 2));
  }
  if (x == nullptr) return ctx.set_output(0, ctx.dtype(0));
  ctx.set_output(0, ctx.dtype(0), unpooled_shape(ctx.node, *x));
}

void reference_max_unpool(ReferenceContext& ctx) {
  const Tensor& input = ctx.input(0);
  Tensor& output = ctx.output(0);
  const std::optional<Shape> counted = known_shape(unpooled_shape(ctx.node, to_sym(input.shape())));
  const Shape& shape = output.shape();
  const std::int64_t limit = counted->numel();
  const auto indices = ctx.input(1).as<std::int64_t>();
  const std::vector<std::int64_t> strides = shape.strides();
  fill_zero(output);
  for (std::int64_t i = 0; i < input.numel(); ++i) {
    std::int64_t rest = indices[static_cast<std::size_t>(i)];
    ctx.require(rest >= 0 && rest < limit, "I: got {}, expected [0, {})", rest, limit);
    // A stated output shape may be larger than the one that the indices count in.
    std::int64_t to = 0;
    for (std::int64_t axis = shape.rank() - 1; axis >= 0; --axis) {
      const std::int64_t at = rest % (*counted)[axis];
      rest /= (*counted)[axis];
      ctx.require(at < shape[axis], "I: got {}, expected an element of the output {}",
                  indices[static_cast<std::size_t>(i)], to_string(shape));
      to += at * strides[static_cast<std::size_t>(axis)];
    }
    copy_elements(output, to, input, i, 1);
  }
}

// Regions of interest

/// Shapes that both region operators share: sets output 0 to [regions, channels, height, width].
void infer_regions(InferContext& ctx, std::int64_t columns, const Dim& height, const Dim& width) {
  const DType dtype = expect_common_type(ctx, {0, 1});
  const SymShape* x = expect_rank(ctx, 0, 4);
  const SymShape* regions = expect_rank(ctx, 1, 2);
  if (regions != nullptr) expect_equal(ctx, (*regions)[1], Dim(columns), "rois: columns");
  ctx.set_output(0, dtype, {regions != nullptr ? (*regions)[0] : ctx.fresh_dim(),
                            x != nullptr ? (*x)[1] : ctx.fresh_dim(), height, width});
}

void infer_max_roi_pool(InferContext& ctx) {
  const std::vector<std::int64_t>& size = ctx.node.attr_ints("pooled_shape");
  ctx.require(size.size() == 2 && size[0] >= 1 && size[1] >= 1,
              "pooled_shape: got {}, expected two sizes of 1 or more", to_string(Shape(size)));
  infer_regions(ctx, 5, Dim(size[0]), Dim(size[1]));
}

/// The elements [first, last) of an axis that bin `at` of `bins` covers.
struct BinRange {
  std::int64_t first, last;

  BinRange(double begin, double length, std::int64_t at, std::int64_t bins, std::int64_t size) {
    const double bin = length / static_cast<double>(bins);
    const auto limit = static_cast<double>(size);
    first = static_cast<std::int64_t>(
        std::clamp(std::floor(static_cast<double>(at) * bin) + begin, 0.0, limit));
    last = static_cast<std::int64_t>(
        std::clamp(std::ceil(static_cast<double>(at + 1) * bin) + begin, 0.0, limit));
  }
};

/// The image that a region belongs to.
std::int64_t image_of(const ReferenceContext& ctx, double value, std::int64_t batch) {
  ctx.require(value >= 0 && value < static_cast<double>(batch),
              "batch index: got {}, expected [0, {})", value, batch);
  return static_cast<std::int64_t>(value);
}

void reference_max_roi_pool(ReferenceContext& ctx) {
  const Shape& shape = ctx.input(0).shape();
  Tensor& output = ctx.output(0);
  const Shape& y_shape = output.shape();
  const double scale = ctx.node.attr_float("spatial_scale");
  const std::vector<double> x = to_wide<double>(ctx.input(0));
  const std::vector<double> regions = to_wide<double>(ctx.input(1));
  std::vector<double> y;
  for (std::int64_t r = 0; r < y_shape[0]; ++r) {
    const double* const region = regions.data() + r * 5;
    const std::int64_t image = image_of(ctx, region[0], shape[0]);
    double edge[4];
    for (int i = 0; i < 4; ++i) {
      edge[i] = std::round(region[i + 1] * scale);
      ctx.require(std::fabs(edge[i]) < 0x1p31, "rois: got {}, expected image coordinates", edge[i]);
    }
    const double width = std::max(edge[2] - edge[0] + 1, 1.0);
    const double height = std::max(edge[3] - edge[1] + 1, 1.0);
    for (std::int64_t i = 0; i < shape[1] * y_shape[2] * y_shape[3]; ++i) {
      const std::int64_t channel = i / y_shape[3] / y_shape[2];
      const BinRange rows(edge[1], height, i / y_shape[3] % y_shape[2], y_shape[2], shape[2]);
      const BinRange columns(edge[0], width, i % y_shape[3], y_shape[3], shape[3]);
      const double* const plane = x.data() + (image * shape[1] + channel) * shape[2] * shape[3];
      const bool empty = rows.first >= rows.last || columns.first >= columns.last;
      double best = empty ? 0.0 : -std::numeric_limits<double>::infinity();
      for (std::int64_t h = rows.first; h < rows.last; ++h) {
        for (std::int64_t w = columns.first; w < columns.last; ++w) {
          best = std::max(best, plane[h * shape[3] + w]);
        }
      }
      y.push_back(best);
    }
  }
  from_wide<double>(y, output);
}

void infer_roi_align(InferContext& ctx) {
  expect_type(ctx, 2, {DType::I64});
  expect_choice(ctx.node, "mode", {"avg", "max"});
  expect_choice(ctx.node, "coordinate_transformation_mode", {"half_pixel", "output_half_pixel"});
  const std::int64_t height = ctx.node.attr_int("output_height");
  const std::int64_t width = ctx.node.attr_int("output_width");
  ctx.require(height >= 1 && width >= 1, "output size: got {} x {}, expected 1 or more", height,
              width);
  const std::int64_t ratio = ctx.node.attr_int("sampling_ratio");
  ctx.require(ratio >= 0 && ratio <= INT16_MAX, "sampling_ratio: got {}, expected [0, {}]", ratio,
              INT16_MAX);
  infer_regions(ctx, 4, Dim(height), Dim(width));
  if (ctx.shape(1) != nullptr) expect_vector(ctx, 2, (*ctx.shape(1))[0]);
}

/// One axis of a region: `samples` points in each of the bins.
struct RegionAxis {
  double begin;
  double bin;
  std::int64_t samples;

  double position(std::int64_t at, std::int64_t sample) const {
    return begin + (static_cast<double>(at) +
                    (static_cast<double>(sample) + 0.5) / static_cast<double>(samples)) * bin;
  }
};

RegionAxis region_axis(const ReferenceContext& ctx, double begin, double end, std::int64_t bins) {
  const double scale = ctx.node.attr_float("spatial_scale");
  const bool half_pixel = ctx.node.attr_string("coordinate_transformation_mode") == "half_pixel";
  const double shift = half_pixel ? 0.5 : 0.0;
  double length = (end - begin) * scale;
  // Malformed regions were widened before half pixels were taken into account.
  if (!half_pixel) length = std::max(length, 1.0);
  RegionAxis axis{begin * scale - shift, length / static_cast<double>(bins), 0};
  axis.samples = ctx.node.attr_int("sampling_ratio");
  if (axis.samples == 0) {
    ctx.require(std::fabs(axis.bin) <= INT16_MAX, "rois: got a length of {}, expected at most {}",
                length, INT16_MAX * bins);
    axis.samples = static_cast<std::int64_t>(std::ceil(axis.bin));
  }
  return axis;
}

/// The neighbours of a position along one axis and their weights.
struct Neighbours {
  bool outside;
  std::int64_t low, high;
  double low_weight, high_weight;

  Neighbours(double position, std::int64_t size) {
    // The comparison sends NaN outside, too.
    outside = !(position >= -1 && position <= static_cast<double>(size));
    if (outside) position = 0;
    position = std::max(position, 0.0);
    low = std::min(static_cast<std::int64_t>(position), size - 1);
    high = std::min(low + 1, size - 1);
    high_weight = low == high ? 0.0 : position - static_cast<double>(low);
    low_weight = 1 - high_weight;
  }
};

void reference_roi_align(ReferenceContext& ctx) {
  const Shape& shape = ctx.input(0).shape();
  Tensor& output = ctx.output(0);
  const Shape& y_shape = output.shape();
  const bool average = ctx.node.attr_string("mode") == "avg";
  const std::vector<double> x = to_wide<double>(ctx.input(0));
  const std::vector<double> regions = to_wide<double>(ctx.input(1));
  const auto images = ctx.input(2).as<std::int64_t>();
  if (output.numel() > 0) {
    ctx.require(shape[2] > 0 && shape[3] > 0, "X: got {}, expected elements to sample",
                to_string(shape));
  }
  std::vector<double> y;
  for (std::int64_t r = 0; r < y_shape[0]; ++r) {
    const std::int64_t image =
        image_of(ctx, static_cast<double>(images[static_cast<std::size_t>(r)]), shape[0]);
    const double* const region = regions.data() + r * 4;
    const RegionAxis across = region_axis(ctx, region[0], region[2], y_shape[3]);
    const RegionAxis down = region_axis(ctx, region[1], region[3], y_shape[2]);
    const auto count = static_cast<double>(std::max<std::int64_t>(1, across.samples * down.samples));
    for (std::int64_t i = 0; i < shape[1] * y_shape[2] * y_shape[3]; ++i) {
      const std::int64_t channel = i / y_shape[3] / y_shape[2];
      const double* const plane = x.data() + (image * shape[1] + channel) * shape[2] * shape[3];
      double sum = 0;
      std::optional<double> largest;
      for (std::int64_t a = 0; a < down.samples; ++a) {
        const Neighbours rows(down.position(i / y_shape[3] % y_shape[2], a), shape[2]);
        for (std::int64_t b = 0; b < across.samples; ++b) {
          const Neighbours columns(across.position(i % y_shape[3], b), shape[3]);
          const double inside = rows.outside || columns.outside ? 0.0 : 1.0;
          const auto corner = [&](std::int64_t h, double h_weight, std::int64_t w, double w_weight) {
            return inside * h_weight * w_weight * plane[h * shape[3] + w];
          };
          const double corners[] = {corner(rows.low, rows.low_weight, columns.low, columns.low_weight),
                                    corner(rows.low, rows.low_weight, columns.high, columns.high_weight),
                                    corner(rows.high, rows.high_weight, columns.low, columns.low_weight),
                                    corner(rows.high, rows.high_weight, columns.high, columns.high_weight)};
          sum += corners[0] + corners[1] + corners[2] + corners[3];
          // As ONNX defines it, the maximum is over weighted corners, not over interpolated values.
          const double best = *std::max_element(std::begin(corners), std::end(corners));
          largest = largest ? std::max(*largest, best) : best;
        }
      }
      y.push_back(average ? sum / count : largest.value_or(0.0));
    }
  }
  from_wide<double>(y, output);
}

Cost cost_roi_align(const Node& node, std::span<const Type> inputs, std::span<const Type> outputs) {
  const auto ratio = static_cast<double>(std::max<std::int64_t>(2, node.attr_int("sampling_ratio")));
  return {8 * ratio * ratio * element_count(outputs[0]), total_bytes(inputs, outputs)};
}

}  // namespace

void define_roi(std::vector<OpDef>& ops) {
  ops.push_back({
      .name = "MaxUnpool",
      .since_version = 22,
      .doc = "Puts pooled maxima back where they came from, among zeros.",
      .source = "ONNX MaxUnpool-22",
      .inputs = {{"X", "[batch, channels, spatial...], f32|f16|bf16|f64"},
                 {"I", "i64, the shape of X: positions in the flattened output of the pool's input"},
                 {"output_shape", "i64: the whole output shape", Arity::Optional, true}},
      .outputs = {{"output", "[batch, channels, spatial...]"}},
      .attributes = {{"kernel_shape", AttrKind::Ints, "kernel sizes of the pool", std::nullopt, true},
                     {"pads", AttrKind::Ints, "padding of the pool; 0 each"},
                     {"strides", AttrKind::Ints, "strides of the pool; 1 each"}},
      .infer = infer_max_unpool,
      .reference = reference_max_unpool,
      .cost = copy_cost,
  });
  ops.push_back({
      .name = "MaxRoiPool",
      .since_version = 22,
      .doc = "Takes maxima over the bins of regions whose edges are rounded to elements.",
      .source = "ONNX MaxRoiPool-22",
      .inputs = {{"X", "[batch, channels, height, width], f32|f16|bf16|f64"},
                 {"rois", "[regions, 5]: image, x1, y1, x2, y2"}},
      .outputs = {{"Y", "[regions, channels, pooled height, pooled width]"}},
      .attributes = {{"pooled_shape", AttrKind::Ints, "output height and width", std::nullopt, true},
                     {"spatial_scale", AttrKind::Float, "factor of the coordinates", 1.0f}},
      .infer = infer_max_roi_pool,
      .reference = reference_max_roi_pool,
      .cost = cost_per_input_element<1>,
  });
  ops.push_back({
      .name = "RoiAlign",
      .since_version = 22,
      .doc = "Pools interpolated samples over the bins of regions.",
      .source = "ONNX RoiAlign-22",
      .inputs = {{"X", "[batch, channels, height, width], f32|f16|bf16|f64"},
                 {"rois", "[regions, 4]: x1, y1, x2, y2"},
                 {"batch_indices", "[regions], i64: the image of each region"}},
      .outputs = {{"Y", "[regions, channels, output height, output width]"}},
      .attributes =
          {{"coordinate_transformation_mode", AttrKind::String, "half_pixel or output_half_pixel",
            "half_pixel"},
           {"mode", AttrKind::String, "avg or max", "avg"},
           {"output_height", AttrKind::Int, "bins down", std::int64_t{1}},
           {"output_width", AttrKind::Int, "bins across", std::int64_t{1}},
           {"sampling_ratio", AttrKind::Int, "samples per bin and axis; 0: one per element",
            std::int64_t{0}},
           {"spatial_scale", AttrKind::Float, "factor of the coordinates", 1.0f}},
      .infer = infer_roi_align,
      .reference = reference_roi_align,
      .cost = cost_roi_align,
  });
}

}  // namespace naru
