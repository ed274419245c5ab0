// GridSample and AffineGrid: sampling at positions that a tensor states, and making such tensors.
#include <algorithm>
#include <cmath>

#include "graph/checked.h"
#include "graph/ops/families.h"
#include "graph/ops/movement.h"
#include "graph/ops/nn_rules.h"
#include "graph/scalar.h"

namespace naru {
namespace {

constexpr TypeSet kSampledTypes =
    kNumbers | kBool | TypeSet{DType::String, DType::Complex64, DType::Complex128};

enum class Mode : std::uint8_t { Linear, Nearest, Cubic };
enum class Padding : std::uint8_t { Zeros, Border, Reflection };

Mode mode_of(const Node& node) {
  return static_cast<Mode>(expect_choice(node, "mode", {"linear", "nearest", "cubic"}));
}

Padding padding_of(const Node& node) {
  return static_cast<Padding>(
      expect_choice(node, "padding_mode", {"zeros", "border", "reflection"}));
}

void infer_grid_sample(InferContext& ctx) {
  expect_type(ctx, 0, kSampledTypes);
  expect_type(ctx, 1, kFloats);
  padding_of(ctx.node);
  const DType dtype = ctx.dtype(0);
  const bool moves = mode_of(ctx.node) == Mode::Nearest || dtype == DType::Undefined;
  ctx.require(moves || kNumbers.contains(dtype), "X: got {}, expected a number type for mode {}",
              to_string(dtype), ctx.node.attr_string("mode"));
  const SymShape* x = expect_min_rank(ctx, 0, 3);
  const SymShape* grid = expect_min_rank(ctx, 1, 3);
  if (grid == nullptr) return ctx.set_output(0, dtype);
  const auto rank = static_cast<std::int64_t>(grid->size()) - 2;
  expect_equal(ctx, grid->back(), Dim(rank), "grid: last axis");
  SymShape y(grid->size());
  for (std::size_t i = 2; i < y.size(); ++i) y[i] = (*grid)[i - 1];
  y[0] = (*grid)[0];
  y[1] = ctx.fresh_dim();
  if (x != nullptr) {
    ctx.require(x->size() == grid->size(), "grid: got shape {}, expected rank {}",
                to_string(*grid), x->size());
    y[0] = expect_equal(ctx, (*grid)[0], (*x)[0], "grid: batch");
    y[1] = (*x)[1];
  }
  ctx.set_output(0, dtype, std::move(y));
}

/// From [-1, 1] to element positions along an axis of `size`.
template <typename T>
double denormalized(T value, std::int64_t size, bool align_corners) {
  const T length = static_cast<T>(size);
  return static_cast<double>(align_corners ? (value + 1) / 2 * (length - 1)
                                           : ((value + 1) * length - 1) / 2);
}

/// One axis of the input as sampling sees it.
struct SampledAxis {
  std::int64_t size;
  double low, high;  ///< the borders that reflection mirrors at

  SampledAxis(std::int64_t count, bool align_corners)
      : size(count),
        low(align_corners ? 0.0 : -0.5),
        high(static_cast<double>(count) - (align_corners ? 1.0 : 0.5)) {}

  double reflected(double x) const {
    const double range = high - low;
    if (range <= 0) return low;
    if (x >= low && x <= high) return x;
    const double beyond = x < low ? low - x : x - high;
    const double turns = std::floor(beyond / range);
    const double rest = beyond - turns * range;
    const bool from_low = (x < low) == (std::fmod(turns, 2.0) == 0.0);
    return from_low ? low + rest : high - rest;
  }

