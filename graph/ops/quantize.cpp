// QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear and the QLinear products.
#include "graph/ops/quantize.h"

#include <algorithm>
#include <cmath>

#include "graph/onnx_dtype.h"
#include "graph/ops/conv.h"
#include "graph/ops/families.h"
#include "graph/ops/matmul.h"
#include "graph/ops/nn_rules.h"
#include "graph/ops/wide_math.h"
#include "graph/scalar.h"

namespace naru {
namespace {

constexpr TypeSet kShortFloats{DType::F32, DType::F16, DType::BF16};

// Scales and zero points: one for all, one per index of an axis, or one per block along an axis

/// Checks a scale or zero point input against the quantised tensor, input 0.
void expect_granularity(const InferContext& ctx, std::size_t i) {
  if (!ctx.has_input(i) || ctx.shape(i) == nullptr || ctx.shape(0) == nullptr) return;
  const SymShape& x = *ctx.shape(0);
  const SymShape& own = *ctx.shape(i);
  const std::string& name = ctx.node.op->inputs[i].name;
  const std::int64_t block = ctx.node.attr_int("block_size");
  ctx.require(block >= 0, "block_size: got {}, expected 0 or more", block);
  const bool single = own.empty() || (own.size() == 1 && own[0] == Dim(1));
  if (single) return;
  const auto rank = static_cast<std::int64_t>(x.size());
  // A vector has no axis 1, the default.
  const std::int64_t stated = rank == 1 ? 0 : ctx.node.attr_int("axis");
  const auto axis = static_cast<std::size_t>(ctx.normalize_axis(stated, rank));
  if (block == 0) {
    ctx.require(own.size() == 1, "{}: got shape {}, expected a scalar or a vector without block_size",
                name, to_string(own));
    expect_equal(ctx, own[0], x[axis], name + ": length");
    return;
  }
  ctx.require(own.size() == x.size(), "{}: got shape {}, expected rank {} for blocks", name,
              to_string(own), x.size());
  for (std::size_t k = 0; k < x.size(); ++k) {
    expect_equal(ctx, own[k], k == axis ? ceil_div(x[k], block) : x[k],
                 fmt::format("{}: axis {}", name, k));
  }
}

/// The parameter's value for each element of a tensor of shape `x`.
class Granularity {
 public:
  Granularity(const ReferenceContext& ctx, const Shape& x, const Tensor& parameter)
      : values_(to_wide<double>(parameter)) {
    if (parameter.numel() == 1) return;
    const std::int64_t stated = x.rank() == 1 ? 0 : ctx.node.attr_int("axis");
    const std::int64_t axis = ctx.normalize_axis(stated, x.rank());
    inner_ = x.numel(axis + 1, x.rank());
    size_ = x[axis];
    block_ = std::max<std::int64_t>(1, ctx.node.attr_int("block_size"));
    blocks_ = (size_ + block_ - 1) / block_;
    per_axis_ = parameter.rank() == 1 && (x.rank() > 1 || ctx.node.attr_int("block_size") == 0);
  }

  double operator()(std::int64_t index) const {
    if (values_.size() == 1) return values_[0];
    const std::int64_t along = index / inner_ % size_;
    if (per_axis_) return values_[static_cast<std::size_t>(along)];
    const std::int64_t outer = index / inner_ / size_;
    return values_[static_cast<std::size_t>((outer * blocks_ + along / block_) * inner_ +
                                            index % inner_)];
  }

