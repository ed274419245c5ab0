// Recipes of quantisation: scales and zero points per tensor, per channel and per block.
#include "graph/onnx_dtype.h"
#include "tests/differential/recipes.h"

namespace naru::fuzz {
namespace {

constexpr TypeSet kScaled{DType::F32, DType::F16};
constexpr TypeSet kCodes{DType::I8, DType::U8};

struct Scheme {
  Shape shape;  ///< of scale and zero point
  Attributes attributes;
};

/// Per tensor, per axis, or blocks of 2 along the last axis.
Scheme scheme_for(GraphBuilder& b, const Shape& shape) {
  const std::int64_t rank = shape.rank();
  if (rank == 0 || b.choose.one_in(2)) return {Shape{}, {}};
  if (b.choose.one_in(4) && shape[rank - 1] % 2 == 0 && shape.numel() > 0) {
    Shape blocks = shape;
    blocks[rank - 1] /= 2;
    return {blocks, {{"axis", rank - 1}, {"block_size", std::int64_t{2}}}};
  }
  const std::int64_t axis = b.axis(rank);
  return {Shape{shape[axis < 0 ? axis + rank : axis]}, {{"axis", axis}}};
}

DType code_type(GraphBuilder& b) {
  return b.choose.of({DType::I8, DType::U8, DType::I8, DType::U8, DType::I16, DType::U16, DType::I4, DType::U4, DType::F8E4M3FN, DType::I2});
}

/// Scales are powers of two times 1 or 1.5: x / scale is then seldom near a tie by rounding alone.
ValueId scales(GraphBuilder& b, DType dtype, const Shape& shape) {
  return b.constant(b.random_tensor(dtype, shape, {0.01, 0.06}));
}

bool quantize(GraphBuilder& b, std::string_view op) {
  const ValueId x = b.any(kScaled);
  const Scheme scheme = scheme_for(b, b.shape(x));
  const DType code = code_type(b);
  const bool shifted = is_integer(code) && b.choose.one_in(2);
  return b.add(op, {x, scales(b, b.dtype(x), scheme.shape), shifted ? b.constant(code, scheme.shape, {-1, 1}) : b.constant(code, scheme.shape, {0, 0})}, scheme.attributes);
}

bool dequantize(GraphBuilder& b, std::string_view op) {
  const ValueId x = b.any(kCodes | TypeSet{DType::I16, DType::U16, DType::I4, DType::U4, DType::I32, DType::F8E4M3FN});
  const Scheme scheme = scheme_for(b, b.shape(x));
  std::vector<ValueId> inputs{x, scales(b, DType::F32, scheme.shape)};
  if (b.dtype(x) != DType::I32 && is_integer(b.dtype(x)) && b.choose.one_in(2)) inputs.push_back(b.constant(b.dtype(x), scheme.shape, {-1, 1}));
  return b.add(op, std::move(inputs), scheme.attributes);
}

/// x -> quantise -> dequantise, as quantised models write every tensor.
ValueId quantised_pair(GraphBuilder& b, ValueId x, DType code) {
  const ValueId scale = b.constant(b.random_tensor(DType::F32, {}, {0.01, 0.06})), zero = b.constant(code, {}, {-3, 3});
  if (!b.add("QuantizeLinear", {x, scale, zero})) return kNoValue;
  return b.add("DequantizeLinear", {b.results()[0], scale, zero}) ? b.results()[0] : kNoValue;
}

/// Convolution or product between quantise-dequantise pairs.
bool quantised_layer(GraphBuilder& b, std::string_view) {
  const DType code = b.choose.of({DType::U8, DType::I8});
  const bool is_conv = b.choose.one_in(2);
  const std::int64_t channels = b.choose.of<std::int64_t>({1, 3, 8, 16});
  const ValueId x = b.input(DType::F32, is_conv ? Shape{1, channels, b.choose.between(3, 8), b.choose.between(3, 8)} : Shape{b.dim(), channels});
  const ValueId activation = quantised_pair(b, x, code);
  const std::int64_t out = b.choose.of<std::int64_t>({1, 4, 9, 16});
  const Shape weights = is_conv ? Shape{out, channels, 3, 3} : Shape{channels, out};
  const std::int64_t axis = is_conv ? 0 : 1;
  const bool per_channel = b.choose.one_in(2);
  const ValueId scale = b.constant(b.random_tensor(DType::F32, per_channel ? Shape{out} : Shape{}, {0.005, 0.02}));
  if (activation == kNoValue || !b.add("DequantizeLinear", {b.constant(DType::I8, weights, {-40, 40}), scale}, {{"axis", axis}})) return false;
  if (!b.add(is_conv ? "Conv" : "MatMul", {activation, b.results()[0]})) return false;
  if (b.choose.one_in(2) && !b.add("Relu", {b.results()[0]})) return false;
  return quantised_pair(b, b.results()[0], code) != kNoValue;
}

bool dynamic_quantize(GraphBuilder& b, std::string_view op) { return b.add(op, {b.any({DType::F32})}, {}, 3); }

bool integer_product(GraphBuilder& b, std::string_view op) {
  const ValueId x = b.any(kCodes, 2, 3);
  const DType other = b.choose.of({DType::I8, DType::U8});
  const ValueId y = b.operand(other, {b.shape(x)[b.shape(x).rank() - 1], b.dim()}, {-40, 40});
  return b.add(op, {x, y, b.constant(b.dtype(x), {}, {-3, 3}), b.constant(other, {}, {-3, 3})});
}

bool qlinear_product(GraphBuilder& b, std::string_view op) {
  const ValueId x = b.any(kCodes, 2, 3);
  const DType code = b.dtype(x);
  const auto scale = [&](double low, double high) { return b.constant(b.random_tensor(DType::F32, {}, {low, high})); };
  const ValueId y = b.operand(code, {b.shape(x)[b.shape(x).rank() - 1], b.dim()}, {-40, 40});
  return b.add(op, {x, scale(0.01, 0.05), b.constant(code, {}, {-3, 3}), y, scale(0.01, 0.05), b.constant(code, {}, {-3, 3}), scale(0.05, 0.5), b.constant(code, {}, {-3, 3})});
}

bool integer_conv(GraphBuilder& b, std::string_view op) {
  const ValueId x = b.any(kCodes, 4, 4);
  const Shape weights{b.choose.between(1, 5), b.shape(x)[1], b.choose.between(1, 3), b.choose.between(1, 3)};
  return b.add(op, {x, b.operand(DType::I8, weights, {-40, 40}), b.constant(b.dtype(x), {}, {-3, 3})});
}

bool qlinear_conv(GraphBuilder& b, std::string_view op) {
  const ValueId x = b.any(kCodes, 4, 4);
  const std::int64_t out = b.choose.between(1, 9);
  const auto scale = [&](const Shape& shape, double low, double high) { return b.constant(b.random_tensor(DType::F32, shape, {low, high})); };
  const ValueId zero = b.constant(b.dtype(x), {}, {-3, 3});
  return b.add(op, {x, scale({}, 0.01, 0.05), zero, b.operand(DType::I8, {out, b.shape(x)[1], b.choose.between(1, 3), b.choose.between(1, 3)}, {-40, 40}),
                    scale({out}, 0.01, 0.05), b.constant(DType::I8, {out}, {0, 0}), scale({}, 0.05, 0.5), b.constant(b.dtype(x), {}, {-3, 3}), b.constant(DType::I32, {out}, {-90, 90})},
               {{"pads", std::vector<std::int64_t>(4, b.choose.between(0, 1))}});
}

}  // namespace

void add_quantised_recipes(std::vector<RecipeEntry>& table) {
  table.insert(table.end(), {{"QuantizeLinear", quantize}, {"DequantizeLinear", dequantize}, {"QuantizeLinear", quantised_layer},
                             {"DynamicQuantizeLinear", dynamic_quantize}, {"MatMulInteger", integer_product},
                             {"QLinearMatMul", qlinear_product}, {"ConvInteger", integer_conv}, {"QLinearConv", qlinear_conv}});
}

}  // namespace naru::fuzz