  /// The element that stands for position `i`; -1 for a zero.
  std::int64_t element(Padding padding, std::int64_t i) const {
    if (i >= 0 && i < size) return i;
    if (padding == Padding::Zeros) return -1;
    const auto mirrored = padding == Padding::Border
                              ? i
                              : static_cast<std::int64_t>(reflected(static_cast<double>(i)));
    return std::clamp<std::int64_t>(mirrored, 0, size - 1);
  }
};

/// Up to four elements along one axis and their weights.
struct AxisTaps {
  std::int64_t count = 0;
  std::int64_t element[4];
  double weight[4];
};

void cubic_weights(double t, double* weight) {
  constexpr double kA = -0.75;
  const auto near = [](double x) { return ((kA + 2) * x - (kA + 3)) * x * x + 1; };
  const auto far = [](double x) { return ((kA * x - 5 * kA) * x + 8 * kA) * x - 4 * kA; };
  weight[0] = far(t + 1);
  weight[1] = near(t);
  weight[2] = near(1 - t);
  weight[3] = far(2 - t);
}

AxisTaps axis_taps(Mode mode, Padding padding, const SampledAxis& axis, double position) {
  // Far outside all positions are alike; NaN counts as such a one.
  constexpr double kFar = 1e15;
  double x = position >= -kFar ? std::min(position, kFar) : -kFar;
  if (mode == Mode::Nearest) x = std::nearbyint(x);
  if (x < axis.low || x > axis.high) {
    // Cubic weights come from the position as it is: only the elements are those of the border.
    if (padding == Padding::Border && mode != Mode::Cubic) {
      x = std::clamp(x, 0.0, static_cast<double>(axis.size - 1));
    }
    if (padding == Padding::Reflection) x = axis.reflected(x);
  }
  AxisTaps taps;
  if (mode == Mode::Nearest) {
    taps.count = 1;
    taps.element[0] = axis.element(padding, static_cast<std::int64_t>(x));
    taps.weight[0] = 1;
    return taps;
  }
  const double base = std::floor(x);
  const double t = x - base;
  taps.count = mode == Mode::Linear ? 2 : 4;
  const auto first = static_cast<std::int64_t>(base) - (mode == Mode::Linear ? 0 : 1);
  for (std::int64_t k = 0; k < taps.count; ++k) {
    taps.element[k] = axis.element(padding, first + k);
  }
  if (mode == Mode::Linear) {
    taps.weight[0] = 1 - t;
    taps.weight[1] = t;
  } else {
    cubic_weights(t, taps.weight);
  }
  return taps;
}

/// The taps of all axes multiplied out: offsets within a channel, and weights. An offset of -1
/// stands for a zero.
struct PointTaps {
  std::vector<std::int64_t> offset;
  std::vector<double> weight;
};

PointTaps point_taps(const std::vector<AxisTaps>& axes, const std::vector<SampledAxis>& sizes) {
  PointTaps taps{{0}, {1.0}};
  for (std::size_t axis = 0; axis < axes.size(); ++axis) {
    PointTaps next;
    for (std::size_t i = 0; i < taps.offset.size(); ++i) {
      for (std::int64_t k = 0; k < axes[axis].count; ++k) {
        const bool inside = taps.offset[i] >= 0 && axes[axis].element[k] >= 0;
        next.offset.push_back(
            inside ? taps.offset[i] * sizes[axis].size + axes[axis].element[k] : -1);
        next.weight.push_back(taps.weight[i] * axes[axis].weight[k]);
      }
    }
    taps = std::move(next);
  }
  return taps;
}

/// Calls `visit(batch, point, taps)` for each output position.
template <typename Visit>
void visit_points(const ReferenceContext& ctx, Mode mode, Visit visit) {
  const Shape& x = ctx.input(0).shape();
  const Tensor& grid = ctx.input(1);
  const Padding padding = padding_of(ctx.node);
  const bool align = ctx.node.attr_int("align_corners") != 0;
  const std::int64_t rank = x.rank() - 2;
  ctx.require(rank <= 8 || mode == Mode::Nearest, "X: got {} spatial axes, expected 8 or less",
              rank);
  std::vector<SampledAxis> sizes;
  for (std::int64_t axis = 0; axis < rank; ++axis) sizes.emplace_back(x[axis + 2], align);
  const std::vector<double> positions = to_wide<double>(grid);
  const std::int64_t points = grid.shape().numel(1, grid.rank() - 1);
  // Like other implementations: positions in single precision unless the grid is double.
  const bool wide = grid.dtype() == DType::F64;
  std::vector<AxisTaps> axes(sizes.size());
  for (std::int64_t i = 0; i < x[0] * points; ++i) {
    for (std::int64_t axis = 0; axis < rank; ++axis) {
      // The innermost axis is named first.
      const double value = positions[static_cast<std::size_t>(i * rank + rank - 1 - axis)];
      const SampledAxis& size = sizes[static_cast<std::size_t>(axis)];
      const double position = wide ? denormalized(value, size.size, align)
                                   : denormalized(static_cast<float>(value), size.size, align);
      axes[static_cast<std::size_t>(axis)] = axis_taps(mode, padding, size, position);
    }
    visit(i / points, i % points, point_taps(axes, sizes));
  }
}

void reference_grid_sample(ReferenceContext& ctx) {
  const Tensor& input = ctx.input(0);
  Tensor& output = ctx.output(0);
  if (output.numel() == 0) return;
  const Shape& shape = input.shape();
  const std::int64_t channels = shape[1];
  const std::int64_t plane = shape.numel(2, shape.rank());
  ctx.require(plane > 0, "X: got {}, expected elements to sample", to_string(input));
  const std::int64_t points = output.shape().numel(2, output.rank());
  const Mode mode = mode_of(ctx.node);
  if (mode == Mode::Nearest) {
    fill_zero(output);
    visit_points(ctx, mode, [&](std::int64_t batch, std::int64_t point, const PointTaps& taps) {
      for (std::int64_t c = batch * channels; c < (batch + 1) * channels; ++c) {
        if (taps.offset[0] < 0) continue;
        copy_elements(output, c * points + point, input, c * plane + taps.offset[0], 1);
      }
    });
    return;
  }
  const std::vector<double> x = to_wide<double>(input);
  std::vector<double> y(static_cast<std::size_t>(output.numel()), 0.0);
  visit_points(ctx, mode, [&](std::int64_t batch, std::int64_t point, const PointTaps& taps) {
    for (std::int64_t c = batch * channels; c < (batch + 1) * channels; ++c) {
      double& to = y[static_cast<std::size_t>(c * points + point)];
      for (std::size_t k = 0; k < taps.offset.size(); ++k) {
        if (taps.offset[k] < 0) continue;
        to += taps.weight[k] * x[static_cast<std::size_t>(c * plane + taps.offset[k])];
      }
    }
  });
  from_wide<double>(y, output);
}

Cost cost_grid_sample(const Node& node, std::span<const Type> inputs,
                      std::span<const Type> outputs) {
  const double spatial = outputs[0].shape ? static_cast<double>(outputs[0].shape->size()) - 2 : 0;
  const double per_axis = node.attr_string("mode") == "nearest"  ? 0
                          : node.attr_string("mode") == "linear" ? 2
                                                                 : 4;
  return {2 * std::pow(per_axis, spatial) * element_count(outputs[0]),
          total_bytes(inputs, outputs)};
}

// AffineGrid

void infer_affine_grid(InferContext& ctx) {
  expect_type(ctx, 0, kFloats);
  expect_type(ctx, 1, {DType::I64});
  const SymShape* theta = expect_rank(ctx, 0, 3);
  const std::optional<std::vector<Dim>> size = dims_value(ctx, 1);
  std::optional<std::int64_t> rank;  // of the image: 2 or 3
  if (theta != nullptr && (*theta)[1].is_known()) rank = (*theta)[1].value();
  if (size) rank = static_cast<std::int64_t>(size->size()) - 2;
  if (!rank) return ctx.set_output(0, ctx.dtype(0));
  ctx.require(*rank == 2 || *rank == 3, "size: got {} spatial axes, expected 2 or 3", *rank);
  if (theta != nullptr) {
    expect_equal(ctx, (*theta)[1], Dim(*rank), "theta: axis 1");
    expect_equal(ctx, (*theta)[2], Dim(*rank + 1), "theta: axis 2");
  }
  SymShape y;
  for (std::int64_t i = 0; i <= *rank; ++i) {
    y.push_back(!size ? ctx.fresh_dim() : (*size)[static_cast<std::size_t>(i == 0 ? 0 : i + 1)]);
  }
  if (theta != nullptr) y[0] = expect_equal(ctx, (*theta)[0], y[0], "theta: batch");
  y.push_back(Dim(*rank));
  ctx.set_output(0, ctx.dtype(0), std::move(y));
}

/// The normalised position of element `i` along an axis of `size`.
double normalized_position(std::int64_t i, std::int64_t size, bool align_corners) {
  const auto count = static_cast<double>(size);
  const auto at = static_cast<double>(i);
  if (align_corners) return size == 1 ? -1.0 : -1 + at * 2 / (count - 1);
  return (2 * at + 1) / count - 1;
}

void reference_affine_grid(ReferenceContext& ctx) {
  Tensor& output = ctx.output(0);
  const Shape& shape = output.shape();
  const std::int64_t rank = shape[shape.rank() - 1];
  const bool align = ctx.node.attr_int("align_corners") != 0;
  const std::vector<double> theta = to_wide<double>(ctx.input(0));
  std::vector<double> y;
  std::vector<double> position(static_cast<std::size_t>(rank) + 1, 1.0);  // x, y, (z,) 1
  const std::int64_t points = shape.numel(1, shape.rank() - 1);
  for (std::int64_t i = 0; i < shape[0] * points; ++i) {
    std::int64_t rest = i;
    for (std::int64_t k = 0; k < rank; ++k) {
      const std::int64_t size = shape[rank - k];
      position[static_cast<std::size_t>(k)] = normalized_position(rest % size, size, align);
      rest /= size;
    }
    for (std::int64_t row = 0; row < rank; ++row) {
      double sum = 0;
      for (std::int64_t k = 0; k <= rank; ++k) {
        sum += theta[static_cast<std::size_t>((i / points * rank + row) * (rank + 1) + k)] *
               position[static_cast<std::size_t>(k)];
      }
      y.push_back(sum);
    }
  }
  from_wide<double>(y, output);
}

Cost cost_affine_grid(const Node&, std::span<const Type> inputs, std::span<const Type> outputs) {
  return {8 * element_count(outputs[0]), total_bytes(inputs, outputs)};
}

}  // namespace

void define_grid_sample(std::vector<OpDef>& ops) {
  ops.push_back({
      .name = "GridSample",
      .since_version = 22,
      .doc = "Samples the input at the normalised positions that a grid states.",
      .source = "ONNX GridSample-22",
      .inputs = {{"X", "[batch, channels, spatial...]; numbers, or any type for mode nearest"},
                 {"grid", "[batch, output spatial..., spatial rank], innermost axis first"}},
      .outputs = {{"Y", "[batch, channels, output spatial...]"}},
      .attributes = {{"align_corners", AttrKind::Int, "1: -1 and 1 are centres of corner elements",
                      std::int64_t{0}},
                     {"mode", AttrKind::String, "linear, nearest or cubic", "linear"},
                     {"padding_mode", AttrKind::String, "zeros, border or reflection", "zeros"}},
      .infer = infer_grid_sample,
      .reference = reference_grid_sample,
      .cost = cost_grid_sample,
  });
  ops.push_back({
      .name = "AffineGrid",
      .since_version = 20,
      .doc = "Makes a sampling grid from affine matrices.",
      .source = "ONNX AffineGrid-20",
      .inputs = {{"theta", "[batch, 2, 3] or [batch, 3, 4], f32|f16|bf16|f64"},
                 {"size", "i64: [batch, channels, spatial...] of the image", Arity::Required, true}},
      .outputs = {{"grid", "[batch, spatial..., spatial rank]"}},
      .attributes = {{"align_corners", AttrKind::Int, "1: -1 and 1 are centres of corner elements",
                      std::int64_t{0}}},
      .infer = infer_affine_grid,
      .reference = reference_affine_grid,
      .cost = cost_affine_grid,
  });
}

}  // namespace naru
