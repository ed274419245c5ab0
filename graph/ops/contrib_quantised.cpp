// com.microsoft operators on quantised tensors, as ONNX Runtime's quantiser writes them.
#include "graph/onnx_dtype.h"
#include "graph/ops/by_parts.h"
#include "graph/ops/families.h"

namespace naru {
namespace {

AttrSpec integer(const char* name, std::int64_t value) { return {name, AttrKind::Int, "", value}; }
AttrSpec required(const char* name, AttrKind kind = AttrKind::Int) { return {name, kind, "", std::nullopt, true}; }

/// Input `i` with the scale and zero point that follow it.
ValueId dequantized(Parts& p, std::size_t i) {
  return p.add("DequantizeLinear", {p.in(i), p.in(i + 1), p.in(i + 2)});
}

/// `value` with the scale and zero point of inputs `i` and i + 1, in the type of the first input.
void set_quantized(Parts& p, ValueId value, std::size_t i) {
  Attributes attributes;
  if (!p.has(i + 1)) attributes["output_dtype"] = onnx_code(p.dtype(0));
  p.set(0, p.add("QuantizeLinear", {value, p.in(i), p.in(i + 1)}, std::move(attributes)));
}

bool is_open(const Parts& p, std::size_t i) { return p.dtype(i) == DType::Undefined; }

/// A, its scale and zero point, B likewise, then those of the result.
template <bool multiply>
bool qlinear_binary(DecomposeContext& ctx) {
  Parts p(ctx);
  if (is_open(p, 0)) return false;
  set_quantized(p, p.add(multiply ? "Mul" : "Add", {dequantized(p, 0), dequantized(p, 3)}), 6);
  return true;
}

bool qlinear_where(DecomposeContext& ctx) {
  Parts p(ctx);
  p.set(0, p.add("QuantizeLinear", {p.add("Where", {p.in(0), dequantized(p, 1), dequantized(p, 4)}), p.in(7), p.in(8)}));
  return true;
}

bool qlinear_leaky_relu(DecomposeContext& ctx) {
  Parts p(ctx);
  if (is_open(p, 0)) return false;
  set_quantized(p, p.add("LeakyRelu", {dequantized(p, 0)}, {{"alpha", p.node.attr_float("alpha")}}), 3);
  return true;
}

bool qlinear_sigmoid(DecomposeContext& ctx) {
  Parts p(ctx);
  if (is_open(p, 0)) return false;
  set_quantized(p, p.add("Sigmoid", {dequantized(p, 0)}), 3);
  return true;
}

/// Before opset 13 Softmax ran over all axes from `axis` on.
bool qlinear_softmax(DecomposeContext& ctx) {
  Parts p(ctx);
  const ValueId x = dequantized(p, 0);
  const std::int64_t axis = p.node.attr_int("axis");
  if (p.node.attr_int("opset") >= 13) {
    set_quantized(p, p.add("Softmax", {x}, {{"axis", axis}}), 3);
    return true;
  }
  const ValueId rows = p.add("Softmax", {p.add("Flatten", {x}, {{"axis", axis}})}, {{"axis", std::int64_t{-1}}});
  set_quantized(p, p.add("Reshape", {rows, p.add("Shape", {x})}), 3);
  return true;
}

/// Runs `op` with channels first, whatever the node's layout is.
bool with_channels_first(Parts& p, const char* op, Attributes attributes) {
  const bool last = p.node.attr_int("channels_last") != 0;
  const std::optional<std::int64_t> rank = p.rank(0);
  if (is_open(p, 0) || (last && (!rank || *rank < 3))) return false;
  ValueId x = dequantized(p, 0);
  if (last) x = p.channels_first(x, *rank);
  ValueId y = p.add(op, {x}, std::move(attributes));
  if (last) y = p.channels_last(y, *rank);
  set_quantized(p, y, 3);
  return true;
}

bool qlinear_average_pool(DecomposeContext& ctx) {
  Parts p(ctx);
  Attributes attributes;
  for (const char* name : {"auto_pad", "ceil_mode", "count_include_pad", "kernel_shape", "pads", "strides"}) {
    if (const Attribute* value = p.node.find(name)) attributes[name] = *value;
  }
  return with_channels_first(p, "AveragePool", std::move(attributes));
}

bool qlinear_global_average_pool(DecomposeContext& ctx) {
  Parts p(ctx);
  return with_channels_first(p, "GlobalAveragePool", {});
}

bool qlinear_reduce_mean(DecomposeContext& ctx) {
  Parts p(ctx);
  if (is_open(p, 0)) return false;
  const ValueId axes = ctx.ints(p.node.attr_ints("axes"));
  set_quantized(p, p.add("ReduceMean", {dequantized(p, 0), axes}, {{"keepdims", p.node.attr_int("keepdims")}}), 3);
  return true;
}

/// Scale and zero point of the result, then triples of a tensor, its scale and its zero point.
bool qlinear_concat(DecomposeContext& ctx) {
  Parts p(ctx);
  const std::size_t count = ctx.input_count();
  if (count < 5 || (count - 2) % 3 != 0) return false;
  std::vector<ValueId> parts;
  for (std::size_t i = 2; i < count; i += 3) parts.push_back(dequantized(p, i));
  const ValueId whole = p.add("Concat", std::move(parts), {{"axis", p.node.attr_int("axis")}});
  p.set(0, p.add("QuantizeLinear", {whole, p.in(0), p.in(1)}));
  return true;
}

// Products of integers

/// The integer product `product` as a float: times both scales, plus a bias.
ValueId scaled_product(Parts& p, ValueId product, ValueId a_scale, ValueId b_scale, ValueId bias) {
  return p.sum(p.add("Mul", {p.cast(product, DType::F32), p.add("Mul", {a_scale, b_scale})}), bias);
}

bool matmul_integer_to_float(DecomposeContext& ctx) {
  Parts p(ctx);
  const ValueId product = p.add("MatMulInteger", {p.in(0), p.in(1), p.in(4), p.in(5)});
  p.set(0, scaled_product(p, product, p.in(2), p.in(3), p.in(6)));
  return true;
}

bool dynamic_quantize_matmul(DecomposeContext& ctx) {
  Parts p(ctx);
  const std::vector<ValueId> a = ctx.add_multi("DynamicQuantizeLinear", {p.in(0)}, 3);
  const ValueId product = p.add("MatMulInteger", {a[0], p.in(1), a[2], p.in(3)});
  p.set(0, scaled_product(p, product, a[1], p.in(2), p.in(4)));
  return true;
}

bool qgemm(DecomposeContext& ctx) {
  Parts p(ctx);
  const auto operand = [&](std::size_t i, const char* flag) {
    return p.node.attr_int(flag) != 0 ? p.transpose(p.in(i), {1, 0}) : p.in(i);
  };
  const ValueId product = p.add("MatMulInteger", {operand(0, "transA"), operand(3, "transB"), p.in(2), p.in(5)});
  const ValueId alpha = ctx.scalar(DType::F32, p.node.attr_float("alpha"));
  const ValueId y = scaled_product(p, p.sum(product, p.in(6)), p.add("Mul", {p.in(1), alpha}), p.in(4), kNoValue);
  p.set(0, p.has(7) ? p.add("QuantizeLinear", {y, p.in(7), p.in(8)}) : y);
  return true;
}

// Weights of 2, 4 or 8 bits in blocks

/// The fields of `bits` bits in the bytes of the last axis, lowest first, as bytes.
ValueId unpacked(Parts& p, ValueId bytes, std::int64_t bits) {
  if (bits == 8) return bytes;
  const auto byte = [&](std::int64_t value) { return p.ctx.scalar(DType::U8, static_cast<double>(value)); };
  std::vector<ValueId> fields;
  for (std::int64_t shift = 0; shift < 8; shift += bits) {
    const ValueId moved = p.add("BitShift", {bytes, byte(shift)}, {{"direction", std::string("RIGHT")}});
    fields.push_back(p.unsqueeze(p.add("BitwiseAnd", {moved, byte((1 << bits) - 1)}), {-1}));
  }
  return p.add("Concat", std::move(fields), {{"axis", std::int64_t{-1}}});
}

bool matmul_nbits(DecomposeContext& ctx) {
  enum : std::size_t { kA, kB, kScales, kZeroPoints, kGroups, kBias };
  Parts p(ctx);
  const std::int64_t k = p.node.attr_int("K"), n = p.node.attr_int("N"), bits = p.node.attr_int("bits"), block = p.node.attr_int("block_size");
  const DType dtype = p.dtype(kA);
  if (dtype == DType::Undefined || p.has(kGroups) || k < 1 || n < 1 || block < 1 || (bits != 2 && bits != 4 && bits != 8)) return false;
  const std::int64_t blocks = (k + block - 1) / block;
  const ValueId codes = p.reshape(unpacked(p, p.in(kB), bits), {n, blocks, block});
  ValueId zero = ctx.scalar(dtype, static_cast<double>(1 << (bits - 1)));
  if (p.has(kZeroPoints) && p.dtype(kZeroPoints) == DType::U8) {
    // The zero points of a row start on a byte.
    const std::int64_t bytes = (blocks * bits + 7) / 8;
    const ValueId row = p.reshape(unpacked(p, p.reshape(p.in(kZeroPoints), {n, bytes}), bits), {n, bytes * 8 / bits});
    zero = p.cast(p.unsqueeze(p.add("Slice", {row, ctx.ints({0}), ctx.ints({blocks}), ctx.ints({1})}), {-1}), dtype);
  } else if (p.has(kZeroPoints)) {
    zero = p.reshape(p.in(kZeroPoints), {n, blocks, 1});
  }
  const ValueId weights = p.add("Mul", {p.add("Sub", {p.cast(codes, dtype), zero}), p.reshape(p.in(kScales), {n, blocks, 1})});
  const ValueId rows = p.add("Slice", {p.reshape(weights, {n, blocks * block}), ctx.ints({0}), ctx.ints({k}), ctx.ints({1})});
  p.set(0, p.sum(p.add("MatMul", {p.in(kA), p.transpose(rows, {1, 0})}), p.in(kBias)));
  return true;
}

// Quantisation with the types and defaults of this domain

template <bool quantize>
bool linear(DecomposeContext& ctx) {
  Parts p(ctx);
  p.set(0, p.add(quantize ? "QuantizeLinear" : "DequantizeLinear", {p.in(0), p.in(1), p.in(2)}, {{"axis", p.node.attr_int("axis")}}));
  return true;
}

}  // namespace

void define_contrib_quantised(std::vector<OpDef>& ops) {
  const std::initializer_list<const char*> unary = {"X", "X_scale", "X_zero_point?", "Y_scale", "Y_zero_point?"};
  const std::initializer_list<const char*> binary = {"A", "A_scale", "A_zero_point?", "B", "B_scale", "B_zero_point?", "C_scale", "C_zero_point?"};
  ops.push_back(by_parts("QLinearAdd", "A + B.", binary, {"C"}, {}, qlinear_binary<false>));
  ops.push_back(by_parts("QLinearMul", "A * B.", binary, {"C"}, {}, qlinear_binary<true>));
  ops.push_back(by_parts("QLinearWhere", "X where the condition holds, else Y.",
                         {"condition", "X", "x_scale", "x_zero_point", "Y", "y_scale", "y_zero_point", "z_scale", "z_zero_point"}, {"Z"}, {}, qlinear_where));
  ops.push_back(by_parts("QLinearLeakyRelu", "LeakyRelu.", unary, {"Y"}, {{"alpha", AttrKind::Float, "", 0.01f}}, qlinear_leaky_relu));
  ops.push_back(by_parts("QLinearSigmoid", "Sigmoid.", unary, {"Y"}, {}, qlinear_sigmoid));
  ops.push_back(by_parts("QLinearSoftmax", "Softmax.", unary, {"Y"}, {integer("axis", -1), required("opset")}, qlinear_softmax));
  ops.push_back(by_parts("QLinearAveragePool", "AveragePool.", unary, {"Y"},
                         {{"auto_pad", AttrKind::String, "", std::string("NOTSET")}, integer("ceil_mode", 0), integer("channels_last", 0),
                          integer("count_include_pad", 0), required("kernel_shape", AttrKind::Ints), {"pads", AttrKind::Ints, ""}, {"strides", AttrKind::Ints, ""}},
                         qlinear_average_pool));
  ops.push_back(by_parts("QLinearGlobalAveragePool", "GlobalAveragePool.", unary, {"Y"}, {integer("channels_last", 0)}, qlinear_global_average_pool));
  ops.push_back(by_parts("QLinearReduceMean", "ReduceMean.", unary, {"reduced"}, {required("axes", AttrKind::Ints), required("keepdims")}, qlinear_reduce_mean));
  ops.push_back(by_parts("QLinearConcat", "Concat of tensors with scales of their own.", {"Y_scale", "Y_zero_point", "inputs*"}, {"Y"}, {required("axis")}, qlinear_concat));
  ops.push_back(by_parts("MatMulIntegerToFloat", "The product of integers times their scales, plus a bias.",
                         {"A", "B", "a_scale", "b_scale", "a_zero_point?", "b_zero_point?", "bias?"}, {"Y"}, {}, matmul_integer_to_float));
  ops.push_back(by_parts("DynamicQuantizeMatMul", "MatMul of A, quantised as it comes, and quantised weights.",
                         {"A", "B", "b_scale", "b_zero_point?", "bias?"}, {"Y"}, {}, dynamic_quantize_matmul));
  ops.push_back(by_parts("QGemm", "Gemm of integers.",
                         {"A", "a_scale", "a_zero_point", "B", "b_scale", "b_zero_point", "C?", "y_scale?", "y_zero_point?"}, {"Y"},
                         {{"alpha", AttrKind::Float, "", 1.0f}, integer("transA", 0), integer("transB", 0)}, qgemm));
  ops.push_back(by_parts("MatMulNBits", "MatMul with weights of 2, 4 or 8 bits, scaled in blocks along K.",
                         {"A", "B", "scales", "zero_points?", "g_idx?", "bias?"}, {"Y"},
                         {required("K"), required("N"), required("block_size"), integer("bits", 4), integer("accuracy_level", 0), integer("weight_prepacked", 0)}, matmul_nbits));
  ops.push_back(by_parts("QuantizeLinear", "As ONNX's, with its axis 1.", {"x", "y_scale", "y_zero_point?"}, {"y"}, {integer("axis", 1)}, linear<true>));
  ops.push_back(by_parts("DequantizeLinear", "As ONNX's, with its axis 1.", {"x", "x_scale", "x_zero_point?"}, {"y"}, {integer("axis", 1)}, linear<false>));
}

}  // namespace naru
