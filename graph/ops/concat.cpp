// Concat and Split: tensors joined and cut along one axis.
#include <algorithm>

#include "graph/checked.h"
#include "graph/limits.h"
#include "graph/ops/families.h"
#include "graph/ops/movement.h"
#include "graph/ops/type_set.h"

namespace naru {
namespace {

// Concat

DType concat_dtype(const InferContext& ctx) {
  DType dtype = DType::Undefined;
  for (std::size_t i = 0; i < ctx.input_count(); ++i) {
    const DType next = ctx.dtype(i);
    ctx.require(dtype == DType::Undefined || next == DType::Undefined || next == dtype,
                "input {}: got element type {}, expected {}", i, to_string(next), to_string(dtype));
    if (next != DType::Undefined) dtype = next;
  }
  return dtype;
}

/// The elements of a joined small vector, when those of all parts are known.
void join_values(InferContext& ctx) {
  SymValue joined;
  for (std::size_t i = 0; i < ctx.input_count(); ++i) {
    const auto part = ctx.symbolic_value(i);
    if (!part) return;
    joined.elements.insert(joined.elements.end(), part->elements.begin(), part->elements.end());
  }
  if (static_cast<std::int64_t>(joined.elements.size()) > kLimits.max_rank) return;
  ctx.set_symbolic_value(0, std::move(joined));
}

void infer_concat(InferContext& ctx) {
  const DType dtype = concat_dtype(ctx);
  const SymShape* first = nullptr;
  bool all_known = true;
  for (std::size_t i = 0; i < ctx.input_count(); ++i) {
    if (ctx.shape(i) == nullptr) all_known = false;
    else if (first == nullptr) first = ctx.shape(i);
  }
  ctx.set_output(0, dtype);
  if (first == nullptr) return;
  const auto axis = static_cast<std::size_t>(
      ctx.normalize_axis(ctx.node.attr_int("axis"), static_cast<std::int64_t>(first->size())));
  SymShape result = *first;
  Dim total = 0;
  for (std::size_t i = 0; i < ctx.input_count(); ++i) {
    const SymShape* shape = ctx.shape(i);
    if (shape == nullptr) continue;
    ctx.require(shape->size() == result.size(), "input {}: got rank {}, expected {}", i,
                shape->size(), result.size());
    for (std::size_t d = 0; d < result.size(); ++d) {
      if (d != axis) result[d] = match_dims(ctx, fmt::format("dimension {}", d), result[d], (*shape)[d]);
    }
    total = total + (*shape)[axis];
  }
  result[axis] = all_known ? total : ctx.fresh_dim();
  ctx.set_output(0, dtype, std::move(result));
  if (first->size() == 1) join_values(ctx);
}

/// The view of the slab of `tensor` that starts at `start` along `axis`.
StridedView slab(const Tensor& tensor, std::int64_t axis, std::int64_t start) {
  StridedView view = dense_view(tensor);
  view.offset = start * view.strides[static_cast<std::size_t>(axis)];
  return view;
}

void reference_concat(ReferenceContext& ctx) {
  Tensor& out = ctx.output(0);
  const std::int64_t axis = ctx.normalize_axis(ctx.node.attr_int("axis"), out.rank());
  std::int64_t at = 0;
  for (std::size_t i = 0; i < ctx.input_count(); ++i) {
    const Tensor& part = ctx.input(i);
    copy_strided(out, slab(out, axis, at), part, dense_view(part), part.shape().dims());
    at += part.shape()[axis];
  }
}

// Split

/// The sizes of `count` equal parts, of which the last may be smaller.
std::vector<Dim> equal_parts(const InferContext& ctx, const Dim& total, std::int64_t count) {
  const Dim part = ceil_div(total, count);
  std::vector<Dim> parts(static_cast<std::size_t>(count), part);
  parts.back() = total - part * (count - 1);
  ctx.require(!parts.back().is_known() || parts.back().value() >= 0,
              "num_outputs: got {} for a dimension of {}, expected parts of one size before the last",
              count, total.to_string());
  return parts;
}

/// The sizes of the parts where known.
std::optional<std::vector<Dim>> part_sizes(InferContext& ctx, const Dim& total) {
  const auto count = static_cast<std::int64_t>(ctx.output_count());
  ctx.require(count > 0, "outputs: got none, expected one or more");
  if (!ctx.has_input(1)) {
    const std::int64_t stated = ctx.node.attr_int_or("num_outputs", count);
    ctx.require(stated == count, "num_outputs: got {}, expected {} as the node has", stated, count);
    return equal_parts(ctx, total, count);
  }
  ctx.require(!ctx.node.has("num_outputs"), "split: got it beside num_outputs, expected one of them");
  auto parts = dims_value(ctx, 1);
  if (!parts) return std::nullopt;
  ctx.require(static_cast<std::int64_t>(parts->size()) == count, "split: got {} sizes, expected {}",
              parts->size(), count);
  Dim sum = 0;
  for (const Dim& part : *parts) {
    ctx.require(!part.is_known() || part.value() >= 0, "split: got {}, expected >= 0",
                part.to_string());
    sum = sum + part;
  }
  ctx.require(!sum.is_known() || !total.is_known() || sum == total,
              "split: got a sum of {}, expected the dimension {}", sum.to_string(),
              total.to_string());
  return parts;
}

/// Cuts a small vector with known elements.
void split_values(InferContext& ctx, const std::vector<Dim>& parts) {
  const auto value = ctx.symbolic_value(0);
  if (!value) return;
  std::size_t at = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (!parts[i].is_known()) return;
    const auto size = static_cast<std::size_t>(parts[i].value());
    if (at + size > value->elements.size()) return;
    const auto begin = value->elements.begin() + static_cast<std::ptrdiff_t>(at);
    ctx.set_symbolic_value(i, {{begin, begin + static_cast<std::ptrdiff_t>(size)}, false});
    at += size;
  }
}

void infer_split(InferContext& ctx) {
  for (std::size_t i = 0; i < ctx.output_count(); ++i) ctx.set_output(i, ctx.dtype(0));
  const SymShape* shape = ctx.shape(0);
  if (shape == nullptr) return;
  const auto axis = static_cast<std::size_t>(
      ctx.normalize_axis(ctx.node.attr_int("axis"), static_cast<std::int64_t>(shape->size())));
  const auto parts = part_sizes(ctx, (*shape)[axis]);
  for (std::size_t i = 0; i < ctx.output_count(); ++i) {
    SymShape part = *shape;
    part[axis] = parts ? (*parts)[i] : ctx.fresh_dim();
    ctx.set_output(i, ctx.dtype(0), std::move(part));
  }
  if (parts && shape->size() == 1) split_values(ctx, *parts);
}

void reference_split(ReferenceContext& ctx) {
  const Tensor& data = ctx.input(0);
  const std::int64_t axis = ctx.normalize_axis(ctx.node.attr_int("axis"), data.rank());
  std::int64_t at = 0;
  for (std::size_t i = 0; i < ctx.output_count(); ++i) {
    const std::int64_t size = output_shape(ctx, i)[axis];
    if (ctx.has_output(i)) copy_strided(ctx.output(i), data, slab(data, axis, at));
    at += size;
  }
}

bool decompose_split(DecomposeContext& ctx) {
  const Type& data = ctx.type(ctx.input(0));
  if (!data.shape) return false;
  const std::int64_t axis = ctx.node.attr_int("axis");
  const auto rank = static_cast<std::int64_t>(data.shape->size());
  const auto index = static_cast<std::size_t>(axis < 0 ? axis + rank : axis);
  std::vector<std::int64_t> bounds{0};
  for (std::size_t i = 0; i < ctx.node.outputs.size(); ++i) {
    if (!ctx.node.has_output(i)) return false;
    const Type& part = ctx.output_type(i);
    if (!part.shape || !(*part.shape)[index].is_known()) return false;
    bounds.push_back(checked_add(bounds.back(), (*part.shape)[index].value()));
  }
  for (std::size_t i = 0; i + 1 < bounds.size(); ++i) {
    ctx.set_output(i, ctx.add("Slice", {ctx.input(0), ctx.ints({bounds[i]}), ctx.ints({bounds[i + 1]}),
                                        ctx.ints({axis})}));
  }
  return true;
}

}  // namespace

