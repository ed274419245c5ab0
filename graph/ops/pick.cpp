// NonZero, Compress, Unique: operators whose output size depends on the data.
#include <algorithm>
#include <numeric>

#include "graph/ops/element_order.h"
#include "graph/ops/families.h"
#include "graph/ops/movement.h"
#include "graph/ops/type_set.h"

namespace naru {
namespace {

// NonZero

void infer_non_zero(InferContext& ctx) {
  const SymShape* shape = ctx.shape(0);
  const Dim rank = shape != nullptr ? Dim(static_cast<std::int64_t>(shape->size())) : ctx.fresh_dim();
  ctx.set_output(0, DType::I64, {rank, ctx.fresh_dim()});
}

void reference_non_zero(ReferenceContext& ctx) {
  const Tensor& x = ctx.input(0);
  const ElementOrder elements(x);
  std::vector<std::int64_t> found;
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    if (elements.is_nonzero(i)) found.push_back(i);
  }
  const auto count = static_cast<std::int64_t>(found.size());
  const auto out = ctx.output(0, DType::I64, {x.rank(), count}).as_mutable<std::int64_t>();
  const std::vector<std::int64_t> strides = x.shape().strides();
  for (std::int64_t d = 0; d < x.rank(); ++d) {
    for (std::int64_t i = 0; i < count; ++i) {
      out[static_cast<std::size_t>(d * count + i)] =
          found[static_cast<std::size_t>(i)] / strides[static_cast<std::size_t>(d)] % x.shape()[d];
    }
  }
}

// Slices along one axis, or single elements of the flattened input: what Compress and Unique pick.

/// `count` slices of inner elements, repeated outer times.
struct Slices {
  std::int64_t outer = 1, count = 0, inner = 1;
  Shape shape;             ///< of the input as seen: flattened when there is no axis
  std::int64_t axis = 0;

  Slices(const ReferenceContext& ctx, const Tensor& x) {
    if (!ctx.node.has("axis")) {
      shape = Shape({x.numel()});
    } else {
      axis = ctx.normalize_axis(ctx.node.attr_int("axis"), x.rank());
      shape = x.shape();
      outer = shape.numel(0, axis);
      inner = shape.numel(axis + 1, shape.rank());
    }
    count = shape[axis];
  }

