// Resize: resamples a tensor axis by axis with nearest, linear or cubic filters.
#include "graph/ops/resize.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "graph/checked.h"
#include "graph/onnx_dtype.h"
#include "graph/ops/families.h"
#include "graph/ops/nn_rules.h"
#include "graph/scalar.h"

namespace naru {
namespace {

constexpr TypeSet kResizeTypes =
    kNumbers | kBool | TypeSet{DType::String, DType::Complex64, DType::Complex128};
constexpr std::size_t kRoi = 1, kScales = 2, kSizes = 3;

enum class Mode : std::uint8_t { Nearest, Linear, Cubic };
enum class Rounding : std::uint8_t { PreferFloor, PreferCeil, Floor, Ceil };
enum class Coordinates : std::uint8_t {
  HalfPixel, HalfPixelSymmetric, PytorchHalfPixel, AlignCorners, Asymmetric, CropAndResize,
  HalfPixelForNearest
};
enum class Aspect : std::uint8_t { Stretch, NotLarger, NotSmaller };

struct ResizeAttributes {
  Mode mode;
  Rounding rounding;
  Coordinates coordinates;
  Aspect aspect;
  bool antialias;
  bool exclude_outside;
  double cubic_a;
  double extrapolation;

  explicit ResizeAttributes(const Node& node)
      : mode(static_cast<Mode>(expect_choice(node, "mode", {"nearest", "linear", "cubic"}))),
        rounding(static_cast<Rounding>(expect_choice(
            node, "nearest_mode", {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"}))),
        coordinates(static_cast<Coordinates>(expect_choice(
            node, "coordinate_transformation_mode",
            {"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners",
             "asymmetric", "tf_crop_and_resize", "tf_half_pixel_for_nn"}))),
        aspect(static_cast<Aspect>(expect_choice(node, "keep_aspect_ratio_policy",
                                                 {"stretch", "not_larger", "not_smaller"}))),
        antialias(node.attr_int("antialias") != 0),
        exclude_outside(node.attr_int("exclude_outside") != 0),
        cubic_a(node.attr_float("cubic_coeff_a")),
        extrapolation(node.attr_float("extrapolation_value")) {
    if (antialias && mode == Mode::Nearest) {
      fail(ErrorCode::InvalidModel, "{}: antialias: got mode nearest, expected linear or cubic",
           node.label());
    }
  }
};

/// The axes that roi, scales and sizes speak of.
template <typename Context>
std::vector<std::int64_t> resized_axes(const Context& ctx, std::int64_t rank) {
  std::vector<std::int64_t> axes = ctx.node.attr_ints_or("axes", {});
  if (axes.empty()) {
    for (std::int64_t axis = 0; axis < rank; ++axis) axes.push_back(axis);
    return axes;
  }
  std::vector<bool> seen(static_cast<std::size_t>(rank), false);
  for (std::int64_t& axis : axes) {
    axis = ctx.normalize_axis(axis, rank);
    ctx.require(!seen[static_cast<std::size_t>(axis)], "axes: got axis {} twice", axis);
    seen[static_cast<std::size_t>(axis)] = true;
  }
  return axes;
}

/// An optional input that is absent or empty counts as not given, as older models write it.
bool is_given(const InferContext& ctx, std::size_t i) {
  if (!ctx.has_input(i)) return false;
  const SymShape* shape = ctx.shape(i);
  return shape == nullptr || shape->size() != 1 || !((*shape)[0] == Dim(0));
}

/// The output size for a scale; as in ONNX's shape rule the product is taken in single precision.
std::int64_t scaled_size(const InferContext& ctx, std::int64_t size, float scale) {
  const float product = std::floor(static_cast<float>(size) * scale);
  ctx.require(product >= 0 && product < 0x1p53f, "scales: got {} for size {}, expected a result "
              "below 2^53", scale, size);
  return static_cast<std::int64_t>(product);
}

Dim scaled_dim(InferContext& ctx, const Dim& dim, float scale) {
  ctx.require(scale > 0 && std::isfinite(scale), "scales: got {}, expected a number above 0", scale);
  if (dim.is_known()) return scaled_size(ctx, dim.value(), scale);
  if (scale >= 1 && scale < 0x1p31f && scale == std::floor(scale)) {
    return dim * static_cast<std::int64_t>(scale);
  }
  const float inverse = 1 / scale;
  // Only a power of two has an exact inverse: dim / 2^k is then the exact quotient.
  int exponent = 0;
  const bool power = std::frexp(inverse, &exponent) == 0.5f;
  if (power && inverse < 0x1p31f) return floor_div(dim, static_cast<std::int64_t>(inverse));
  return ctx.fresh_dim();
}

/// Sizes under a policy that keeps the aspect ratio: one scale for all axes.
void keep_aspect(InferContext& ctx, Aspect aspect, const std::vector<std::int64_t>& axes,
                 const SymShape& x, SymShape& y) {
  std::optional<double> chosen;
  bool known = true;
  for (std::int64_t axis : axes) {
    const auto at = static_cast<std::size_t>(axis);
    if (!x[at].is_known() || !y[at].is_known()) {
      known = false;
      break;
    }
    ctx.require(x[at].value() > 0, "X: got size 0 of axis {}, expected more to keep the ratio", axis);
    const double scale = static_cast<double>(y[at].value()) / static_cast<double>(x[at].value());
    if (!chosen) chosen = scale;
    chosen = aspect == Aspect::NotLarger ? std::min(*chosen, scale) : std::max(*chosen, scale);
  }
  for (std::int64_t axis : axes) {
    const auto at = static_cast<std::size_t>(axis);
    y[at] = !known ? ctx.fresh_dim()
                   : Dim(static_cast<std::int64_t>(
                         *chosen * static_cast<double>(x[at].value()) + 0.5));
  }
}

void expect_count(const InferContext& ctx, std::size_t i, std::size_t count) {
  if (!is_given(ctx, i)) return;
  const SymShape* shape = expect_rank(ctx, i, 1);
  if (shape != nullptr) {
    expect_equal(ctx, (*shape)[0], Dim(static_cast<std::int64_t>(count)),
                 ctx.node.op->inputs[i].name + ": count");
  }
}

void infer_resize(InferContext& ctx) {
  expect_type(ctx, 0, kResizeTypes);
  expect_type(ctx, kRoi, {DType::F32, DType::F16, DType::F64});
  expect_type(ctx, kScales, {DType::F32});
  expect_type(ctx, kSizes, {DType::I64});
  const ResizeAttributes attributes(ctx.node);
  const bool by_scales = is_given(ctx, kScales);
  const bool by_sizes = is_given(ctx, kSizes);
  ctx.require(by_scales != by_sizes, "inputs: got {} of scales and sizes, expected one",
              by_scales ? "both" : "none");
  const bool numeric = kNumbers.contains(ctx.dtype(0)) || ctx.dtype(0) == DType::Undefined;
  ctx.require(numeric || attributes.mode == Mode::Nearest,
              "X: got {}, expected a number type for mode {}", to_string(ctx.dtype(0)),
              ctx.node.attr_string("mode"));
  const SymShape* x = ctx.shape(0);
  if (x == nullptr) return ctx.set_output(0, ctx.dtype(0));
  const std::vector<std::int64_t> axes = resized_axes(ctx, static_cast<std::int64_t>(x->size()));
  expect_count(ctx, by_scales ? kScales : kSizes, axes.size());
  if (attributes.coordinates == Coordinates::CropAndResize) {
    ctx.require(is_given(ctx, kRoi), "roi: got none, expected one for tf_crop_and_resize");
    expect_count(ctx, kRoi, 2 * axes.size());
  }
  SymShape y = *x;
  const Tensor* scales = by_scales ? ctx.constant(kScales) : nullptr;
  std::optional<SymValue> sizes;
  if (by_sizes) sizes = ctx.symbolic_value(kSizes);
  for (std::size_t i = 0; i < axes.size(); ++i) {
    Dim& dim = y[static_cast<std::size_t>(axes[i])];
    if (scales != nullptr) {
      dim = scaled_dim(ctx, dim, scales->as<float>()[i]);
    } else if (sizes) {
      dim = sizes->elements[i];
    } else {
      dim = ctx.fresh_dim();
    }
  }
  if (by_sizes && attributes.aspect != Aspect::Stretch) {
    keep_aspect(ctx, attributes.aspect, axes, *x, y);
  }
  ctx.set_output(0, ctx.dtype(0), std::move(y));
}

/// One axis of the work.
struct AxisPlan {
  std::int64_t input;
  std::int64_t output;
  double scale;
  double roi_begin = 0;
  double roi_end = 1;
};

/// Where output position `at` stands in the input.
double source_position(Coordinates mode, const AxisPlan& plan, std::int64_t at) {
  const auto x = static_cast<double>(at);
  const auto input = static_cast<double>(plan.input);
  // With scales the resized length may be a fraction; ONNX divides by that one.
  const double resized = plan.scale * input;
  switch (mode) {
    case Coordinates::HalfPixel: return (x + 0.5) / plan.scale - 0.5;
    case Coordinates::PytorchHalfPixel:
      return plan.output > 1 ? (x + 0.5) / plan.scale - 0.5 : 0.0;
    case Coordinates::HalfPixelForNearest: return (x + 0.5) / plan.scale;
    case Coordinates::Asymmetric: return x / plan.scale;
    case Coordinates::AlignCorners: return resized == 1 ? 0.0 : x * (input - 1) / (resized - 1);
    case Coordinates::HalfPixelSymmetric: {
      const double offset = input / 2 * (1 - static_cast<double>(plan.output) / resized);
      return offset + (x + 0.5) / plan.scale - 0.5;
    }
    case Coordinates::CropAndResize: break;
  }
  const double extent = (plan.roi_end - plan.roi_begin) * (input - 1);
  const double offset = resized == 1 ? extent / 2 : x * extent / (resized - 1);
  return offset + plan.roi_begin * (input - 1);
}

double cubic(double a, double distance) {
  const double x = std::fabs(distance);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return 0;
}

/// Input elements and weights that make up one output element; no taps means the extrapolation value.
struct Taps {
  std::vector<std::int64_t> index;
  std::vector<double> weight;
};

std::int64_t nearest_index(Rounding rounding, double position) {
  const double low = std::floor(position);
  const double fraction = position - low;
  const bool up = rounding == Rounding::Ceil         ? fraction > 0
                  : rounding == Rounding::PreferCeil ? fraction >= 0.5
                  : rounding == Rounding::PreferFloor ? fraction > 0.5
                                                      : false;
  return static_cast<std::int64_t>(low) + (up ? 1 : 0);
}

Taps taps_of(const ResizeAttributes& attributes, const AxisPlan& plan, std::int64_t at) {
  const double last = static_cast<double>(plan.input - 1);
  // A region of interest may point anywhere; far outside, the edge is all there is.
  const double position =
      std::clamp(source_position(attributes.coordinates, plan, at), -0x1p52, 0x1p52);
  Taps taps;
  if (attributes.coordinates == Coordinates::CropAndResize && (position < 0 || position > last)) {
    return taps;
  }
  if (attributes.mode == Mode::Nearest) {
    taps.index = {std::clamp<std::int64_t>(nearest_index(attributes.rounding, position), 0,
                                           plan.input - 1)};
    taps.weight = {1.0};
    return taps;
  }
  const double stretch = attributes.antialias ? std::min(plan.scale, 1.0) : 1.0;
  const double radius = (attributes.mode == Mode::Linear ? 1.0 : 2.0) / stretch;
  const auto first = static_cast<std::int64_t>(std::floor(position - radius)) + 1;
  const auto end = static_cast<std::int64_t>(std::ceil(position + radius));
  double sum = 0;
  for (std::int64_t i = first; i < end; ++i) {
    const double distance = (static_cast<double>(i) - position) * stretch;
    const bool outside = i < 0 || i >= plan.input;
    const double weight = attributes.exclude_outside && outside ? 0.0
                          : attributes.mode == Mode::Linear
                              ? std::max(0.0, 1 - std::fabs(distance))
                              : cubic(attributes.cubic_a, distance);
    taps.index.push_back(std::clamp<std::int64_t>(i, 0, plan.input - 1));
    taps.weight.push_back(weight);
    sum += weight;
  }
  const bool rescale = attributes.antialias || attributes.exclude_outside;
  for (double& weight : taps.weight) {
    if (rescale && sum != 0) weight /= sum;
  }
  return taps;
}

/// Resamples the middle axis of x[outer, input, inner].
std::vector<double> resample(const ResizeAttributes& attributes, const AxisPlan& plan,
                             const std::vector<double>& x, std::int64_t outer, std::int64_t inner) {
  std::vector<double> y(static_cast<std::size_t>(checked_mul(outer * plan.output, inner)), 0.0);
  for (std::int64_t at = 0; at < plan.output; ++at) {
    const Taps taps = taps_of(attributes, plan, at);
    for (std::int64_t o = 0; o < outer; ++o) {
      double* const to = y.data() + (o * plan.output + at) * inner;
      if (taps.index.empty()) std::fill(to, to + inner, attributes.extrapolation);
      for (std::size_t k = 0; k < taps.index.size(); ++k) {
        const double* const from = x.data() + (o * plan.input + taps.index[k]) * inner;
        const double weight = taps.weight[k];
        for (std::int64_t i = 0; i < inner; ++i) to[i] += weight * from[i];
      }
    }
  }
  return y;
}

/// The axes that roi, scales and sizes speak of; inference has checked them.
std::vector<std::int64_t> axes_of(const Node& node, std::int64_t rank) {
  std::vector<std::int64_t> axes = node.attr_ints_or("axes", {});
  for (std::int64_t& axis : axes) axis += axis < 0 ? rank : 0;
  for (std::int64_t axis = 0; std::ssize(axes) < rank && !node.has("axes"); ++axis) axes.push_back(axis);
  return axes;
}

std::vector<AxisPlan> axis_plans(const Node& node, const ResizeAttributes& attributes, const Shape& x,
                                 const Shape& y, const ResizeInputs& inputs) {
  const std::vector<std::int64_t> axes = axes_of(node, x.rank());
  std::vector<AxisPlan> plans;
  for (std::int64_t axis = 0; axis < x.rank(); ++axis) plans.push_back({x[axis], y[axis], 1.0});
  const bool by_scales = inputs.scales != nullptr && inputs.scales->numel() > 0;
  std::vector<double> roi;
  if (attributes.coordinates == Coordinates::CropAndResize) roi = to_wide<double>(*inputs.roi);
  double common = 0;
  for (std::size_t i = 0; i < axes.size(); ++i) {
    AxisPlan& plan = plans[static_cast<std::size_t>(axes[i])];
    if (by_scales) {
      plan.scale = inputs.scales->as<float>()[i];
    } else {
      const auto size = static_cast<double>(inputs.sizes->as<std::int64_t>()[i]);
      plan.scale = size / static_cast<double>(plan.input);
      const bool first = i == 0;
      common = first ? plan.scale
               : attributes.aspect == Aspect::NotLarger ? std::min(common, plan.scale)
                                                        : std::max(common, plan.scale);
    }
    if (!roi.empty()) {
      plan.roi_begin = roi[i];
      plan.roi_end = roi[axes.size() + i];
      if (!(std::fabs(plan.roi_begin) < 0x1p31 && std::fabs(plan.roi_end) < 0x1p31)) {
        fail(ErrorCode::InvalidArgument, "{}: roi: got {} to {}, expected normalised coordinates",
             node.label(), plan.roi_begin, plan.roi_end);
      }
    }
  }
  if (!by_scales && attributes.aspect != Aspect::Stretch) {
    for (std::int64_t axis : axes) plans[static_cast<std::size_t>(axis)].scale = common;
  }
  return plans;
}

bool is_identity(const AxisPlan& plan) {
  return plan.scale == 1 && plan.input == plan.output && plan.roi_begin == 0 && plan.roi_end == 1;
}

/// Nearest resampling of elements that are no numbers: each output element copies one.
template <typename Copy>
void copy_nearest(const ReferenceContext& ctx, const ResizeAttributes& attributes,
                  const std::vector<AxisPlan>& plans, const Shape& x, const Shape& y, Copy copy) {
  std::vector<std::vector<std::int64_t>> source(plans.size());
  for (std::size_t axis = 0; axis < plans.size(); ++axis) {
    for (std::int64_t at = 0; at < plans[axis].output; ++at) {
      const Taps taps = taps_of(attributes, plans[axis], at);
      ctx.require(!taps.index.empty(), "X: got {}, expected a number type to extrapolate",
                  to_string(ctx.input(0)));
      source[axis].push_back(is_identity(plans[axis]) ? at : taps.index[0]);
    }
  }
  const std::vector<std::int64_t> strides = x.strides();
  for (std::int64_t i = 0; i < y.numel(); ++i) {
    std::int64_t rest = i;
    std::int64_t from = 0;
    for (std::size_t axis = plans.size(); axis-- > 0;) {
      const std::int64_t size = y[static_cast<std::int64_t>(axis)];
      from += source[axis][static_cast<std::size_t>(rest % size)] * strides[axis];
      rest /= size;
    }
    copy(i, from);
  }
}

/// Rounds to the nearest integer and clamps to the type's range; floats pass.
void store_rounded(std::vector<double>& values, Tensor& output) {
  const DType dtype = output.dtype();
  if (is_float(dtype)) return from_wide<double>(values, output);
  const int bits = dtype_info(dtype).block_bytes * 8;
  const bool is_signed = kind_of(dtype) == DTypeKind::SignedInt;
  const double low = is_signed ? -std::ldexp(1.0, bits - 1) : 0.0;
  const double high = std::ldexp(1.0, is_signed ? bits - 1 : bits);
  for (std::int64_t i = 0; i < output.numel(); ++i) {
    const double value = std::nearbyint(values[static_cast<std::size_t>(i)]);
    if (value >= high) {
      store_u64(dtype, output.mutable_data(), i,
                is_signed ? (UINT64_C(1) << (bits - 1)) - 1 : ~UINT64_C(0));
    } else {
      store_f64(dtype, output.mutable_data(), i, std::max(value, low));
    }
  }
}

// Decomposition of a crop whose region is found at run time: along each axis a product with a matrix of weights

/// The positions of one axis in the input, [output].
ValueId crop_positions(DecomposeContext& ctx, const AxisPlan& plan, ValueId begin, ValueId end) {
  const auto last = static_cast<double>(plan.input - 1);
  const double resized = plan.scale * static_cast<double>(plan.input);
  std::vector<float> ramp;
  for (std::int64_t at = 0; at < plan.output; ++at) {
    ramp.push_back(static_cast<float>(resized == 1 ? last / 2 : static_cast<double>(at) * last / (resized - 1)));
  }
  const ValueId steps = ctx.constant(Tensor::from<float>(Shape{plan.output}, std::span<const float>(ramp)));
  const ValueId first = ctx.add("Mul", {begin, ctx.scalar(DType::F32, last)});
  return ctx.add("Add", {first, ctx.add("Mul", {ctx.add("Sub", {end, begin}), steps})});
}

/// The element that is nearest to each position.
ValueId nearest_of(DecomposeContext& ctx, Rounding rounding, ValueId positions) {
  switch (rounding) {
    case Rounding::Floor: return ctx.add("Floor", {positions});
    case Rounding::Ceil: return ctx.add("Ceil", {positions});
    case Rounding::PreferCeil: return ctx.add("Floor", {ctx.add("Add", {positions, ctx.scalar(DType::F32, 0.5)})});
    case Rounding::PreferFloor: break;
  }
  return ctx.add("Ceil", {ctx.add("Sub", {positions, ctx.scalar(DType::F32, 0.5)})});
}

/// What each input element, along the last axis, gives to each position: [output, input].
ValueId crop_weights(DecomposeContext& ctx, const ResizeAttributes& attributes, ValueId positions, std::int64_t input) {
  std::vector<float> places;
  for (std::int64_t i = 0; i < input; ++i) places.push_back(static_cast<float>(i));
  if (attributes.mode == Mode::Nearest) positions = nearest_of(ctx, attributes.rounding, positions);
  const ValueId column = ctx.add("Unsqueeze", {positions, ctx.ints({1})});
  const ValueId distance = ctx.add("Sub", {column, ctx.constant(Tensor::from<float>(Shape{input}, std::span<const float>(places)))});
  const ValueId closeness = ctx.add("Sub", {ctx.scalar(DType::F32, 1), ctx.add("Abs", {distance})});
  return ctx.add("Max", {closeness, ctx.scalar(DType::F32, 0)});
}

bool decompose_resize(DecomposeContext& ctx) {
  const ResizeAttributes attributes(ctx.node);
  const Type& input = ctx.type(ctx.input(0));
  const bool crops = attributes.coordinates == Coordinates::CropAndResize && attributes.mode != Mode::Cubic && !attributes.antialias;
  if (!crops || !kFloats.contains(input.dtype) || !input.is_static() || !ctx.output_type(0).is_static()) return false;
  const auto rank = static_cast<std::int64_t>(input.shape->size());
  const std::vector<std::int64_t> axes = axes_of(ctx.node, rank);
  const auto count = std::ssize(axes);
  const auto optional = [&](std::size_t i) { return ctx.has_input(i) ? ctx.constant(i) : nullptr; };
  const std::vector<float> zeros(static_cast<std::size_t>(2 * count), 0.0F);
  const Tensor whole = Tensor::from<float>(Shape{2 * count}, std::span<const float>(zeros));
  if (optional(kScales) == nullptr && optional(kSizes) == nullptr) return false;
  const std::vector<AxisPlan> plans = axis_plans(ctx.node, attributes, *known_shape(*input.shape), *known_shape(*ctx.output_type(0).shape),
                                                 {&whole, optional(kScales), optional(kSizes)});
  const auto cast = [&](ValueId value, DType to) { return ctx.add("Cast", {value}, {{"to", onnx_code(to)}}); };
  const ValueId roi = cast(ctx.input(kRoi), DType::F32);
  ValueId y = cast(ctx.input(0), DType::F32);
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t axis = axes[static_cast<std::size_t>(i)];
    const AxisPlan& plan = plans[static_cast<std::size_t>(axis)];
    if (plan.input == 1 && plan.output == 1) continue;
    const auto bound = [&](std::int64_t at) { return ctx.add("Slice", {roi, ctx.ints({at}), ctx.ints({at + 1}), ctx.ints({0})}); };
    const ValueId positions = crop_positions(ctx, plan, bound(i), bound(count + i));
    std::vector<std::int64_t> swap(static_cast<std::size_t>(rank));
    std::iota(swap.begin(), swap.end(), 0);
    std::swap(swap[static_cast<std::size_t>(axis)], swap.back());
    const ValueId weights = ctx.add("Transpose", {crop_weights(ctx, attributes, positions, plan.input)});
    const ValueId product = ctx.add("MatMul", {ctx.add("Transpose", {y}, {{"perm", swap}}), weights});
    // Behind the edges lies the extrapolation value.
    const ValueId inside = ctx.add("And", {ctx.add("GreaterOrEqual", {positions, ctx.scalar(DType::F32, 0)}),
                                           ctx.add("LessOrEqual", {positions, ctx.scalar(DType::F32, static_cast<double>(plan.input - 1))})});
    const ValueId cropped = ctx.add("Where", {inside, product, ctx.scalar(DType::F32, attributes.extrapolation)});
    y = ctx.add("Transpose", {cropped}, {{"perm", swap}});
  }
  ctx.set_output(0, cast(y, input.dtype));
  return true;
}

void reference_resize(ReferenceContext& ctx) {
  const Tensor& input = ctx.input(0);
  const ResizeAttributes attributes(ctx.node);
  Tensor& output = ctx.output(0);
  const Shape& x = input.shape();
  const Shape& y = output.shape();
  if (y.numel() == 0) return;
  ctx.require(x.numel() > 0, "X: got {}, expected elements to resample", to_string(input));
  const auto optional = [&](std::size_t i) { return ctx.has_input(i) ? &ctx.input(i) : nullptr; };
  const std::vector<AxisPlan> plans =
      axis_plans(ctx.node, attributes, x, y, {optional(kRoi), optional(kScales), optional(kSizes)});
  const DType dtype = input.dtype();
  if (dtype == DType::String) {
    copy_nearest(ctx, attributes, plans, x, y, [&](std::int64_t to, std::int64_t from) {
      output.mutable_strings()[static_cast<std::size_t>(to)] =
          input.strings()[static_cast<std::size_t>(from)];
    });
    return;
  }
  // Integers of 64 bits would lose digits in double; nearest copies them whole.
  const bool whole = attributes.mode == Mode::Nearest &&
                     attributes.coordinates != Coordinates::CropAndResize;
  if (whole || !kNumbers.contains(dtype)) {
    const auto bytes = static_cast<std::size_t>(dtype_info(dtype).block_bytes);
    copy_nearest(ctx, attributes, plans, x, y, [&](std::int64_t to, std::int64_t from) {
      std::memcpy(output.mutable_data() + static_cast<std::size_t>(to) * bytes,
                  input.data() + static_cast<std::size_t>(from) * bytes, bytes);
    });
    return;
  }
  std::vector<double> values = to_wide<double>(input);
  Shape now = x;
  for (std::int64_t axis = 0; axis < x.rank(); ++axis) {
    const AxisPlan& plan = plans[static_cast<std::size_t>(axis)];
    if (is_identity(plan)) continue;
    values = resample(attributes, plan, values, now.numel(0, axis), now.numel(axis + 1, now.rank()));
    now[axis] = plan.output;
  }
  store_rounded(values, output);
}

Cost cost_resize(const Node& node, std::span<const Type> inputs, std::span<const Type> outputs) {
  const std::string mode = node.attr_string("mode");
  const double per_axis = mode == "nearest" ? 0 : mode == "linear" ? 4 : 8;
  return {2 * per_axis * element_count(outputs[0]), total_bytes(inputs, outputs)};
}

}  // namespace

std::vector<ResizeAxis> resize_axes(const Node& node, const Shape& x, const Shape& y,
                                    const ResizeInputs& inputs) {
  const ResizeAttributes attributes(node);
  std::vector<ResizeAxis> axes;
  for (const AxisPlan& plan : axis_plans(node, attributes, x, y, inputs)) {
    ResizeAxis axis{plan.input, plan.output, 0, {}, {}};
    if (!is_identity(plan)) {
      std::vector<Taps> all;
      for (std::int64_t at = 0; at < plan.output; ++at) {
        all.push_back(taps_of(attributes, plan, at));
        axis.taps = std::max(axis.taps, static_cast<std::int64_t>(all.back().index.size()));
      }
      axis.taps = std::max<std::int64_t>(axis.taps, 1);
      for (const Taps& taps : all) {
        for (std::int64_t k = 0; k < axis.taps; ++k) {
          const auto i = static_cast<std::size_t>(k);
          const bool used = i < taps.index.size();
          axis.index.push_back(used ? taps.index[i] : taps.index.empty() ? -1 : taps.index[0]);
          axis.weight.push_back(used ? taps.weight[i] : 0.0);
        }
      }
    }
    axes.push_back(std::move(axis));
  }
  return axes;
}

void define_resize(std::vector<OpDef>& ops) {
  ops.push_back({
      .name = "Resize",
      .since_version = 19,
      .doc = "Resamples the input along its axes to other sizes.",
      .source = "ONNX Resize-19",
      .inputs = {{"X", "any rank; numbers, or any type for mode nearest"},
                 {"roi", "[2 * axes]: begins, then ends, for tf_crop_and_resize", Arity::Optional},
                 {"scales", "[axes], f32, above 0", Arity::Optional, true},
                 {"sizes", "[axes], i64; one of scales and sizes is given", Arity::Optional, true}},
      .outputs = {{"Y", "the rank of X"}},
      .attributes =
          {{"antialias", AttrKind::Int, "1: filters widen when shrinking", std::int64_t{0}},
           {"axes", AttrKind::Ints, "axes that roi, scales and sizes speak of; all when absent"},
           {"coordinate_transformation_mode", AttrKind::String,
            "half_pixel, half_pixel_symmetric, pytorch_half_pixel, align_corners, asymmetric, "
            "tf_crop_and_resize, or tf_half_pixel_for_nn of version 11",
            "half_pixel"},
           {"cubic_coeff_a", AttrKind::Float, "the cubic filter's parameter", -0.75f},
           {"exclude_outside", AttrKind::Int, "1: positions outside have no weight",
            std::int64_t{0}},
           {"extrapolation_value", AttrKind::Float, "value outside, for tf_crop_and_resize", 0.0f},
           {"keep_aspect_ratio_policy", AttrKind::String, "stretch, not_larger or not_smaller",
            "stretch"},
           {"mode", AttrKind::String, "nearest, linear or cubic", "nearest"},
           {"nearest_mode", AttrKind::String,
            "round_prefer_floor, round_prefer_ceil, floor or ceil", "round_prefer_floor"}},
      .infer = infer_resize,
      .reference = reference_resize,
      .cost = cost_resize,
      .decompose = decompose_resize,
  });
}

}  // namespace naru