void define_concat(std::vector<OpDef>& ops) {
  ops.push_back({
      .name = "Concat",
      .domain = "",
      .since_version = 13,
      .doc = "Joins tensors along one axis.",
      .source = "ONNX Concat-13",
      .inputs = {{"inputs", "tensors that differ along axis only", Arity::Variadic}},
      .outputs = {{"concat_result", "the inputs one after the other"}},
      .attributes = {{"axis", AttrKind::Int, "in [-rank, rank)", std::nullopt, true}},
      .infer = infer_concat,
      .reference = reference_concat,
      .cost = copy_cost,
  });
  ops.push_back({
      .name = "Split",
      .domain = "",
      .since_version = 18,
      .doc = "Cuts a tensor along one axis.",
      .source = "ONNX Split-18",
      .inputs = {{"input", "any tensor"},
                 {"split", "i64[outputs], sizes of the parts; absent: equal ones", Arity::Optional, true}},
      .outputs = {{"outputs", "the parts", Arity::Variadic}},
      .attributes = {{"axis", AttrKind::Int, "in [-rank, rank)", 0},
                     {"num_outputs", AttrKind::Int, "count of equal parts; the last may be smaller"}},
      .infer = infer_split,
      .reference = reference_split,
      .cost = copy_cost,
      .decompose = decompose_split,
  });
}

}  // namespace naru
