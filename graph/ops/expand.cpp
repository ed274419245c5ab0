// Expand and Tile: elements repeated along axes.
#include <algorithm>

#include "graph/limits.h"
#include "graph/ops/families.h"
#include "graph/ops/movement.h"

namespace naru {
namespace {

/// Repeats the elements of a small vector or scalar into a vector of `count`.
void repeat_value(InferContext& ctx, const Dim& count) {
  const auto value = ctx.symbolic_value(0);
  if (!value || value->elements.empty() || !count.is_known() || count.value() > kLimits.max_rank) return;
  SymValue result;
  for (std::int64_t i = 0; i < count.value(); ++i) {
    result.elements.push_back(value->elements[static_cast<std::size_t>(i) % value->elements.size()]);
  }
  ctx.set_symbolic_value(0, std::move(result));
}

void infer_expand(InferContext& ctx) {
  require_rank(ctx, 1, 1, 1);
  const SymShape* shape = ctx.shape(0);
  const auto target = dims_value(ctx, 1);
  ctx.set_output(0, ctx.dtype(0));
  if (shape == nullptr) return;
  if (!target) {
    if (const auto rank = length_of(ctx, 1)) {
      ctx.set_output(0, ctx.dtype(0),
                     fresh_shape(ctx, std::max(*rank, static_cast<std::int64_t>(shape->size()))));
    }
    return;
  }
  for (const Dim& dim : *target) {
    ctx.require(!dim.is_known() || dim.value() >= 0, "shape: got {}, expected >= 0", dim.to_string());
  }
  const SymShape both[] = {*shape, *target};
  const SymShape result = broadcast_shapes(std::span<const SymShape>(both));
  ctx.set_output(0, ctx.dtype(0), result);
  if (result.size() == 1) repeat_value(ctx, result[0]);
}

void reference_expand(ReferenceContext& ctx) {
  const Tensor& data = ctx.input(0);
  Tensor& out = ctx.output(0);
  const std::vector<std::int64_t> strides = data.shape().strides();
  const std::int64_t added = out.rank() - data.rank();
  StridedView view;
  for (std::int64_t i = 0; i < out.rank(); ++i) {
    const bool repeated = i < added || data.shape()[i - added] == 1;
    view.strides.push_back(repeated ? 0 : strides[static_cast<std::size_t>(i - added)]);
  }
  copy_strided(out, data, view);
}

void infer_tile(InferContext& ctx) {
  require_rank(ctx, 1, 1, 1);
  const SymShape* shape = ctx.shape(0);
  const auto repeats = dims_value(ctx, 1);
  ctx.set_output(0, ctx.dtype(0));
  if (shape == nullptr || !repeats) {
    const auto rank = shape != nullptr ? static_cast<std::int64_t>(shape->size()) : length_of(ctx, 1);
    if (rank) ctx.set_output(0, ctx.dtype(0), fresh_shape(ctx, *rank));
    return;
  }
  ctx.require(repeats->size() == shape->size(), "repeats: got {} values, expected {}", repeats->size(),
              shape->size());
  SymShape result;
  for (std::size_t i = 0; i < shape->size(); ++i) {
    const Dim& count = (*repeats)[i];
    ctx.require(!count.is_known() || count.value() >= 0, "repeats: got {}, expected >= 0",
                count.to_string());
    result.push_back((*shape)[i] * count);
  }
  ctx.set_output(0, ctx.dtype(0), result);
  if (result.size() == 1) repeat_value(ctx, result[0]);
}

/// Every dimension becomes two, (repeat, size), of which the first stands still in the input.
void reference_tile(ReferenceContext& ctx) {
  const Tensor& data = ctx.input(0);
  Tensor& out = ctx.output(0);
  if (out.numel() == 0) return;
  const std::vector<std::int64_t> in_strides = data.shape().strides(), out_strides = out.shape().strides();
  StridedView to, from;
  std::vector<std::int64_t> shape;
  for (std::size_t i = 0; i < in_strides.size(); ++i) {
    const auto axis = static_cast<std::int64_t>(i);
    const std::int64_t size = data.shape()[axis];
    shape.insert(shape.end(), {out.shape()[axis] / size, size});
    to.strides.insert(to.strides.end(), {out_strides[i] * size, out_strides[i]});
    from.strides.insert(from.strides.end(), {0, in_strides[i]});
  }
  copy_strided(out, to, data, from, shape);
}

}  // namespace

void define_expand(std::vector<OpDef>& ops) {
  ops.push_back({
      .name = "Expand",
      .domain = "",
      .since_version = 13,
      .doc = "Broadcasts its input with a shape, both ways.",
      .source = "ONNX Expand-13",
      .inputs = {{"input", "any tensor"}, {"shape", "i64[rank]", Arity::Required, true}},
      .outputs = {{"output", "the broadcast tensor"}},
      .infer = infer_expand,
      .reference = reference_expand,
      .cost = copy_cost,
  });
  ops.push_back({
      .name = "Tile",
      .domain = "",
      .since_version = 13,
      .doc = "Repeats its input along each axis.",
      .source = "ONNX Tile-13",
      .inputs = {{"input", "any tensor"}, {"repeats", "i64[rank], >= 0", Arity::Required, true}},
      .outputs = {{"output", "dimension i is input's times repeats[i]"}},
      .infer = infer_tile,
      .reference = reference_tile,
      .cost = copy_cost,
  });
}

}  // namespace naru