  std::int64_t at(std::int64_t o, std::int64_t slice) const { return (o * count + slice) * inner; }
};

/// The tensor of the slices `picked`, in that order.
Tensor take(const Tensor& x, const Slices& slices, const std::vector<std::int64_t>& picked) {
  Shape shape = slices.shape;
  shape[slices.axis] = static_cast<std::int64_t>(picked.size());
  Tensor out(x.dtype(), std::move(shape));
  if (out.numel() == 0) return out;
  std::int64_t to = 0;
  for (std::int64_t o = 0; o < slices.outer; ++o) {
    for (std::int64_t slice : picked) {
      copy_elements(out, to, x, slices.at(o, slice), slices.inner);
      to += slices.inner;
    }
  }
  return out;
}

/// The output: one axis, or the flattened input, has a size that is not known.
void infer_picked(InferContext& ctx) {
  const SymShape* shape = ctx.shape(0);
  if (!ctx.node.has("axis")) return ctx.set_output(0, ctx.dtype(0), {ctx.fresh_dim()});
  if (shape == nullptr) return ctx.set_output(0, ctx.dtype(0));
  const auto rank = static_cast<std::int64_t>(shape->size());
  SymShape result = *shape;
  result[static_cast<std::size_t>(ctx.normalize_axis(ctx.node.attr_int("axis"), rank))] = ctx.fresh_dim();
  ctx.set_output(0, ctx.dtype(0), std::move(result));
}

// Compress

void infer_compress(InferContext& ctx) {
  require_type(ctx, 1, kBool);
  require_rank(ctx, 0, 1);
  require_rank(ctx, 1, 1, 1);
  infer_picked(ctx);
}

void reference_compress(ReferenceContext& ctx) {
  const Tensor& x = ctx.input(0);
  const auto condition = ctx.input(1).as<bool>();
  const Slices slices(ctx, x);
  std::vector<std::int64_t> picked;
  for (std::int64_t i = 0; i < std::min(slices.count, ctx.input(1).numel()); ++i) {
    if (condition[static_cast<std::size_t>(i)]) picked.push_back(i);
  }
  ctx.set_output(0, take(x, slices, picked));
}

// Unique

void infer_unique(InferContext& ctx) {
  infer_picked(ctx);
  for (std::size_t i = 1; i < 4; ++i) ctx.set_output(i, DType::I64, {ctx.fresh_dim()});
}

/// Compares two slices element by element.
int compare_slices(const ElementOrder& order, const Slices& slices, std::int64_t a, std::int64_t b) {
  for (std::int64_t o = 0; o < slices.outer; ++o) {
    for (std::int64_t i = 0; i < slices.inner; ++i) {
      const int result = order.compare(slices.at(o, a) + i, slices.at(o, b) + i);
      if (result != 0) return result;
    }
  }
  return 0;
}

/// Groups of equal slices: the first of each, the group of each slice, the size of each group.
struct Groups {
  std::vector<std::int64_t> first, group_of, size;
};

Groups groups_of(const Tensor& x, const Slices& slices) {
  const ElementOrder order(x);
  std::vector<std::int64_t> sorted(static_cast<std::size_t>(slices.count));
  std::iota(sorted.begin(), sorted.end(), 0);
  std::stable_sort(sorted.begin(), sorted.end(), [&](std::int64_t a, std::int64_t b) {
    return compare_slices(order, slices, a, b) < 0;
  });
  Groups groups;
  groups.group_of.resize(sorted.size());
  for (std::int64_t slice : sorted) {
    if (groups.first.empty() || compare_slices(order, slices, groups.first.back(), slice) != 0) {
      groups.first.push_back(slice);
      groups.size.push_back(0);
    }
    groups.group_of[static_cast<std::size_t>(slice)] = static_cast<std::int64_t>(groups.first.size()) - 1;
    ++groups.size.back();
  }
  return groups;
}

/// Brings groups from sorted order into the order of their first slices.
void order_by_appearance(Groups& groups) {
  std::vector<std::int64_t> by_first(groups.first.size());
  std::iota(by_first.begin(), by_first.end(), 0);
  std::sort(by_first.begin(), by_first.end(), [&](std::int64_t a, std::int64_t b) {
    return groups.first[static_cast<std::size_t>(a)] < groups.first[static_cast<std::size_t>(b)];
  });
  Groups ordered;
  std::vector<std::int64_t> new_id(by_first.size());
  for (std::int64_t old : by_first) {
    const auto i = static_cast<std::size_t>(old);
    new_id[i] = static_cast<std::int64_t>(ordered.first.size());
    ordered.first.push_back(groups.first[i]);
    ordered.size.push_back(groups.size[i]);
  }
  for (std::int64_t id : groups.group_of) ordered.group_of.push_back(new_id[static_cast<std::size_t>(id)]);
  groups = std::move(ordered);
}

void reference_unique(ReferenceContext& ctx) {
  const Tensor& x = ctx.input(0);
  const Slices slices(ctx, x);
  Groups groups = groups_of(x, slices);
  if (ctx.node.attr_int("sorted") == 0) order_by_appearance(groups);
  if (ctx.has_output(0)) ctx.set_output(0, take(x, slices, groups.first));
  const std::vector<std::int64_t>* lists[] = {&groups.first, &groups.group_of, &groups.size};
  for (std::size_t i = 0; i < 3; ++i) {
    if (!ctx.has_output(i + 1)) continue;
    const Shape shape({static_cast<std::int64_t>(lists[i]->size())});
    ctx.set_output(i + 1, Tensor::from<std::int64_t>(shape, *lists[i]));
  }
}

}  // namespace

void define_pick(std::vector<OpDef>& ops) {
  ops.push_back({
      .name = "NonZero",
      .domain = "",
      .since_version = 13,
      .doc = "Lists the indices of elements that are not zero.",
      .source = "ONNX NonZero-13; a scalar gives [0, count]",
      .inputs = {{"X", "any tensor"}},
      .outputs = {{"Y", "i64[rank, count], row-major order"}},
      .infer = infer_non_zero,
      .reference = reference_non_zero,
      .dynamic_output = true,
  });
  const AttrSpec axis{"axis", AttrKind::Int, "in [-rank, rank); absent: the input is flattened"};
  ops.push_back({
      .name = "Compress",
      .domain = "",
      .since_version = 28,
      .doc = "Keeps the slices or elements where the condition holds.",
      .source = "ONNX Compress-28",
      .inputs = {{"input", "rank >= 1"}, {"condition", "bool[count]; beyond it nothing is kept"}},
      .outputs = {{"output", "what is kept"}},
      .attributes = {axis},
      .infer = infer_compress,
      .reference = reference_compress,
      .dynamic_output = true,
  });
  ops.push_back({
      .name = "Unique",
      .domain = "",
      .since_version = 28,
      .doc = "Finds the distinct elements, or slices along an axis.",
      .source = "ONNX Unique-28; NaN equals itself",
      .inputs = {{"X", "any tensor"}},
      .outputs = {{"Y", "the distinct elements or slices"},
                  {"indices", "i64, where each occurs first", Arity::Optional},
                  {"inverse_indices", "i64, which one each of X is", Arity::Optional},
                  {"counts", "i64, how often each occurs", Arity::Optional}},
      .attributes = {axis, {"sorted", AttrKind::Int, "1: ascending; 0: in order of appearance", 1}},
      .infer = infer_unique,
      .reference = reference_unique,
      .dynamic_output = true,
  });
}

}  // namespace naru
