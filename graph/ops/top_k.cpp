// TopK: the largest or smallest elements along one axis, with their places.
#include <algorithm>
#include <numeric>

#include "graph/ops/element_order.h"
#include "graph/ops/families.h"
#include "graph/ops/movement.h"
#include "graph/ops/type_set.h"

namespace naru {
namespace {

void infer_top_k(InferContext& ctx) {
  require_type(ctx, 0, kNumbers);
  require_rank(ctx, 1, 0, 1);
  const SymShape* shape = ctx.shape(0);
  ctx.set_output(0, ctx.dtype(0));
  ctx.set_output(1, DType::I64);
  const auto k = dims_value(ctx, 1);
  if (k) ctx.require(k->size() == 1, "K: got {} elements, expected one", k->size());
  if (shape == nullptr) return;
  const auto axis = static_cast<std::size_t>(
      ctx.normalize_axis(ctx.node.attr_int("axis"), static_cast<std::int64_t>(shape->size())));
  const Dim count = k ? k->front() : ctx.fresh_dim();
  const Dim& size = (*shape)[axis];
  if (count.is_known()) {
    const bool fits = !size.is_known() || count.value() <= size.value();
    ctx.require(count.value() >= 0 && fits, "K: got {}, expected [0, {}]", count.to_string(), size.to_string());
  }
  SymShape result = *shape;
  result[axis] = count;
  ctx.set_output(0, ctx.dtype(0), result);
  ctx.set_output(1, DType::I64, std::move(result));
}

void reference_top_k(ReferenceContext& ctx) {
  const Tensor& x = ctx.input(0);
  Tensor values(x.dtype(), output_shape(ctx, 0));
  Tensor indices(DType::I64, values.shape());
  const std::int64_t axis = ctx.normalize_axis(ctx.node.attr_int("axis"), x.rank());
  const bool largest = ctx.node.attr_int("largest") != 0;
  const std::int64_t size = x.shape()[axis], k = values.shape()[axis];
  const std::int64_t inner = x.shape().numel(axis + 1, x.rank());
  const ElementOrder order(x);
  std::vector<std::int64_t> sorted(static_cast<std::size_t>(size));
  const auto place = indices.as_mutable<std::int64_t>();
  for (std::int64_t lane = 0; lane < x.shape().numel(0, axis) * inner; ++lane) {
    const std::int64_t first = lane / inner * size * inner + lane % inner;
    std::iota(sorted.begin(), sorted.end(), 0);
    std::partial_sort(sorted.begin(), sorted.begin() + k, sorted.end(), [&](std::int64_t a, std::int64_t b) {
      const int order_of = order.compare(first + a * inner, first + b * inner);
      if (order_of == 0) return a < b;
      return largest ? order_of > 0 : order_of < 0;
    });
    const std::int64_t out = lane / inner * k * inner + lane % inner;
    for (std::int64_t i = 0; i < k; ++i) {
      const std::int64_t from = sorted[static_cast<std::size_t>(i)];
      copy_elements(values, out + i * inner, x, first + from * inner, 1);
      place[static_cast<std::size_t>(out + i * inner)] = from;
    }
  }
  if (ctx.has_output(0)) ctx.set_output(0, std::move(values));
  if (ctx.has_output(1)) ctx.set_output(1, std::move(indices));
}

Cost top_k_cost(const Node&, std::span<const Type> inputs, std::span<const Type> outputs) {
  Cost cost{0, type_bytes(inputs[0])};
  for (const Type& type : outputs) cost.bytes += type_bytes(type);
  if (inputs[0].is_static()) cost.flops = static_cast<double>(known_shape(*inputs[0].shape)->numel());
  return cost;
}

}  // namespace

void define_top_k(std::vector<OpDef>& ops) {
  ops.push_back({
      .name = "TopK",
      .domain = "",
      .since_version = 24,
      .doc = "Finds the k largest or smallest elements along an axis.",
      .source = "ONNX TopK-24; NaN counts as larger than all numbers",
      .inputs = {{"X", "rank >= 1, numbers"}, {"K", "i64[1], in [0, size]", Arity::Required, true}},
      .outputs = {{"Values", "the elements, best first"}, {"Indices", "i64, their places; the lower first of equals"}},
      .attributes = {{"axis", AttrKind::Int, "in [-rank, rank)", -1},
                     {"largest", AttrKind::Int, "0: the smallest", 1},
                     {"sorted", AttrKind::Int, "0 allows any order; the reference always sorts", 1}},
      .infer = infer_top_k,
      .reference = reference_top_k,
      .cost = top_k_cost,
  });
}

}  // namespace naru
