// Element movement: one strided copy, specialised by element size only.
#include "graph/ops/movement.h"

#include <algorithm>
#include <cstring>

#include "graph/limits.h"
#include "graph/ops/type_set.h"
#include "graph/scalar.h"

namespace naru {
namespace {

/// One row: `count` elements from index `from_at` in steps of `from_step`, likewise for `to`.
struct Row {
  std::int64_t to_at, to_step, from_at, from_step, count;
};
using RowCopy = void (*)(DType, std::byte* to, const std::byte* from, const Row&);

template <typename T>
void copy_row(DType, std::byte* to_bytes, const std::byte* from_bytes, const Row& row) {
  T* to = reinterpret_cast<T*>(to_bytes) + row.to_at;
  const T* from = reinterpret_cast<const T*>(from_bytes) + row.from_at;
  if (row.to_step == 1 && row.from_step == 1) {
    std::copy(from, from + row.count, to);
    return;
  }
  for (std::int64_t i = 0; i < row.count; ++i) to[i * row.to_step] = from[i * row.from_step];
}

/// Elements of less than a byte.
void copy_bits_row(DType dtype, std::byte* to, const std::byte* from, const Row& row) {
  for (std::int64_t i = 0; i < row.count; ++i) {
    store_bits(dtype, to, row.to_at + i * row.to_step,
               load_bits(dtype, from, row.from_at + i * row.from_step));
  }
}

void copy_block_row(DType dtype, std::byte* to, const std::byte* from, const Row& row) {
  const DTypeInfo& info = dtype_info(dtype);
  const std::int64_t block = info.block_elements;
  const bool whole = row.to_at % block == 0 && row.from_at % block == 0 && row.count % block == 0;
  if (!whole || row.to_step != 1 || row.from_step != 1) {
    fail(ErrorCode::Unsupported, "element type {}: moved in parts of a block, expected whole blocks",
         info.name);
  }
  std::memcpy(to + row.to_at / block * info.block_bytes,
              from + row.from_at / block * info.block_bytes,
              static_cast<std::size_t>(row.count / block * info.block_bytes));
}

struct Bytes16 {
  std::uint64_t low, high;
};

RowCopy row_copy_of(DType dtype) {
  const DTypeInfo& info = dtype_info(dtype);
  if (dtype == DType::String) return copy_row<std::string>;
  if (is_block(dtype)) return copy_block_row;
  if (info.block_elements > 1) return copy_bits_row;
  switch (info.block_bytes) {
    case 1: return copy_row<std::uint8_t>;
    case 2: return copy_row<std::uint16_t>;
    case 4: return copy_row<std::uint32_t>;
    case 8: return copy_row<std::uint64_t>;
    case 16: return copy_row<Bytes16>;
    default: break;
  }
  fail(ErrorCode::Internal, "element type {}: no copy for {} bytes", info.name, info.block_bytes);
}

/// A dimension of a region, with its steps in both tensors.
struct Axis {
  std::int64_t size, to_step, from_step;
};

/// Drops dimensions of size 1 and joins those that both tensors walk as one.
std::vector<Axis> collapse(std::span<const std::int64_t> shape, const StridedView& to,
                           const StridedView& from) {
  std::vector<Axis> axes;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == 1) continue;
    const Axis next{shape[i], to.strides[i], from.strides[i]};
    if (!axes.empty() && axes.back().to_step == next.to_step * next.size &&
        axes.back().from_step == next.from_step * next.size) {
      axes.back() = {axes.back().size * next.size, next.to_step, next.from_step};
    } else {
      axes.push_back(next);
    }
  }
  if (axes.empty()) axes.push_back({1, 1, 1});
  return axes;
}

}  // namespace

void copy_elements(Tensor& to, std::int64_t to_at, const Tensor& from, std::int64_t from_at,
                   std::int64_t count) {
  NARU_CHECK(to.dtype() == from.dtype(), "copy between element types");
  row_copy_of(to.dtype())(to.dtype(), to.mutable_data(), from.data(), {to_at, 1, from_at, 1, count});
}

void copy_strided(Tensor& to, const StridedView& to_view, const Tensor& from,
                  const StridedView& from_view, std::span<const std::int64_t> shape) {
  NARU_CHECK(to.dtype() == from.dtype(), "copy between element types");
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return;
  const RowCopy copy = row_copy_of(to.dtype());
  std::vector<Axis> axes = collapse(shape, to_view, from_view);
  const Axis inner = axes.back();
  axes.pop_back();
  std::vector<std::int64_t> index(axes.size(), 0);
  Row row{to_view.offset, inner.to_step, from_view.offset, inner.from_step, inner.size};
  for (;;) {
    copy(to.dtype(), to.mutable_data(), from.data(), row);
    std::size_t axis = axes.size();
    for (; axis > 0; --axis) {
      const Axis& step = axes[axis - 1];
      row.to_at += step.to_step;
      row.from_at += step.from_step;
      if (++index[axis - 1] < step.size) break;
      index[axis - 1] = 0;
      row.to_at -= step.to_step * step.size;
      row.from_at -= step.from_step * step.size;
    }
    if (axis == 0) return;
  }
}

