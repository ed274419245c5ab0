// Shape and Size: dimensions as integers; where symbolic shape arithmetic starts.
#include <algorithm>

#include "graph/ops/families.h"
#include "graph/ops/movement.h"

namespace naru {
namespace {

/// The range [first, last) of dimensions that start and end select, clamped as ONNX asks.
std::pair<std::int64_t, std::int64_t> selected(const Node& node, std::int64_t rank) {
  const auto clamped = [&](std::int64_t axis) {
    return std::clamp<std::int64_t>(axis < 0 ? axis + rank : axis, 0, rank);
  };
  const std::int64_t first = clamped(node.attr_int("start"));
  const std::int64_t last = clamped(node.attr_int_or("end", rank));
  return {first, std::max(first, last)};
}

void infer_shape(InferContext& ctx) {
  const SymShape* shape = ctx.shape(0);
  if (shape == nullptr) {
    ctx.set_output(0, DType::I64, {ctx.fresh_dim()});
    return;
  }
  const auto [first, last] = selected(ctx.node, static_cast<std::int64_t>(shape->size()));
  ctx.set_output(0, DType::I64, {last - first});
  ctx.set_symbolic_value(0, {{shape->begin() + first, shape->begin() + last}, false});
}

void reference_shape(ReferenceContext& ctx) {
  const Shape& shape = ctx.input(0).shape();
  const auto [first, last] = selected(ctx.node, shape.rank());
  Tensor& out = ctx.output(0);
  std::copy(shape.begin() + first, shape.begin() + last, out.as_mutable<std::int64_t>().begin());
}

void infer_size(InferContext& ctx) {
  ctx.set_output(0, DType::I64, SymShape{});
  const SymShape* shape = ctx.shape(0);
  if (shape == nullptr) return;
  ctx.set_symbolic_value(0, {{product_or_fresh(ctx, *shape, 0, shape->size())}, true});
}

void reference_size(ReferenceContext& ctx) {
  ctx.output(0).as_mutable<std::int64_t>()[0] = ctx.input(0).numel();
}

}  // namespace

void define_shape(std::vector<OpDef>& ops) {
  ops.push_back({
      .name = "Shape",
      .domain = "",
      .since_version = 25,
      .doc = "Gives the dimensions of its input, or those from start up to end.",
      .source = "ONNX Shape-25",
      .inputs = {{"data", "any tensor; only its shape is used"}},
      .outputs = {{"shape", "i64[count]"}},
      .attributes = {{"start", AttrKind::Int, "first axis; negative: from the back", 0},
                     {"end", AttrKind::Int, "axis after the last; absent: rank"}},
      .infer = infer_shape,
      .reference = reference_shape,
      .cost = view_cost,
  });
  ops.push_back({
      .name = "Size",
      .domain = "",
      .since_version = 25,
      .doc = "Gives the number of elements of its input.",
      .source = "ONNX Size-25",
      .inputs = {{"data", "any tensor; only its shape is used"}},
      .outputs = {{"size", "i64 scalar"}},
      .infer = infer_size,
      .reference = reference_size,
      .cost = view_cost,
  });
}

}  // namespace naru