 private:
  std::vector<double> values_;
  std::int64_t inner_ = 1, size_ = 1, block_ = 1, blocks_ = 1;
  bool per_axis_ = false;
};

std::optional<Granularity> zero_point_of(const ReferenceContext& ctx, std::size_t input,
                                         const Shape& x) {
  if (!ctx.has_input(input)) return std::nullopt;
  return Granularity(ctx, x, ctx.input(input));
}

/// The type that an attribute states, Undefined for 0.
DType stated_dtype(const Node& node, const char* attribute) {
  const std::int64_t code = node.attr_int(attribute);
  return code == 0 ? DType::Undefined : dtype_from_onnx(code);
}

// QuantizeLinear

void infer_quantize(InferContext& ctx) {
  expect_type(ctx, 0, kShortFloats | TypeSet{DType::I32});
  expect_type(ctx, 1, kShortFloats | TypeSet{DType::I32, DType::F8E8M0});
  expect_type(ctx, 2, kQuantized);
  expect_granularity(ctx, 1);
  expect_granularity(ctx, 2);
  DType dtype = stated_dtype(ctx.node, "output_dtype");
  if (ctx.has_input(2)) {
    const DType of_zero = ctx.dtype(2);
    ctx.require(dtype == DType::Undefined || of_zero == DType::Undefined || dtype == of_zero,
                "output_dtype: got {}, expected {} as of y_zero_point", to_string(dtype),
                to_string(of_zero));
    if (dtype == DType::Undefined) dtype = of_zero;
  } else if (dtype == DType::Undefined) {
    dtype = DType::U8;
  }
  ctx.require(dtype == DType::Undefined || kQuantized.contains(dtype),
              "output_dtype: got {}, expected {}", to_string(dtype), to_string(kQuantized));
  Type type = ctx.input(0);
  type.kind = TypeKind::Tensor;
  type.dtype = dtype;
  ctx.set_output(0, std::move(type));
}

/// The float type in which x is divided by its scale.
DType division_type(const ReferenceContext& ctx) {
  const DType stated = stated_dtype(ctx.node, "precision");
  if (is_float(stated)) return stated;
  const DType of_scale = ctx.input(1).dtype();
  if (of_scale == DType::I32) return DType::F64;
  return of_scale == DType::F8E8M0 ? DType::F32 : of_scale;
}

void reference_quantize(ReferenceContext& ctx) {
  const Tensor& input = ctx.input(0);
  Tensor& output = ctx.output(0);
  const std::vector<double> x = to_wide<double>(input);
  const Granularity scale(ctx, input.shape(), ctx.input(1));
  const std::optional<Granularity> zero = zero_point_of(ctx, 2, input.shape());
  const DType precision = division_type(ctx);
  const bool saturate = ctx.node.attr_int("saturate") != 0;
  const DType dtype = output.dtype();
  for (std::int64_t i = 0; i < input.numel(); ++i) {
    const double scaled = rounded_to(precision, x[static_cast<std::size_t>(i)] / scale(i));
    store_f64(dtype, output.mutable_data(), i, quantized(dtype, scaled, zero ? (*zero)(i) : 0.0),
              saturate);
  }
}

// DequantizeLinear

void infer_dequantize(InferContext& ctx) {
  expect_common_type(ctx, {0, 2}, kQuantized | TypeSet{DType::I32});
  expect_type(ctx, 1, kShortFloats | TypeSet{DType::F8E8M0});
  expect_granularity(ctx, 1);
  expect_granularity(ctx, 2);
  DType dtype = stated_dtype(ctx.node, "output_dtype");
  if (dtype == DType::Undefined) {
    // A scale that is a bare exponent is no type to compute in.
    dtype = ctx.dtype(1) == DType::F8E8M0 ? DType::F32 : ctx.dtype(1);
  }
  ctx.require(dtype == DType::Undefined || kShortFloats.contains(dtype),
              "output_dtype: got {}, expected {}", to_string(dtype), to_string(kShortFloats));
  Type type = ctx.input(0);
  type.kind = TypeKind::Tensor;
  type.dtype = dtype;
  ctx.set_output(0, std::move(type));
}

void reference_dequantize(ReferenceContext& ctx) {
  const Tensor& input = ctx.input(0);
  std::vector<double> values = to_wide<double>(input);
  const Granularity scale(ctx, input.shape(), ctx.input(1));
  const std::optional<Granularity> zero = zero_point_of(ctx, 2, input.shape());
  for (std::int64_t i = 0; i < input.numel(); ++i) {
    double& value = values[static_cast<std::size_t>(i)];
    value = (value - (zero ? (*zero)(i) : 0.0)) * scale(i);
  }
  from_wide<double>(values, ctx.output(0));
}

// DynamicQuantizeLinear

void infer_dynamic_quantize(InferContext& ctx) {
  expect_type(ctx, 0, {DType::F32});
  Type type = ctx.input(0);
  type.kind = TypeKind::Tensor;
  type.dtype = DType::U8;
  ctx.set_output(0, std::move(type));
  ctx.set_output(1, DType::F32, SymShape{});
  ctx.set_output(2, DType::U8, SymShape{});
}

void reference_dynamic_quantize(ReferenceContext& ctx) {
  // Single precision throughout: the operator's function body says so, and ties depend on it.
  const auto x = ctx.input(0).as<float>();
  float low = 0, high = 0;
  for (float value : x) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  const float scale = (high == low ? 1.0f : high - low) / 255.0f;
  const float offset = -low / scale;  // NaN where the operands have no range
  const float zero = offset > 0 ? std::nearbyint(std::min(offset, 255.0f)) : 0.0f;
  Tensor& output = ctx.output(0);
  const auto y = output.as_mutable<std::uint8_t>();
  for (std::size_t i = 0; i < x.size(); ++i) {
    y[i] = static_cast<std::uint8_t>(
        quantized(DType::U8, static_cast<double>(x[i] / scale), static_cast<double>(zero)));
  }
  if (ctx.has_output(1)) ctx.output(1).as_mutable<float>()[0] = scale;
  if (ctx.has_output(2)) {
    ctx.output(2).as_mutable<std::uint8_t>()[0] = static_cast<std::uint8_t>(zero);
  }
}

// QLinearConv

void infer_qlinear_conv(InferContext& ctx) {
  expect_common_type(ctx, {0, 2}, kBytes);
  expect_common_type(ctx, {3, 5}, kBytes);
  expect_type(ctx, 7, kBytes);
  expect_type(ctx, 8, {DType::I32});
  for (std::size_t scale : {1, 4, 6}) expect_type(ctx, scale, {DType::F32});
  for (std::size_t i : {1, 2, 6, 7}) expect_single(ctx, i);
  infer_convolution(ctx, 0, 3, ctx.dtype(7));
  const SymShape* w = ctx.shape(3);
  if (w == nullptr) return;
  expect_vector(ctx, 8, (*w)[0]);
  for (std::size_t i : {4, 5}) {
    const SymShape* own = ctx.shape(i);
    const bool vector = own != nullptr && own->size() == 1 && !((*own)[0] == Dim(1));
    if (vector) expect_vector(ctx, i, (*w)[0]);
    if (own != nullptr && own->size() > 1) expect_single(ctx, i);
  }
}

void reference_qlinear_conv(ReferenceContext& ctx) {
  const Shape& x_shape = ctx.input(0).shape();
  const Shape& w_shape = ctx.input(3).shape();
  Tensor& output = ctx.output(0);
  const Shape& y_shape = output.shape();
  std::vector<double> x = to_wide<double>(ctx.input(0));
  std::vector<double> w = to_wide<double>(ctx.input(3));
  const double x_zero = scalar_f64(ctx.input(2));
  for (double& value : x) value -= x_zero;
  const std::vector<double> w_zero = to_wide<double>(ctx.input(5));
  const auto per_channel = w_shape[0] == 0 ? 0 : w.size() / static_cast<std::size_t>(w_shape[0]);
  for (std::size_t i = 0; i < w.size(); ++i) {
    w[i] -= w_zero[w_zero.size() == 1 ? 0 : i / per_channel];
  }
  // Sums of byte products are exact in double.
  std::vector<double> sums(static_cast<std::size_t>(y_shape.numel()), 0.0);
  convolve(conv_sizes(ctx.node, x_shape, w_shape, y_shape), x, w, sums);

  const auto x_scale = static_cast<float>(scalar_f64(ctx.input(1)));
  const auto y_scale = static_cast<float>(scalar_f64(ctx.input(6)));
  const double y_zero = scalar_f64(ctx.input(7));
  const auto w_scale = ctx.input(4).as<float>();
  std::vector<double> bias;
  if (ctx.has_input(8)) bias = to_wide<double>(ctx.input(8));
  const std::int64_t inner = y_shape.numel(2, y_shape.rank());
  for (std::int64_t i = 0; i < output.numel(); ++i) {
    const auto channel = static_cast<std::size_t>(i / inner % y_shape[1]);
    // The factor is a single-precision number in every implementation; ties depend on it.
    const float factor = x_scale * w_scale[w_scale.size() == 1 ? 0 : channel] / y_scale;
    const double sum = sums[static_cast<std::size_t>(i)] + (bias.empty() ? 0.0 : bias[channel]);
    store_f64(output.dtype(), output.mutable_data(), i,
              quantized(output.dtype(), sum * static_cast<double>(factor), y_zero));
  }
}

Cost cost_qlinear_conv(const Node& node, std::span<const Type> inputs,
                       std::span<const Type> outputs) {
  return conv_cost(node, inputs, outputs, 3);
}

// QLinearMatMul

void infer_qlinear_matmul(InferContext& ctx) {
  constexpr TypeSet kOperands = kBytes | kFloat8s;
  expect_common_type(ctx, {0, 2}, kOperands);
  expect_common_type(ctx, {3, 5}, kOperands);
  expect_type(ctx, 7, kOperands);
  expect_common_type(ctx, {1, 4, 6}, kShortFloats);
  infer_matmul(ctx, 0, 3, ctx.dtype(7));
}

/// A parameter of the product, spread over its elements as rows or columns of `a` and `b` say.
std::vector<double> spread_over_product(const ReferenceContext& ctx, std::size_t parameter,
                                        const Shape& y, bool per_row) {
  const Shape matrix = y.rank() >= 2 ? y : Shape{1, y.rank() == 1 ? y[0] : 1};
  return spread_over_matrix(ctx, parameter, matrix, per_row);
}

void reference_qlinear_matmul(ReferenceContext& ctx) {
  const Shape& a_shape = ctx.input(0).shape();
  const Shape& b_shape = ctx.input(3).shape();
  Tensor& output = ctx.output(0);
  const Shape& y_shape = output.shape();
  std::vector<double> a = to_wide<double>(ctx.input(0));
  std::vector<double> b = to_wide<double>(ctx.input(3));
  subtract(a, spread_over_matrix(ctx, 2, a_shape, true));
  subtract(b, spread_over_matrix(ctx, 5, b_shape, false));
  const std::vector<double> sums = matmul<double>(a, a_shape, b, b_shape, y_shape);
  const std::vector<double> a_scale = spread_over_product(ctx, 1, y_shape, true);
  const std::vector<double> b_scale = spread_over_product(ctx, 4, y_shape, false);
  const std::vector<double> y_scale = spread_over_product(ctx, 6, y_shape, true);
  const std::vector<double> y_zero = spread_over_product(ctx, 7, y_shape, true);
  const DType precision = ctx.input(1).dtype();
  for (std::size_t i = 0; i < sums.size(); ++i) {
    const double factor =
        rounded_to(precision, rounded_to(precision, a_scale[i] * b_scale[i]) / y_scale[i]);
    store_f64(output.dtype(), output.mutable_data(), static_cast<std::int64_t>(i),
              quantized(output.dtype(), sums[i] * factor, y_zero[i]));
  }
}

Cost cost_qlinear_matmul(const Node&, std::span<const Type> inputs,
                         std::span<const Type> outputs) {
  return matmul_cost(0, inputs, outputs);
}

std::vector<AttrSpec> granularity_attributes(std::vector<AttrSpec> extra) {
  std::vector<AttrSpec> attributes = {
      {"axis", AttrKind::Int, "axis of a vector of scales, or of the blocks", std::int64_t{1}},
      {"block_size", AttrKind::Int, "elements along the axis that share a scale; 0: no blocks",
       std::int64_t{0}},
      {"output_dtype", AttrKind::Int, "ONNX number of the result's type; 0: from the other inputs",
       std::int64_t{0}}};
  attributes.insert(attributes.end(), extra.begin(), extra.end());
  return attributes;
}

}  // namespace

double quantized(DType dtype, double scaled, double zero_point) {
  if (is_float(dtype)) return scaled + zero_point;
  const DTypeInfo& info = dtype_info(dtype);
  const int bits = element_bits(dtype);
  const bool is_signed = info.kind == DTypeKind::SignedInt;
  const double low = is_signed ? -std::ldexp(1.0, bits - 1) : 0.0;
  const double high = std::ldexp(1.0, is_signed ? bits - 1 : bits) - 1;
  const double value = std::nearbyint(scaled) + zero_point;
  return value >= low ? std::min(value, high) : low;  // NaN becomes the lowest
}

double rounded_to(DType dtype, double value) {
  switch (dtype) {
    case DType::F32: return static_cast<double>(static_cast<float>(value));
    case DType::F64: return value;
    default: break;
  }
  std::byte bits[8];
  store_f64(dtype, bits, 0, value, false);
  return load_f64(dtype, bits, 0);
}

void define_quantize(std::vector<OpDef>& ops) {
  ops.push_back({
      .name = "QuantizeLinear",
      .since_version = 28,
      .doc = "Divides by a scale, rounds, adds a zero point and saturates.",
      .source = "ONNX QuantizeLinear-28",
      .inputs = {{"x", "f32|f16|bf16|i32"},
                 {"y_scale", "scalar, [size of axis], or the shape of x with blocks along axis"},
                 {"y_zero_point", "as y_scale; its type is the result's", Arity::Optional}},
      .outputs = {{"y", "the shape of x; u8 when nothing says otherwise"}},
      .attributes = granularity_attributes(
          {{"precision", AttrKind::Int, "ONNX number of the division's type; 0: that of y_scale",
            std::int64_t{0}},
           {"saturate", AttrKind::Int, "0: 8-bit floats overflow to infinity or NaN",
            std::int64_t{1}}}),
      .infer = infer_quantize,
      .reference = reference_quantize,
      .cost = cost_per_input_element<3>,
  });
  ops.push_back({
      .name = "DequantizeLinear",
      .since_version = 28,
      .doc = "Subtracts a zero point and multiplies by a scale.",
      .source = "ONNX DequantizeLinear-28",
      .inputs = {{"x", "quantised integers or small floats, or i32"},
                 {"x_scale", "scalar, [size of axis], or the shape of x with blocks along axis"},
                 {"x_zero_point", "as x_scale, the type of x", Arity::Optional}},
      .outputs = {{"y", "the shape of x, the type of x_scale or output_dtype"}},
      .attributes = granularity_attributes({}),
      .infer = infer_dequantize,
      .reference = reference_dequantize,
      .cost = cost_per_input_element<2>,
  });
  ops.push_back({
      .name = "DynamicQuantizeLinear",
      .since_version = 11,
      .doc = "Quantises to u8 with the scale and zero point that the data's range gives.",
      .source = "ONNX DynamicQuantizeLinear-11",
      .inputs = {{"x", "f32"}},
      .outputs = {{"y", "the shape of x, u8"},
                  {"y_scale", "f32 scalar"},
                  {"y_zero_point", "u8 scalar"}},
      .infer = infer_dynamic_quantize,
      .reference = reference_dynamic_quantize,
      .cost = cost_per_input_element<5>,
  });
  ops.push_back({
      .name = "QLinearConv",
      .since_version = 10,
      .doc = "Convolves quantised operands and quantises the result.",
      .source = "ONNX QLinearConv-10",
      .inputs = {{"x", "[batch, channels, spatial...], i8|u8"},
                 {"x_scale", "f32 scalar"},
                 {"x_zero_point", "scalar of x's type"},
                 {"w", "[out channels, channels / group, kernel...], i8|u8"},
                 {"w_scale", "f32 scalar or [out channels]"},
                 {"w_zero_point", "as w_scale, of w's type"},
                 {"y_scale", "f32 scalar"},
                 {"y_zero_point", "scalar; its type is the result's"},
                 {"B", "[out channels], i32, of scale x_scale * w_scale", Arity::Optional}},
      .outputs = {{"y", "[batch, out channels, spatial...]"}},
      .attributes = conv_attributes(),
      .infer = infer_qlinear_conv,
      .reference = reference_qlinear_conv,
      .cost = cost_qlinear_conv,
  });
  ops.push_back({
      .name = "QLinearMatMul",
      .since_version = 21,
      .doc = "Multiplies quantised matrices and quantises the result.",
      .source = "ONNX QLinearMatMul-21",
      .inputs = {{"a", "[batch..., rows, inner], 8-bit integers or floats"},
                 {"a_scale", "scalar, or one per row"},
                 {"a_zero_point", "as a_scale, of a's type"},
                 {"b", "[batch..., inner, columns], 8-bit integers or floats"},
                 {"b_scale", "scalar, or one per column"},
                 {"b_zero_point", "as b_scale, of b's type"},
                 {"y_scale", "scalar, or one per row"},
                 {"y_zero_point", "as y_scale; its type is the result's"}},
      .outputs = {{"y", "[batch..., rows, columns]"}},
      .infer = infer_qlinear_matmul,
      .reference = reference_qlinear_matmul,
      .cost = cost_qlinear_matmul,
  });
}

}  // namespace naru
