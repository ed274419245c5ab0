// ScatterElements, ScatterND, TensorScatter: a copy of a tensor with elements replaced by index.
#include <algorithm>
#include <cmath>

#include "graph/ops/families.h"
#include "graph/ops/movement.h"
#include "graph/ops/type_set.h"
#include "graph/scalar.h"

namespace naru {
namespace {

constexpr TypeSet kIndexTypes{DType::I32, DType::I64};

enum class Reduction { None, Add, Mul, Max, Min };

Reduction reduction_of(const Node& node) {
  const std::string& name = node.attr_string("reduction");
  if (name == "none") return Reduction::None;
  if (name == "add") return Reduction::Add;
  if (name == "mul") return Reduction::Mul;
  if (name == "max") return Reduction::Max;
  if (name == "min") return Reduction::Min;
  fail(ErrorCode::InvalidModel, "{}: reduction: got '{}', expected none, add, mul, max or min",
       node.label(), name);
}

/// Integers wrap, NaN wins in max and min.
template <typename T>
T reduced(Reduction reduction, T a, T b) {
  const auto wrapping = [&](auto operation) {
    if constexpr (std::is_same_v<T, double>) return operation(a, b);
    else return static_cast<T>(operation(static_cast<std::uint64_t>(a), static_cast<std::uint64_t>(b)));
  };
  switch (reduction) {
    case Reduction::Add: return wrapping([](auto x, auto y) { return x + y; });
    case Reduction::Mul: return wrapping([](auto x, auto y) { return x * y; });
    case Reduction::Max: return b > a || b != b ? b : a;
    case Reduction::Min: return b < a || b != b ? b : a;
    case Reduction::None: break;
  }
  return b;
}

/// Writes runs of `inner` updates, one after the other, to the given places of `out`.
void scatter(Tensor& out, const Tensor& updates, const std::vector<std::int64_t>& places,
             std::int64_t inner, Reduction reduction) {
  if (inner == 0) return;
  if (reduction == Reduction::None) {
    std::int64_t from = 0;
    for (std::int64_t to : places) {
      copy_elements(out, to, updates, from, inner);
      from += inner;
    }
    return;
  }
  with_wide(out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    std::vector<T> values = to_wide<T>(out);
    const std::vector<T> added = to_wide<T>(updates);
    const T* from = added.data();
    for (std::int64_t to : places) {
      for (std::int64_t i = 0; i < inner; ++i, ++from) {
        T& value = values[static_cast<std::size_t>(to + i)];
        value = reduced(reduction, value, *from);
      }
    }
    from_wide<T>(values, out);
  });
}

void require_reducible(const InferContext& ctx) {
  if (reduction_of(ctx.node) != Reduction::None) {
    require_type(ctx, 0, kNumbers | kBool | kFloat8s);
  }
}

void set_like_data(InferContext& ctx) {
  const DType data = ctx.dtype(0), updates = ctx.dtype(2);
  ctx.require(data == updates || data == DType::Undefined || updates == DType::Undefined,
              "updates: got element type {}, expected {}", to_string(updates), to_string(data));
  ctx.set_output(0, ctx.input(0));
}

// ScatterElements

void infer_scatter_elements(InferContext& ctx) {
  require_type(ctx, 1, kIndexTypes);
  require_reducible(ctx);
  set_like_data(ctx);
  const SymShape* data = ctx.shape(0);
  const SymShape* indices = ctx.shape(1);
  const SymShape* updates = ctx.shape(2);
  if (data == nullptr) return;
  const auto rank = static_cast<std::int64_t>(data->size());
  const std::int64_t axis = ctx.normalize_axis(ctx.node.attr_int("axis"), rank);
  require_rank(ctx, 1, rank, rank);
  require_rank(ctx, 2, rank, rank);
  for (std::int64_t i = 0; i < rank && indices != nullptr; ++i) {
    const auto d = static_cast<std::size_t>(i);
    const Dim& dim = (*indices)[d];
    if (updates != nullptr) match_dims(ctx, fmt::format("updates dimension {}", i), (*updates)[d], dim);
    const Dim& limit = (*data)[d];
    ctx.require(i == axis || !dim.is_known() || !limit.is_known() || dim.value() <= limit.value(),
                "indices: got size {} along axis {}, expected at most {}", dim.to_string(), i,
                limit.to_string());
  }
}

void reference_scatter_elements(ReferenceContext& ctx) {
  Tensor out = ctx.input(0).clone();
  const Shape& shape = out.shape();
  const std::int64_t axis = ctx.normalize_axis(ctx.node.attr_int("axis"), shape.rank());
  const std::vector<std::int64_t> indices = to_i64_vector(ctx.input(1));
  const std::vector<std::int64_t> strides = shape.strides();
  std::vector<std::int64_t> places;
  places.reserve(indices.size());
  IndexWalk walk(ctx.input(1).shape());
  for (std::int64_t index : indices) {
    std::int64_t place = wrap_index(ctx, "indices", index, shape[axis]) * strides[static_cast<std::size_t>(axis)];
    for (std::size_t d = 0; d < strides.size(); ++d) {
      if (static_cast<std::int64_t>(d) != axis) place += walk.index()[d] * strides[d];
    }
    places.push_back(place);
    walk.next();
  }
  scatter(out, ctx.input(2), places, 1, reduction_of(ctx.node));
  ctx.set_output(0, std::move(out));
}

// ScatterND

void infer_scatter_nd(InferContext& ctx) {
  require_type(ctx, 1, TypeSet{DType::I64});
  require_reducible(ctx);
  require_rank(ctx, 0, 1);
  require_rank(ctx, 1, 1);
  set_like_data(ctx);
  const SymShape* data = ctx.shape(0);
  const SymShape* indices = ctx.shape(1);
  if (data == nullptr || indices == nullptr || !indices->back().is_known()) return;
  const auto rank = static_cast<std::int64_t>(data->size());
  const std::int64_t tuple = indices->back().value();
  ctx.require(tuple >= 1 && tuple <= rank, "indices: got a last dimension of {}, expected [1, {}]",
              tuple, rank);
  SymShape expected(indices->begin(), indices->end() - 1);
  expected.insert(expected.end(), data->begin() + tuple, data->end());
  const auto count = static_cast<std::int64_t>(expected.size());
  require_rank(ctx, 2, count, count);
  const SymShape* updates = ctx.shape(2);
  for (std::size_t i = 0; updates != nullptr && i < expected.size(); ++i) {
    match_dims(ctx, fmt::format("updates dimension {}", i), (*updates)[i], expected[i]);
  }
}

void reference_scatter_nd(ReferenceContext& ctx) {
  Tensor out = ctx.input(0).clone();
  const Shape& shape = out.shape();
  const std::vector<std::int64_t> indices = to_i64_vector(ctx.input(1));
  const std::int64_t tuple = ctx.input(1).shape()[ctx.input(1).rank() - 1];
  const std::vector<std::int64_t> strides = shape.strides();
  std::vector<std::int64_t> places;
  for (std::size_t i = 0; i < indices.size(); i += static_cast<std::size_t>(tuple)) {
    std::int64_t place = 0;
    for (std::int64_t d = 0; d < tuple; ++d) {
      const auto at = static_cast<std::size_t>(d);
      place += wrap_index(ctx, "indices", indices[i + at], shape[d]) * strides[at];
    }
    places.push_back(place);
  }
  scatter(out, ctx.input(2), places, shape.numel(tuple, shape.rank()), reduction_of(ctx.node));
  ctx.set_output(0, std::move(out));
}

Cost scatter_cost(const Node&, std::span<const Type> inputs, std::span<const Type> outputs) {
  return {0, 2 * type_bytes(outputs[0]) + type_bytes(inputs[1]) + type_bytes(inputs[2])};
}

// TensorScatter

bool is_circular(const Node& node) {
  const std::string& mode = node.attr_string("mode");
  if (mode != "linear" && mode != "circular") {
    fail(ErrorCode::InvalidModel, "{}: mode: got '{}', expected linear or circular", node.label(), mode);
  }
  return mode == "circular";
}

void infer_tensor_scatter(InferContext& ctx) {
  is_circular(ctx.node);
  require_rank(ctx, 0, 2);
  ctx.set_output(0, ctx.input(0));
  const DType update_type = ctx.dtype(1);
  ctx.require(update_type == ctx.dtype(0) || update_type == DType::Undefined || ctx.dtype(0) == DType::Undefined,
              "update: got element type {}, expected {}", to_string(update_type), to_string(ctx.dtype(0)));
  const SymShape* past = ctx.shape(0);
  if (past == nullptr) return;
  const auto rank = static_cast<std::int64_t>(past->size());
  const std::int64_t axis = ctx.normalize_axis(ctx.node.attr_int("axis"), rank);
  ctx.require(axis != 0, "axis: got the batch dimension, expected another one");
  require_rank(ctx, 1, rank, rank);
  const SymShape* update = ctx.shape(1);
  for (std::int64_t i = 0; update != nullptr && i < rank; ++i) {
    const Dim& from = (*update)[static_cast<std::size_t>(i)];
    const Dim& to = (*past)[static_cast<std::size_t>(i)];
    if (i != axis) match_dims(ctx, fmt::format("update dimension {}", i), from, to);
    ctx.require(i != axis || !from.is_known() || !to.is_known() || from.value() <= to.value(),
                "update: got a length of {}, expected at most {}", from.to_string(), to.to_string());
  }
  if (!ctx.has_input(2)) return;
  require_type(ctx, 2, TypeSet{DType::I64});
  require_rank(ctx, 2, 1, 1);
  if (const SymShape* indices = ctx.shape(2)) match_dims(ctx, "write_indices", (*indices)[0], (*past)[0]);
}

void reference_tensor_scatter(ReferenceContext& ctx) {
  Tensor out = ctx.input(0).clone();
  const Tensor& update = ctx.input(1);
  const std::int64_t axis = ctx.normalize_axis(ctx.node.attr_int("axis"), out.rank());
  const std::int64_t room = out.shape()[axis], length = update.shape()[axis];
  const bool circular = is_circular(ctx.node);
  const std::int64_t inner = out.shape().numel(axis + 1, out.rank());
  const std::int64_t rows = out.shape().numel(1, axis);
  std::vector<std::int64_t> first(static_cast<std::size_t>(out.shape()[0]), 0);
  if (ctx.has_input(2)) first = to_i64_vector(ctx.input(2));
  for (std::size_t batch = 0; batch < first.size(); ++batch) {
    const std::int64_t start = first[batch];
    ctx.require(start >= 0 && (circular || start <= room - length),
                "write_indices: got {} for {} updates, expected [0, {}]", start, length, room - length);
    for (std::int64_t row = 0; row < rows; ++row) {
      const std::int64_t outer = static_cast<std::int64_t>(batch) * rows + row;
      for (std::int64_t i = 0; i < length; ++i) {
        const std::int64_t at = (start % room + i) % room;
        copy_elements(out, (outer * room + at) * inner, update, (outer * length + i) * inner, inner);
      }
    }
  }
  ctx.set_output(0, std::move(out));
}

Cost tensor_scatter_cost(const Node&, std::span<const Type> inputs, std::span<const Type> outputs) {
  return {0, 2 * type_bytes(outputs[0]) + type_bytes(inputs[1])};
}

}  // namespace

