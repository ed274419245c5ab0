// Slice: a box of a tensor, with steps, forwards or backwards.
#include <algorithm>

#include "graph/ops/families.h"
#include "graph/ops/movement.h"
#include "graph/scalar.h"

namespace naru {
namespace {

/// What is cut along one axis of known size: the first index and the number of elements.
struct Cut {
  std::int64_t first = 0, count = 0;
};

/// Clamps as ONNX asks: [0, size] going up; [0, size - 1] and [-1, size - 1] going down.
Cut known_cut(std::int64_t start, std::int64_t end, std::int64_t step, std::int64_t size) {
  if (size == 0) return {};
  // Far values become -1 or size first, so that nothing below can overflow.
  const auto placed = [&](std::int64_t v) {
    if (v < 0) return v < -size ? std::int64_t{-1} : v + size;
    return std::min(v, size);
  };
  const std::int64_t last = step > 0 ? size : size - 1;
  const std::int64_t first = std::clamp<std::int64_t>(placed(start), 0, last);
  const std::int64_t stop = std::clamp<std::int64_t>(placed(end), step > 0 ? 0 : -1, last);
  const std::int64_t distance = step > 0 ? stop - first : first - stop;
  if (distance <= 0) return {first, 0};
  const std::uint64_t stride = step > 0 ? static_cast<std::uint64_t>(step) : 0 - static_cast<std::uint64_t>(step);
  return {first, static_cast<std::int64_t>((static_cast<std::uint64_t>(distance) - 1) / stride + 1)};
}

/// From here on an end means "to the end", whatever the dimension: exporters write INT32_MAX.
constexpr std::int64_t kFar = INT32_MAX;

bool is_far(const Dim& bound) { return bound.is_known() && bound.value() >= kFar; }
bool is_negative(const Dim& bound) { return bound.is_known() && bound.value() < 0; }

/// The count of a forward cut; nullopt when the sign of a bound is not known.
std::optional<Dim> forward_count(const Dim& start, const Dim& end, std::int64_t step, const Dim& size) {
  const bool start_known = start.is_known() || start.is_nonnegative();
  const bool end_known = end.is_known() || end.is_nonnegative();
  if (!start_known || !end_known) return std::nullopt;
  const bool from_front = start.is_known() && start.value() <= -kFar;
  if (is_negative(start) && !from_front && is_far(end) && step == 1) return min(-start, size);
  const Dim first = from_front ? Dim(0) : is_negative(start) ? max(size + start, 0) : start;
  if (is_far(start) || (end.is_known() && end.value() <= -kFar)) return Dim(0);
  const Dim stop = is_negative(end) ? size + end : is_far(end) ? size : min(end, size);
  const Dim distance = stop - first;
  return ceil_div(distance.is_nonnegative() ? distance : max(distance, 0), step);
}

/// The count of a backward cut over everything; other ones are not followed.
std::optional<Dim> backward_count(const Dim& start, const Dim& end, std::int64_t step, const Dim& size) {
  const bool from_last = start == Dim(-1) || is_far(start);
  const bool to_first = end.is_known() && end.value() <= -kFar;
  if (!from_last || !to_first || step == INT64_MIN) return std::nullopt;
  return ceil_div(size, -step);
}

Dim cut_size(InferContext& ctx, const Dim& start, const Dim& end, const Dim& step, const Dim& size) {
  if (!step.is_known()) return ctx.fresh_dim();
  ctx.require(step.value() != 0, "steps: got 0, expected another number");
  if (size.is_known() && start.is_known() && end.is_known()) {
    return known_cut(start.value(), end.value(), step.value(), size.value()).count;
  }
  const auto count = step.value() > 0 ? forward_count(start, end, step.value(), size)
                                      : backward_count(start, end, step.value(), size);
  return count ? *count : ctx.fresh_dim();
}

/// Starts, ends, axes and steps, each as far as known.
struct Bounds {
  std::optional<std::vector<Dim>> starts, ends, steps;
  std::optional<std::vector<std::int64_t>> axes;
};

/// Checks that lists which are known have one length.
Bounds bounds_of(const InferContext& ctx, std::int64_t rank) {
  Bounds bounds;
  bounds.starts = dims_value(ctx, 1);
  bounds.ends = dims_value(ctx, 2);
  if (ctx.has_input(3)) {
    bounds.axes = axes_value(ctx, 3, rank);
  } else if (bounds.starts) {
    std::vector<std::int64_t> axes;
    for (std::size_t i = 0; i < bounds.starts->size(); ++i) axes.push_back(static_cast<std::int64_t>(i));
    bounds.axes = normalize_axes(ctx, std::move(axes), rank);
  }
  if (ctx.has_input(4)) {
    bounds.steps = dims_value(ctx, 4);
  } else if (bounds.axes) {
    bounds.steps = std::vector<Dim>(bounds.axes->size(), Dim(1));
  }
  if (!bounds.axes) return bounds;
  const std::pair<const char*, const std::optional<std::vector<Dim>>*> lists[] = {
      {"starts", &bounds.starts}, {"ends", &bounds.ends}, {"steps", &bounds.steps}};
  for (const auto& [name, list] : lists) {
    ctx.require(!*list || (*list)->size() == bounds.axes->size(), "{}: got {} values, expected {}",
                name, *list ? (*list)->size() : 0, bounds.axes->size());
  }
  return bounds;
}

/// Cuts a small vector with known elements.
void slice_values(InferContext& ctx, const Bounds& bounds) {
  const auto value = ctx.symbolic_value(0);
  if (!value || value->is_scalar || !bounds.axes || !bounds.starts || !bounds.ends || !bounds.steps) return;
  SymValue result = *value;
  if (!bounds.axes->empty()) {
    const Dim& start = bounds.starts->front();
    const Dim& end = bounds.ends->front();
    const Dim& step = bounds.steps->front();
    if (!start.is_known() || !end.is_known() || !step.is_known()) return;
    const auto size = static_cast<std::int64_t>(value->elements.size());
    const Cut cut = known_cut(start.value(), end.value(), step.value(), size);
    result.elements.clear();
    for (std::int64_t i = 0; i < cut.count; ++i) {
      result.elements.push_back(value->elements[static_cast<std::size_t>(cut.first + i * step.value())]);
    }
  }
  ctx.set_symbolic_value(0, std::move(result));
}

void infer_slice(InferContext& ctx) {
  for (std::size_t i = 1; i < ctx.input_count(); ++i) {
    if (ctx.has_input(i)) require_rank(ctx, i, 1, 1);
  }
  const SymShape* shape = ctx.shape(0);
  if (shape == nullptr) return ctx.set_output(0, ctx.dtype(0));
  const auto rank = static_cast<std::int64_t>(shape->size());
  const Bounds bounds = bounds_of(ctx, rank);
  if (!bounds.axes) return ctx.set_output(0, ctx.dtype(0), fresh_shape(ctx, rank));
  SymShape result = *shape;
  for (std::size_t i = 0; i < bounds.axes->size(); ++i) {
    Dim& dim = result[static_cast<std::size_t>((*bounds.axes)[i])];
    const bool known = bounds.starts && bounds.ends && bounds.steps;
    dim = known ? cut_size(ctx, (*bounds.starts)[i], (*bounds.ends)[i], (*bounds.steps)[i], dim)
                : ctx.fresh_dim();
  }
  ctx.set_output(0, ctx.dtype(0), std::move(result));
  slice_values(ctx, bounds);
}

void reference_slice(ReferenceContext& ctx) {
  const Tensor& data = ctx.input(0);
  const auto list = [&](std::size_t i) { return to_i64_vector(ctx.input(i)); };
  const std::vector<std::int64_t> starts = list(1), ends = list(2);
  StridedView view = dense_view(data);
  const std::vector<std::int64_t> strides = view.strides;
  for (std::size_t i = 0; i < starts.size(); ++i) {
    const std::int64_t axis = ctx.has_input(3) ? ctx.normalize_axis(list(3)[i], data.rank())
                                               : static_cast<std::int64_t>(i);
    const std::int64_t step = ctx.has_input(4) ? list(4)[i] : 1;
    const Cut cut = known_cut(starts[i], ends[i], step, data.shape()[axis]);
    const auto at = static_cast<std::size_t>(axis);
    view.offset += cut.first * strides[at];
    // A step beyond the dimension is never taken twice; its product with the stride could overflow.
    view.strides[at] = cut.count > 1 ? step * strides[at] : 0;
  }
  copy_strided(ctx.output(0), data, view);
}

}  // namespace

void define_slice(std::vector<OpDef>& ops) {
  ops.push_back({
      .name = "Slice",
      .domain = "",
      .since_version = 13,
      .doc = "Takes a box of a tensor, forwards or backwards, with steps.",
      .source = "ONNX Slice-13",
      .inputs = {{"data", "any tensor"},
                 {"starts", "integer[count]; negative: from the end", Arity::Required, true},
                 {"ends", "integer[count], not included", Arity::Required, true},
                 {"axes", "integer[count]; absent: 0, 1, ...", Arity::Optional, true},
                 {"steps", "integer[count], not 0; absent: 1", Arity::Optional, true}},
      .outputs = {{"output", "the box"}},
      .infer = infer_slice,
      .reference = reference_slice,
      .cost = copy_cost,
  });
}

}  // namespace naru
