// Operators that keep the elements in place: Reshape, Flatten, Squeeze, Unsqueeze.
#include <algorithm>

#include "graph/ops/families.h"
#include "graph/ops/movement.h"
#include "graph/ops/type_set.h"

namespace naru {
namespace {

/// All four: the same storage seen with the inferred shape.
void reference_view(ReferenceContext& ctx) {
  ctx.set_output(0, ctx.input(0).reshaped(output_shape(ctx, 0)));
}

/// Passes on a small integer vector or scalar whose elements are known.
void pass_value(InferContext& ctx) {
  const Type& out = ctx.output_types()[0];
  if (!out.shape || out.shape->size() > 1) return;
  if (auto value = ctx.symbolic_value(0)) {
    value->is_scalar = out.shape->empty();
    ctx.set_symbolic_value(0, std::move(*value));
  }
}

void set_view(InferContext& ctx, SymShape shape) {
  ctx.set_output(0, ctx.dtype(0), std::move(shape));
  pass_value(ctx);
}

// Reshape

bool is_number(const Dim& dim, std::int64_t value) { return dim == Dim(value); }

/// What -1 stands for: the elements of the input over those of the other dimensions. Dimensions
/// that occur on both sides cancel first, which also keeps empty batches exact.
Dim inferred_dim(InferContext& ctx, SymShape from, SymShape to) {
  for (auto dim = to.begin(); dim != to.end();) {
    const auto same = std::find(from.begin(), from.end(), *dim);
    if (same == from.end()) {
      ++dim;
    } else {
      from.erase(same);
      dim = to.erase(dim);
    }
  }
  const Dim elements = product_or_fresh(ctx, from, 0, from.size());
  const Dim others = product_or_fresh(ctx, to, 0, to.size());
  ctx.require(!is_number(others, 0), "shape: got -1 beside a dimension of 0, expected one of them");
  if (elements.is_known() && others.is_known()) {
    ctx.require(elements.value() % others.value() == 0,
                "shape: got {} elements for -1, expected a multiple of {}", elements.value(),
                others.value());
  }
  return floor_div(elements, others);
}

SymShape reshaped(InferContext& ctx, const std::vector<Dim>& target) {
  const SymShape* from = ctx.shape(0);
  const bool copies_zero = ctx.node.attr_int("allowzero") == 0;
  SymShape shape;
  std::optional<std::size_t> open;
  for (std::size_t i = 0; i < target.size(); ++i) {
    if (is_number(target[i], -1)) {
      ctx.require(!open, "shape: got -1 at {} and {}, expected it once at most", *open, i);
      open = i;
      shape.push_back(1);
    } else if (is_number(target[i], 0) && copies_zero) {
      ctx.require(from == nullptr || i < from->size(),
                  "shape: got 0 at {}, expected it within the input's {} dimensions", i,
                  from == nullptr ? 0 : from->size());
      shape.push_back(from == nullptr ? ctx.fresh_dim() : (*from)[i]);
    } else {
      ctx.require(!target[i].is_known() || target[i].value() >= 0,
                  "shape: got dimension {}, expected -1 or more", target[i].to_string());
      shape.push_back(target[i]);
    }
  }
  if (open && from == nullptr) {
    shape[*open] = ctx.fresh_dim();
  } else if (open) {
    SymShape others = shape;
    others.erase(others.begin() + static_cast<std::ptrdiff_t>(*open));
    shape[*open] = inferred_dim(ctx, *from, std::move(others));
  }
  return shape;
}

void require_same_count(const InferContext& ctx, const SymShape& shape) {
  if (ctx.shape(0) == nullptr) return;
  const auto before = known_shape(*ctx.shape(0)), after = known_shape(shape);
  if (!before || !after) return;
  ctx.require(before->numel() == after->numel(), "shape: got {} of {} elements, expected {}",
              to_string(*after), after->numel(), before->numel());
}

void infer_reshape(InferContext& ctx) {
  require_rank(ctx, 1, 0, 1);
  const auto target = dims_value(ctx, 1);
  if (!target) {
    const auto rank = length_of(ctx, 1);
    ctx.set_output(0, rank ? Type::tensor(ctx.dtype(0), fresh_shape(ctx, *rank))
                           : Type::tensor(ctx.dtype(0)));
    return;
  }
  SymShape shape = reshaped(ctx, *target);
  require_same_count(ctx, shape);
  set_view(ctx, std::move(shape));
}

// Flatten

void infer_flatten(InferContext& ctx) {
  const SymShape* shape = ctx.shape(0);
  if (shape == nullptr) {
    ctx.set_output(0, ctx.dtype(0), fresh_shape(ctx, 2));
    return;
  }
  const auto rank = static_cast<std::int64_t>(shape->size());
  std::int64_t axis = ctx.node.attr_int("axis");
  ctx.require(axis >= -rank && axis <= rank, "axis: got {}, expected [{}, {}]", axis, -rank, rank);
  if (axis < 0) axis += rank;
  const auto split = static_cast<std::size_t>(axis);
  const Dim outer = product_or_fresh(ctx, *shape, 0, split);
  const Dim inner = product_or_fresh(ctx, *shape, split, shape->size());
  ctx.set_output(0, ctx.dtype(0), {outer, inner});
}

/// Flatten is Reshape where one of the two dimensions is a number, and so the other may be -1.
bool decompose_flatten(DecomposeContext& ctx) {
  const Type& out = ctx.output_type(0);
  if (!out.shape) return false;
  std::vector<std::int64_t> target;
  for (const Dim& dim : *out.shape) target.push_back(dim.is_known() ? dim.value() : -1);
  if (std::count(target.begin(), target.end(), -1) > 1) return false;
  if (std::count(target.begin(), target.end(), 0) > 0) return false;
  ctx.set_output(0, ctx.add("Reshape", {ctx.input(0), ctx.ints(target)}));
  return true;
}

// Squeeze

/// Axes of known size 1; nullopt while a dimension is not known.
std::optional<std::vector<std::int64_t>> unit_axes(const SymShape& shape) {
  std::vector<std::int64_t> axes;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (!shape[i].is_known()) return std::nullopt;
    if (is_number(shape[i], 1)) axes.push_back(static_cast<std::int64_t>(i));
  }
  return axes;
}

void infer_squeeze(InferContext& ctx) {
  const SymShape* shape = ctx.shape(0);
  ctx.set_output(0, ctx.dtype(0));
  if (shape == nullptr) return;
  const auto rank = static_cast<std::int64_t>(shape->size());
  const auto axes = ctx.has_input(1) ? axes_value(ctx, 1, rank) : unit_axes(*shape);
  if (!axes) {
    if (const auto count = ctx.has_input(1) ? length_of(ctx, 1) : std::nullopt) {
      ctx.set_output(0, ctx.dtype(0), fresh_shape(ctx, rank - *count));
    }
    return;
  }
  SymShape result;
  for (std::int64_t i = 0; i < rank; ++i) {
    const Dim& dim = (*shape)[static_cast<std::size_t>(i)];
    if (std::find(axes->begin(), axes->end(), i) == axes->end()) {
      result.push_back(dim);
    } else {
      ctx.require(!dim.is_known() || dim.value() == 1, "axis {}: got size {}, expected 1", i,
                  dim.to_string());
    }
  }
  set_view(ctx, std::move(result));
}

// Unsqueeze

void infer_unsqueeze(InferContext& ctx) {
  const SymShape* shape = ctx.shape(0);
  const auto length = length_of(ctx, 1);
  ctx.set_output(0, ctx.dtype(0));
  if (shape == nullptr) return;
  const auto rank = static_cast<std::int64_t>(shape->size());
  require_type(ctx, 1, kInts);
  auto axes = ctx.int_values(1);
  if (!axes) {
    if (length) ctx.set_output(0, ctx.dtype(0), fresh_shape(ctx, rank + *length));
    return;
  }
  const std::int64_t new_rank = rank + static_cast<std::int64_t>(axes->size());
  *axes = normalize_axes(ctx, std::move(*axes), new_rank);
  SymShape result(shape->begin(), shape->end());
  std::sort(axes->begin(), axes->end());
  for (std::int64_t axis : *axes) result.insert(result.begin() + axis, Dim(1));
  set_view(ctx, std::move(result));
}

OpDef view_op(std::string name, int since, std::string doc, std::vector<FormalParam> inputs,
              void (*infer)(InferContext&)) {
  const std::string source = fmt::format("ONNX {}-{}", name, since);
  return {
      .name = std::move(name),
      .domain = "",
      .since_version = since,
      .doc = std::move(doc),
      .source = source,
      .inputs = std::move(inputs),
      .outputs = {{"output", "the same elements"}},
      .infer = infer,
      .reference = reference_view,
      .cost = view_cost,
  };
}

}  // namespace

void define_reshape(std::vector<OpDef>& ops) {
  const FormalParam data{"data", "any tensor"};
  ops.push_back(view_op("Reshape", 25, "Gives its elements another shape.",
                        {data, {"shape", "i64[rank]; -1 is inferred, 0 copies", Arity::Required, true}},
                        infer_reshape));
  ops.back().attributes = {{"allowzero", AttrKind::Int, "1: a 0 in shape means 0", 0}};
  ops.push_back(view_op("Flatten", 25, "Makes a matrix: the axes before axis, and the rest.", {data},
                        infer_flatten));
  ops.back().attributes = {{"axis", AttrKind::Int, "in [-rank, rank]", 1}};
  ops.back().decompose = decompose_flatten;
  ops.push_back(view_op("Squeeze", 25, "Removes dimensions of size 1.",
                        {data, {"axes", "i64[count]; absent: all of size 1", Arity::Optional, true}},
                        infer_squeeze));
  ops.push_back(view_op("Unsqueeze", 25, "Inserts dimensions of size 1.",
                        {data, {"axes", "i64[count], axes of the output", Arity::Required, true}},
                        infer_unsqueeze));
}

}  // namespace naru
