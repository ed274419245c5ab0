// Recipes of convolutions, pools, products, normalizations and layers.
#include "tests/differential/recipes.h"

namespace naru::fuzz {
namespace {

using Ints = std::vector<std::int64_t>;

constexpr TypeSet kComputed{DType::F32, DType::F16, DType::F64, DType::BF16};
constexpr Range kWeights{-0.6, 0.6};

/// A value of rank [batch, channels, spatial...].
ValueId picture(GraphBuilder& b) {
  if (b.choose.one_in(2)) return b.any(kComputed, 3, 5);
  const DType dtype = b.choose.of({DType::F32, DType::F32, DType::F32, DType::F16, DType::F64});
  const std::int64_t channels = b.choose.of<std::int64_t>({1, 2, 3, 4, 7, 8, 16, 17});
  Shape shape{b.choose.between(1, 2), channels};
  for (std::int64_t i = b.choose.of<std::int64_t>({1, 2, 2, 2, 3}); i > 0; --i) shape.push_back(b.choose.between(1, shape.rank() > 3 ? 3 : 9));
  return b.input(dtype, shape);
}

/// Window attributes for `spatial` axes; the kernel is 1 to 3 wide.
Attributes window(GraphBuilder& b, std::int64_t spatial, Ints& kernel) {
  Ints strides, dilations, pads;
  for (std::int64_t i = 0; i < spatial; ++i) {
    kernel.push_back(b.choose.between(1, 3));
    strides.push_back(b.choose.of<std::int64_t>({1, 1, 2, 3}));
    dilations.push_back(b.choose.of<std::int64_t>({1, 1, 1, 2}));
  }
  for (std::int64_t i = 0; i < 2 * spatial; ++i) pads.push_back(b.choose.between(0, kernel[static_cast<std::size_t>(i % spatial)] - 1));
  Attributes attributes{{"kernel_shape", kernel}, {"strides", strides}, {"dilations", dilations}};
  const std::string automatic = b.choose.of({"NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"});
  if (automatic == "NOTSET") attributes["pads"] = pads;
  else attributes["auto_pad"] = automatic;
  return attributes;
}

bool conv(GraphBuilder& b, std::string_view op) {
  const ValueId x = picture(b);
  const bool transposed = op == "ConvTranspose";
  const std::int64_t channels = b.shape(x)[1];
  const std::int64_t groups = b.choose.one_in(3) ? channels : b.choose.one_in(3) && channels % 2 == 0 ? 2 : 1;
  if (groups == 0) return false;
  const std::int64_t out = groups * b.choose.between(1, groups > 4 ? 1 : 5);
  Ints kernel;
  Attributes attributes = window(b, b.shape(x).rank() - 2, kernel);
  attributes["group"] = groups;
  Shape weights = transposed ? Shape{channels, out / groups} : Shape{out, channels / groups};
  for (const std::int64_t size : kernel) weights.push_back(size);
  std::vector<ValueId> inputs{x, b.operand(b.dtype(x), weights, kWeights)};
  if (b.choose.one_in(2)) inputs.push_back(b.operand(b.dtype(x), {out}));
  return b.add(op, std::move(inputs), std::move(attributes));
}

bool pool(GraphBuilder& b, std::string_view op) {
  const ValueId x = picture(b);
  Ints kernel;
  Attributes attributes = window(b, b.shape(x).rank() - 2, kernel);
  attributes["ceil_mode"] = b.choose.between(0, 1);
  if (op == "AveragePool") attributes["count_include_pad"] = b.choose.between(0, 1);
  if (op == "LpPool") attributes["p"] = b.choose.between(1, 3);
  const std::size_t outputs = op == "MaxPool" && b.choose.one_in(4) ? 2 : 1;
  return b.add(op, {x}, std::move(attributes), outputs);
}

bool global_pool(GraphBuilder& b, std::string_view op) { return b.add(op, {picture(b)}); }

bool lrn(GraphBuilder& b, std::string_view op) {
  return b.add(op, {picture(b)}, {{"size", b.choose.of<std::int64_t>({1, 3, 5})}, {"alpha", 0.1f}, {"bias", 1.5f}});
}

bool batch_norm(GraphBuilder& b, std::string_view op) {
  const ValueId x = b.any(kComputed, 2, 5);
  const Shape per_channel{b.shape(x)[1]};
  const DType dtype = b.dtype(x);
  return b.add(op, {x, b.operand(dtype, per_channel), b.operand(dtype, per_channel), b.operand(dtype, per_channel),
                    b.operand(dtype, per_channel, {0.3, 2})});
}

bool per_channel_norm(GraphBuilder& b, std::string_view op) {
  const ValueId x = b.any(kComputed, 3, 5);
  const Shape per_channel{b.shape(x)[1]};
  Attributes attributes;
  if (op == "GroupNormalization") attributes["num_groups"] = b.shape(x)[1] % 2 == 0 && b.choose.one_in(2) ? 2 : b.choose.of<std::int64_t>({1, b.shape(x)[1]});
  return b.add(op, {x, b.operand(b.dtype(x), per_channel), b.operand(b.dtype(x), per_channel)}, std::move(attributes));
}

bool last_axes_norm(GraphBuilder& b, std::string_view op) {
  const ValueId x = b.any(kComputed, 1, 5);
  const std::int64_t rank = b.shape(x).rank(), axis = b.axis(rank);
  Shape normal;
  for (std::int64_t i = axis < 0 ? axis + rank : axis; i < rank; ++i) normal.push_back(b.shape(x)[i]);
  std::vector<ValueId> inputs{x, b.operand(b.dtype(x), normal)};
  if (op == "LayerNormalization" && b.choose.one_in(2)) inputs.push_back(b.operand(b.dtype(x), normal));
  return b.add(op, std::move(inputs), {{"axis", axis}, {"epsilon", b.choose.of({1e-5f, 1e-3f, 0.1f})}});
}

bool lp_norm(GraphBuilder& b, std::string_view op) {
  const ValueId x = b.any(kComputed, 1, 5);
  return b.add(op, {x}, {{"axis", b.axis(b.shape(x).rank())}, {"p", b.choose.between(1, 2)}});
}

bool mean_variance(GraphBuilder& b, std::string_view op) { return b.add(op, {b.any(kComputed, 4, 4)}); }

bool matmul(GraphBuilder& b, std::string_view op) {
  const ValueId x = b.any(kComputed | TypeSet{DType::I32, DType::I64, DType::U32}, 1, 4);
  const std::int64_t rank = b.shape(x).rank(), inner = b.shape(x)[rank - 1];
  Shape other;
  if (rank > 2 && b.choose.one_in(2)) {
    for (std::int64_t i = b.choose.between(0, rank - 2); i < rank - 2; ++i) other.push_back(b.choose.one_in(3) ? 1 : b.shape(x)[i]);
  }
  other.push_back(inner);
  if (other.rank() > 1 || !b.choose.one_in(5)) other.push_back(b.dim());
  return b.add(op, {x, b.operand(b.dtype(x), other, kWeights)});
}

bool gemm(GraphBuilder& b, std::string_view op) {
  const ValueId x = b.any(kComputed, 2, 2);
  const std::int64_t trans_a = b.choose.between(0, 1), trans_b = b.choose.between(0, 1), columns = b.dim();
  const std::int64_t inner = b.shape(x)[trans_a != 0 ? 0 : 1], rows = b.shape(x)[trans_a != 0 ? 1 : 0];
  std::vector<ValueId> inputs{x, b.operand(b.dtype(x), trans_b != 0 ? Shape{columns, inner} : Shape{inner, columns}, kWeights)};
  if (b.choose.one_in(2)) inputs.push_back(b.operand(b.dtype(x), b.choose.of({Shape{}, Shape{columns}, Shape{rows, 1}, Shape{rows, columns}})));
  return b.add(op, std::move(inputs), {{"transA", trans_a}, {"transB", trans_b}, {"alpha", b.choose.of({1.0f, 0.5f, -2.0f, 0.0f})}, {"beta", b.choose.of({1.0f, 0.0f, 0.25f})}});
}

bool einsum(GraphBuilder& b, std::string_view op) {
  const ValueId x = b.any(kComputed, 2, 2);
  const std::string equation = b.choose.of({"ij,jk->ik", "ij,ij->", "ij,jk", "ij,kj->ki", "ij->ji", "ij->i", "ii"});
  std::vector<ValueId> inputs{x};
  const std::int64_t rows = b.shape(x)[0], columns = b.shape(x)[1];
  if (equation.find(",j") != std::string::npos) inputs.push_back(b.operand(b.dtype(x), {columns, b.dim()}, kWeights));
  if (equation.find(",i") != std::string::npos) inputs.push_back(b.operand(b.dtype(x), {rows, columns}));
  if (equation.find(",k") != std::string::npos) inputs.push_back(b.operand(b.dtype(x), {b.dim(), columns}, kWeights));
  return b.add(op, std::move(inputs), {{"equation", equation}});
}

bool recurrent(GraphBuilder& b, std::string_view op) {
  const ValueId x = b.any({DType::F32, DType::F64}, 3, 3);
  const std::int64_t gates = op == "LSTM" ? 4 : op == "GRU" ? 3 : 1, hidden = b.choose.between(1, 9);
  const std::string direction = b.choose.of({"forward", "reverse", "bidirectional"});
  const std::int64_t directions = direction == "bidirectional" ? 2 : 1;
  const DType dtype = b.dtype(x);
  std::vector<ValueId> inputs{x, b.operand(dtype, {directions, gates * hidden, b.shape(x)[2]}, kWeights), b.operand(dtype, {directions, gates * hidden, hidden}, kWeights)};
  if (b.choose.one_in(2)) inputs.push_back(b.operand(dtype, {directions, 2 * gates * hidden}));
  Attributes attributes{{"hidden_size", hidden}, {"direction", direction}};
  if (op == "GRU") attributes["linear_before_reset"] = b.choose.between(0, 1);
  return b.add(op, std::move(inputs), std::move(attributes), op == "LSTM" ? 3 : 2);
}

bool resize(GraphBuilder& b, std::string_view op) {
  const ValueId x = b.any({DType::F32, DType::F16, DType::U8}, 3, 4);
  Tensor scales(DType::F32, {b.shape(x).rank()});
  std::int64_t at = 0;
  for (float& scale : scales.as_mutable<float>()) scale = at++ < 2 ? 1.0f : b.choose.of({1.0f, 2.0f, 0.5f, 1.5f, 3.0f});
  return b.add(op, {x, kNoValue, b.constant(std::move(scales))},
               {{"mode", std::string(b.choose.of({"nearest", "linear", "cubic"}))},
                {"coordinate_transformation_mode", std::string(b.choose.of({"half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"}))},
                {"nearest_mode", std::string(b.choose.of({"floor", "ceil", "round_prefer_floor", "round_prefer_ceil"}))}});
}

bool grid_sample(GraphBuilder& b, std::string_view op) {
  const ValueId x = b.any({DType::F32}, 4, 4);
  if (b.data(x).numel() == 0) return false;
  return b.add(op, {x, b.operand(DType::F32, {b.shape(x)[0], b.choose.between(1, 4), b.choose.between(1, 4), 2}, {-1.4, 1.4})},
               {{"mode", std::string(b.choose.of({"linear", "cubic"}))}, {"padding_mode", std::string(b.choose.of({"zeros", "border", "reflection"}))}, {"align_corners", b.choose.between(0, 1)}});
}

bool attention(GraphBuilder& b, std::string_view op) {
  const std::int64_t batch = b.choose.between(1, 2), kv_heads = b.choose.between(1, 2), heads = kv_heads * b.choose.between(1, 2);
  const ValueId x = b.any({DType::F32}, 4, 4);
  if (const Shape& q = b.shape(x); b.choose.one_in(2) && b.data(x).numel() > 0) {
    const Shape kv{q[0], q[1], b.choose.between(1, 6), q[3]};
    return b.add(op, {x, b.operand(DType::F32, kv), b.operand(DType::F32, kv)}, {{"is_causal", b.choose.between(0, 1)}});
  }
  const std::int64_t length = b.choose.between(1, 5), past = b.choose.between(1, 6), size = b.choose.of<std::int64_t>({1, 4, 8});
  return b.add(op, {b.input(DType::F32, {batch, heads, length, size}), b.operand(DType::F32, {batch, kv_heads, past, size}), b.operand(DType::F32, {batch, kv_heads, past, size})},
               {{"is_causal", b.choose.between(0, 1)}});
}

bool dropout(GraphBuilder& b, std::string_view op) { return b.add(op, {b.any(kComputed)}); }

bool det(GraphBuilder& b, std::string_view op) {
  const ValueId x = b.any({DType::F32}, 2, 4);
  if (b.choose.one_in(2)) return b.add(op, {x});
  const std::int64_t size = b.choose.between(1, 4);
  return b.add(op, {b.input(DType::F32, {b.choose.between(1, 3), size, size})});
}

}  // namespace

void add_neural_recipes(std::vector<RecipeEntry>& table) {
  for (const char* op : {"Conv", "ConvTranspose"}) table.push_back({op, conv});
  for (const char* op : {"AveragePool", "LpPool", "MaxPool"}) table.push_back({op, pool});
  for (const char* op : {"GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool"}) table.push_back({op, global_pool});
  for (const char* op : {"GroupNormalization", "InstanceNormalization"}) table.push_back({op, per_channel_norm});
  for (const char* op : {"LayerNormalization", "RMSNormalization"}) table.push_back({op, last_axes_norm});
  for (const char* op : {"GRU", "LSTM", "RNN"}) table.push_back({op, recurrent});
  table.insert(table.end(), {{"LRN", lrn}, {"BatchNormalization", batch_norm}, {"LpNormalization", lp_norm},
                             {"MeanVarianceNormalization", mean_variance}, {"MatMul", matmul}, {"Gemm", gemm},
                             {"Einsum", einsum}, {"Resize", resize}, {"GridSample", grid_sample}, {"Attention", attention},
                             {"Dropout", dropout}, {"Det", det}});
}

}  // namespace naru::fuzz