void copy_strided(Tensor& to, const Tensor& from, const StridedView& from_view) {
  copy_strided(to, dense_view(to), from, from_view, to.shape().dims());
}

void fill(Tensor& to, const Tensor& value) {
  NARU_CHECK(value.numel() == 1, "fill value is no single element");
  const std::int64_t count = to.numel();
  copy_strided(to, {0, {1}}, value, {0, {0}}, std::span<const std::int64_t>(&count, 1));
}

void fill_zero(Tensor& to) {
  if (to.dtype() == DType::String) {
    for (std::string& text : to.mutable_strings()) text.clear();
  } else if (to.size_bytes() > 0) {
    std::memset(to.mutable_data(), 0, static_cast<std::size_t>(to.size_bytes()));
  }
}

StridedView dense_view(const Tensor& tensor) { return {0, tensor.shape().strides()}; }

Shape output_shape(const ReferenceContext& ctx, std::size_t i) {
  const Type& type = ctx.output_type(i);
  NARU_CHECK(type.is_static(), ctx.node.label() + ": output type " + to_string(type) + " is not static");
  return *known_shape(*type.shape);
}

std::optional<std::vector<Dim>> dims_value(const InferContext& ctx, std::size_t i) {
  require_type(ctx, i, kInts);
  if (auto value = ctx.symbolic_value(i)) return std::move(value->elements);
  if (auto value = ctx.int_values(i)) return std::vector<Dim>(value->begin(), value->end());
  return std::nullopt;
}

std::vector<std::int64_t> normalize_axes(const InferContext& ctx, std::vector<std::int64_t> axes,
                                         std::int64_t rank) {
  for (std::int64_t& axis : axes) axis = ctx.normalize_axis(axis, rank);
  std::vector<std::int64_t> sorted = axes;
  std::sort(sorted.begin(), sorted.end());
  const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
  if (twice != sorted.end()) ctx.reject(fmt::format("axes: got {} twice, expected distinct axes", *twice));
  return axes;
}

std::optional<std::vector<std::int64_t>> axes_value(const InferContext& ctx, std::size_t i,
                                                    std::int64_t rank) {
  require_type(ctx, i, kInts);
  std::optional<std::vector<std::int64_t>> axes = ctx.int_values(i);
  if (axes) axes = normalize_axes(ctx, std::move(*axes), rank);
  return axes;
}

std::optional<std::int64_t> length_of(const InferContext& ctx, std::size_t i) {
  const SymShape* shape = ctx.shape(i);
  if (shape == nullptr || shape->size() != 1 || !(*shape)[0].is_known()) return std::nullopt;
  return (*shape)[0].value();
}

SymShape fresh_shape(InferContext& ctx, std::int64_t rank) {
  ctx.require(rank >= 0 && rank <= kLimits.max_rank, "rank: got {}, expected [0, {}]", rank,
              kLimits.max_rank);
  SymShape shape;
  for (std::int64_t i = 0; i < rank; ++i) shape.push_back(ctx.fresh_dim());
  return shape;
}

Dim product_or_fresh(InferContext& ctx, const SymShape& shape, std::size_t first, std::size_t last) {
  const auto begin = shape.begin();
  const bool exact = std::all_of(begin + static_cast<std::ptrdiff_t>(first),
                                 begin + static_cast<std::ptrdiff_t>(last),
                                 [](const Dim& dim) { return dim.is_known(); });
  if (exact) return product(shape, first, last);
  try {
    return product(shape, first, last);
  } catch (const Error&) {
    return ctx.fresh_dim();
  }
}

Dim match_dims(const InferContext& ctx, std::string_view what, const Dim& a, const Dim& b) {
  if (!a.is_known()) return b.is_known() ? b : a;
  ctx.require(!b.is_known() || a == b, "{}: got {} and {}, expected equal sizes", what,
              a.to_string(), b.to_string());
  return a;
}

void require_rank(const InferContext& ctx, std::size_t i, std::int64_t low, std::int64_t high) {
  const SymShape* shape = ctx.shape(i);
  if (shape == nullptr) return;
  const auto rank = static_cast<std::int64_t>(shape->size());
  if (high == kAnyRank) {
    ctx.require(rank >= low, "input {}: got rank {}, expected at least {}", i, rank, low);
  } else {
    ctx.require(rank >= low && rank <= high, "input {}: got rank {}, expected [{}, {}]", i, rank, low,
                high);
  }
}

double type_bytes(const Type& type) {
  if (!type.is_static()) return 0;
  return static_cast<double>(storage_bytes(type.dtype, known_shape(*type.shape)->numel()));
}

Cost view_cost(const Node&, std::span<const Type>, std::span<const Type>) { return {}; }

Cost copy_cost(const Node&, std::span<const Type>, std::span<const Type> outputs) {
  Cost cost;
  for (const Type& type : outputs) cost.bytes += 2 * type_bytes(type);
  return cost;
}

}  // namespace naru