void define_scatter(std::vector<OpDef>& ops) {
  const AttrSpec reduction{"reduction", AttrKind::String, "none, add, mul, max or min", std::string("none")};
  ops.push_back({
      .name = "ScatterElements",
      .domain = "",
      .since_version = 18,
      .doc = "Copies data and replaces single elements: the index stands for the place along axis.",
      .source = "ONNX ScatterElements-18; later updates of one place win",
      .inputs = {{"data", "rank >= 1"},
                 {"indices", "i32|i64 of the same rank, in [-size, size)"},
                 {"updates", "of indices' shape"}},
      .outputs = {{"output", "of data's shape"}},
      .attributes = {{"axis", AttrKind::Int, "in [-rank, rank)", 0}, reduction},
      .infer = infer_scatter_elements,
      .reference = reference_scatter_elements,
      .cost = scatter_cost,
  });
  ops.push_back({
      .name = "ScatterND",
      .domain = "",
      .since_version = 18,
      .doc = "Copies data and replaces slices at tuples of indices.",
      .source = "ONNX ScatterND-18; later updates of one place win",
      .inputs = {{"data", "rank >= 1"},
                 {"indices", "i64[..., tuple]"},
                 {"updates", "indices' shape without the tuple, then the slice"}},
      .outputs = {{"output", "of data's shape"}},
      .attributes = {reduction},
      .infer = infer_scatter_nd,
      .reference = reference_scatter_nd,
      .cost = scatter_cost,
  });
  ops.push_back({
      .name = "TensorScatter",
      .domain = "",
      .since_version = 24,
      .doc = "Writes new rows into a cache at one place per batch.",
      .source = "ONNX TensorScatter-24",
      .inputs = {{"past_cache", "[batch, ..., room, ...]"},
                 {"update", "[batch, ..., length, ...], length <= room"},
                 {"write_indices", "i64[batch], first place; absent: 0", Arity::Optional}},
      .outputs = {{"present_cache", "of past_cache's shape"}},
      .attributes = {{"axis", AttrKind::Int, "the axis of room, not the first", -2},
                     {"mode", AttrKind::String, "linear, or circular: places wrap around", std::string("linear")}},
      .infer = infer_tensor_scatter,
      .reference = reference_tensor_scatter,
      .cost = tensor_scatter_cost,
  });
}

}  // namespace naru
