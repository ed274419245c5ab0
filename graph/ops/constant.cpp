// Operators that make tensors out of little: Constant, ConstantOfShape, EyeLike, Range.
#include <algorithm>
#include <cmath>

#include "graph/limits.h"
#include "graph/onnx_dtype.h"
#include "graph/ops/families.h"
#include "graph/ops/movement.h"
#include "graph/ops/type_set.h"
#include "graph/scalar.h"

namespace naru {
namespace {

// Constant

template <typename T>
const T* attribute_as(const Node& node, std::string_view name) {
  const Attribute* attribute = node.find(name);
  return attribute == nullptr ? nullptr : std::get_if<T>(attribute);
}

Shape vector_shape(std::size_t size) { return {static_cast<std::int64_t>(size)}; }

/// The tensor that the one attribute of a Constant node stands for.
Tensor constant_value(const Node& node) {
  if (const auto* v = attribute_as<Tensor>(node, "value")) return *v;
  if (const auto* v = attribute_as<std::int64_t>(node, "value_int")) return Tensor::scalar(*v);
  if (const auto* v = attribute_as<float>(node, "value_float")) return Tensor::scalar(*v);
  if (const auto* v = attribute_as<std::string>(node, "value_string")) {
    return Tensor::from_strings({}, {*v});
  }
  if (const auto* v = attribute_as<std::vector<std::int64_t>>(node, "value_ints")) {
    return Tensor::from<std::int64_t>(vector_shape(v->size()), *v);
  }
  if (const auto* v = attribute_as<std::vector<float>>(node, "value_floats")) {
    return Tensor::from<float>(vector_shape(v->size()), *v);
  }
  if (const auto* v = attribute_as<std::vector<std::string>>(node, "value_strings")) {
    return Tensor::from_strings(vector_shape(v->size()), *v);
  }
  fail(ErrorCode::InvalidModel, "{}: got no value attribute, expected one", node.label());
}

void infer_constant(InferContext& ctx) {
  ctx.require(ctx.node.attributes.size() == 1, "attributes: got {}, expected exactly one",
              ctx.node.attributes.size());
  const Tensor value = constant_value(ctx.node);
  ctx.set_output(0, Type::tensor(value.dtype(), value.shape()));
  if (!is_integer(value.dtype()) || value.rank() > 1 || value.numel() > kLimits.max_rank) return;
  const std::vector<std::int64_t> elements = to_i64_vector(value);
  ctx.set_symbolic_value(0, {{elements.begin(), elements.end()}, value.rank() == 0});
}

void reference_constant(ReferenceContext& ctx) { ctx.set_output(0, constant_value(ctx.node)); }

// ConstantOfShape

Tensor fill_value(const Node& node) {
  if (node.has("value")) return node.attr_tensor("value");
  return Tensor::scalar(0.0F);
}

void infer_constant_of_shape(InferContext& ctx) {
  const Tensor value = fill_value(ctx.node);
  ctx.require(value.numel() == 1, "value: got {} elements, expected one", value.numel());
  require_rank(ctx, 0, 1, 1);
  const auto dims = dims_value(ctx, 0);
  if (!dims) {
    const auto rank = length_of(ctx, 0);
    ctx.set_output(0, rank ? Type::tensor(value.dtype(), fresh_shape(ctx, *rank))
                           : Type::tensor(value.dtype()));
    return;
  }
  for (const Dim& dim : *dims) {
    ctx.require(!dim.is_known() || dim.value() >= 0, "shape: got dimension {}, expected >= 0",
                dim.to_string());
  }
  ctx.set_output(0, value.dtype(), *dims);
  if (!is_integer(value.dtype()) || dims->size() > 1) return;
  const Dim count = dims->empty() ? Dim(1) : dims->front();
  if (!count.is_known() || count.value() > kLimits.max_rank) return;
  const Dim element = to_i64_vector(value).front();
  ctx.set_symbolic_value(0, {std::vector<Dim>(static_cast<std::size_t>(count.value()), element),
                             dims->empty()});
}

void reference_constant_of_shape(ReferenceContext& ctx) { fill(ctx.output(0), fill_value(ctx.node)); }

Cost write_cost(const Node&, std::span<const Type>, std::span<const Type> outputs) {
  return {0, type_bytes(outputs[0])};
}

// EyeLike

void infer_eye_like(InferContext& ctx) {
  require_rank(ctx, 0, 2, 2);
  DType dtype = ctx.dtype(0);
  if (ctx.node.has("dtype")) dtype = dtype_from_onnx(ctx.node.attr_int("dtype"));
  const SymShape* shape = ctx.shape(0);
  ctx.set_output(0, shape != nullptr ? Type::tensor(dtype, *shape) : Type::tensor(dtype));
}

void reference_eye_like(ReferenceContext& ctx) {
  Tensor& out = ctx.output(0);
  fill_zero(out);
  const std::int64_t rows = out.shape()[0], columns = out.shape()[1];
  const std::int64_t k = std::clamp(ctx.node.attr_int("k"), -rows, columns);
  for (std::int64_t row = std::max<std::int64_t>(0, -k); row < std::min(rows, columns - k); ++row) {
    store_u64(out.dtype(), out.mutable_data(), row * columns + row + k, 1);
  }
}

// Range

/// ceil((limit - start) / delta), at least 0. T is double or i64.
template <typename T>
std::int64_t range_count(T start, T limit, T delta) {
  if constexpr (std::is_same_v<T, double>) {
    const double count = std::ceil((limit - start) / delta);
    if (!(count > 0)) return 0;
    if (count >= 9.0e18) fail(ErrorCode::InvalidModel, "Range: got {} elements, expected < 2^63", count);
    return static_cast<std::int64_t>(count);
  } else {
    if (delta > 0 ? start >= limit : start <= limit) return 0;
    // Unsigned distance: limit - start may exceed 63 bits.
    const std::uint64_t distance = delta > 0
                                       ? static_cast<std::uint64_t>(limit) - static_cast<std::uint64_t>(start)
                                       : static_cast<std::uint64_t>(start) - static_cast<std::uint64_t>(limit);
    const std::uint64_t step = delta > 0 ? static_cast<std::uint64_t>(delta)
                                         : 0 - static_cast<std::uint64_t>(delta);
    const std::uint64_t count = (distance - 1) / step + 1;
    if (count > static_cast<std::uint64_t>(INT64_MAX)) {
      fail(ErrorCode::InvalidModel, "Range: got {} elements, expected < 2^63", count);
    }
    return static_cast<std::int64_t>(count);
  }
}

constexpr TypeSet kRangeTypes =
    kFloats | TypeSet{DType::I16, DType::I32, DType::I64};

/// The count from constant inputs of any number type.
std::optional<Dim> constant_range_count(const InferContext& ctx, DType dtype) {
  const Tensor* values[3];
  for (std::size_t i = 0; i < 3; ++i) {
    values[i] = ctx.constant(i);
    if (values[i] == nullptr) return std::nullopt;
    ctx.require(values[i]->numel() == 1, "input {}: got {} elements, expected a scalar", i,
                values[i]->numel());
  }
  const auto count = [&](auto zero) -> std::int64_t {
    using T = decltype(zero);
    T v[3];
    for (int i = 0; i < 3; ++i) v[i] = to_wide<T>(*values[i]).front();
    ctx.require(v[2] != 0, "delta: got 0, expected another number");
    return range_count<T>(v[0], v[1], v[2]);
  };
  return is_float(dtype) ? count(double{}) : count(std::int64_t{});
}

/// The count and the elements of an integer range over symbolic scalars.
void infer_symbolic_range(InferContext& ctx, DType dtype) {
  const auto start = dims_value(ctx, 0), limit = dims_value(ctx, 1), delta = dims_value(ctx, 2);
  const auto single = [](const auto& value) { return value && value->size() == 1; };
  if (!single(start) || !single(limit) || !single(delta) || !delta->front().is_known()) {
    ctx.set_output(0, dtype, {ctx.fresh_dim()});
    return;
  }
  const Dim& step = delta->front();
  ctx.require(!(step == Dim(0)), "delta: got 0, expected another number");
  Dim distance = limit->front() - start->front();
  if (step.value() < 0) distance = -distance;
  if (!distance.is_nonnegative()) distance = max(distance, 0);
  const Dim count = ceil_div(distance, step.value() < 0 ? -step : step);
  ctx.set_output(0, dtype, {count});
  if (!count.is_known() || count.value() > kLimits.max_rank) return;
  SymValue value;
  for (std::int64_t i = 0; i < count.value(); ++i) value.elements.push_back(start->front() + step * i);
  ctx.set_symbolic_value(0, std::move(value));
}

void infer_range(InferContext& ctx) {
  const DType dtype = require_common_type(ctx, 0, 3, kRangeTypes);
  const bool symbolic = is_integer(dtype) && ctx.symbolic_value(0) && ctx.symbolic_value(1) &&
                        ctx.symbolic_value(2);
  if (symbolic) return infer_symbolic_range(ctx, dtype);
  const auto count = constant_range_count(ctx, dtype);
  ctx.set_output(0, dtype, {count ? *count : ctx.fresh_dim()});
}

void reference_range(ReferenceContext& ctx) {
  Tensor& out = ctx.output(0);
  const auto write = [&](auto zero) {
    using T = decltype(zero);
    const T start = to_wide<T>(ctx.input(0)).front();
    const T delta = to_wide<T>(ctx.input(2)).front();
    std::vector<T> values(static_cast<std::size_t>(out.numel()));
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = start + static_cast<T>(i) * delta;
    from_wide<T>(values, out);
  };
  // Unsigned: steps between two elements may leave 63 bits although the elements do not.
  is_float(out.dtype()) ? write(double{}) : write(std::uint64_t{});
}

}  // namespace

void define_constant(std::vector<OpDef>& ops) {
  ops.push_back({
      .name = "Constant",
      .domain = "",
      .since_version = 25,
      .doc = "Gives the tensor that its one attribute holds.",
      .source = "ONNX Constant-25; sparse_value is made dense at import",
      .inputs = {},
      .outputs = {{"output", "any tensor"}},
      .attributes = {{"value", AttrKind::Tensor, "any tensor"},
                     {"value_float", AttrKind::Float, "f32 scalar"},
                     {"value_floats", AttrKind::Floats, "f32 vector"},
                     {"value_int", AttrKind::Int, "i64 scalar"},
                     {"value_ints", AttrKind::Ints, "i64 vector"},
                     {"value_string", AttrKind::String, "string scalar"},
                     {"value_strings", AttrKind::Strings, "string vector"}},
      .infer = infer_constant,
      .reference = reference_constant,
      .cost = view_cost,
  });
  ops.push_back({
      .name = "ConstantOfShape",
      .domain = "",
      .since_version = 25,
      .doc = "Fills a tensor of the given shape with one value.",
      .source = "ONNX ConstantOfShape-25",
      .inputs = {{"input", "i64[rank], each >= 0", Arity::Required, true}},
      .outputs = {{"output", "the type of value"}},
      .attributes = {{"value", AttrKind::Tensor, "one element; absent: f32 0"}},
      .infer = infer_constant_of_shape,
      .reference = reference_constant_of_shape,
      .cost = write_cost,
  });
  ops.push_back({
      .name = "EyeLike",
      .domain = "",
      .since_version = 22,
      .doc = "Gives a matrix of the input's shape with ones on the k-th diagonal.",
      .source = "ONNX EyeLike-22",
      .inputs = {{"input", "[rows, columns]; only its type is used"}},
      .outputs = {{"output", "[rows, columns]"}},
      .attributes = {{"dtype", AttrKind::Int, "ONNX element type; absent: the input's"},
                     {"k", AttrKind::Int, "diagonal; above the main one when > 0", 0}},
      .infer = infer_eye_like,
      .reference = reference_eye_like,
      .cost = write_cost,
  });
  ops.push_back({
      .name = "Range",
      .domain = "",
      .since_version = 27,
      .doc = "Gives start, start + delta, ... up to, not including, limit.",
      .source = "ONNX Range-27",
      .inputs = {{"start", "scalar number", Arity::Required, true},
                 {"limit", "scalar of the same type", Arity::Required, true},
                 {"delta", "scalar of the same type, not 0", Arity::Required, true}},
      .outputs = {{"output", "[max(0, ceil((limit - start) / delta))]"}},
      .attributes = {{"stash_type", AttrKind::Int,
                      "precision of narrow floats; the reference always computes in f64", 1}},
      .infer = infer_range,
      .reference = reference_range,
      .cost = write_cost,
  });
}

}  // namespace naru
