// OneHot, Trilu, ReverseSequence: elements placed by rule along axes.
#include <algorithm>

#include "graph/ops/families.h"
#include "graph/ops/movement.h"
#include "graph/ops/type_set.h"
#include "graph/scalar.h"

namespace naru {
namespace {

// OneHot

constexpr TypeSet kCountTypes = kInts | TypeSet{DType::F16, DType::F32, DType::F64};

std::optional<Dim> one_hot_depth(const InferContext& ctx) {
  if (const auto value = ctx.symbolic_value(1); value && value->elements.size() == 1) return value->elements[0];
  const Tensor* depth = ctx.constant(1);
  if (depth == nullptr) return std::nullopt;
  ctx.require(depth->numel() == 1, "depth: got {} elements, expected one", depth->numel());
  return Dim(to_wide<std::int64_t>(*depth).front());
}

void infer_one_hot(InferContext& ctx) {
  require_type(ctx, 0, kCountTypes);
  require_type(ctx, 1, kCountTypes);
  require_rank(ctx, 1, 0, 1);
  require_rank(ctx, 2, 1, 1);
  if (const auto count = length_of(ctx, 2)) {
    ctx.require(*count == 2, "values: got {} elements, expected 2", *count);
  }
  const SymShape* shape = ctx.shape(0);
  if (shape == nullptr) return ctx.set_output(0, ctx.dtype(2));
  const auto depth = one_hot_depth(ctx);
  ctx.require(!depth || !depth->is_known() || depth->value() >= 0, "depth: got {}, expected >= 0",
              depth ? depth->to_string() : "");
  SymShape result = *shape;
  const auto rank = static_cast<std::int64_t>(shape->size()) + 1;
  const std::int64_t axis = ctx.normalize_axis(ctx.node.attr_int("axis"), rank);
  result.insert(result.begin() + axis, depth ? *depth : ctx.fresh_dim());
  ctx.set_output(0, ctx.dtype(2), std::move(result));
}

void reference_one_hot(ReferenceContext& ctx) {
  const Tensor& values = ctx.input(2);
  Tensor& out = ctx.output(0);
  const std::int64_t axis = ctx.normalize_axis(ctx.node.attr_int("axis"), out.rank());
  const std::int64_t depth = out.shape()[axis];
  const std::int64_t inner = out.shape().numel(axis + 1, out.rank());
  if (out.numel() == 0) return;
  Tensor off(values.dtype(), Shape{});
  copy_elements(off, 0, values, 0, 1);
  fill(out, off);
  const std::vector<std::int64_t> indices = to_wide<std::int64_t>(ctx.input(0));
  for (std::size_t i = 0; i < indices.size(); ++i) {
    // Outside [-depth, depth) a row stays off: ONNX asks for that, not for an error.
    const std::int64_t index = indices[i];
    if (index < -depth || index >= depth) continue;
    const auto at = static_cast<std::int64_t>(i);
    const std::int64_t place = index < 0 ? index + depth : index;
    copy_elements(out, (at / inner * depth + place) * inner + at % inner, values, 1, 1);
  }
}

Cost one_hot_cost(const Node&, std::span<const Type> inputs, std::span<const Type> outputs) {
  return {0, type_bytes(inputs[0]) + type_bytes(outputs[0])};
}

// Trilu

void infer_trilu(InferContext& ctx) {
  require_rank(ctx, 0, 2);
  if (ctx.has_input(1)) {
    require_type(ctx, 1, TypeSet{DType::I64});
    require_rank(ctx, 1, 0, 1);
  }
  ctx.set_output(0, ctx.input(0));
}

void reference_trilu(ReferenceContext& ctx) {
  const Tensor& x = ctx.input(0);
  Tensor& out = ctx.output(0);
  fill_zero(out);
  const std::int64_t rows = x.shape()[x.rank() - 2], columns = x.shape()[x.rank() - 1];
  std::int64_t k = 0;
  if (ctx.has_input(1)) {
    ctx.require(ctx.input(1).numel() == 1, "k: got {} elements, expected one", ctx.input(1).numel());
    k = std::clamp(to_i64_vector(ctx.input(1)).front(), -rows - 1, columns + 1);
  }
  const bool upper = ctx.node.attr_int("upper") != 0;
  for (std::int64_t line = 0; line < x.shape().numel(0, x.rank() - 1); ++line) {
    // The diagonal's column, which both halves keep.
    const std::int64_t diagonal = line % rows + k;
    const std::int64_t first = upper ? std::clamp<std::int64_t>(diagonal, 0, columns) : 0;
    const std::int64_t last = upper ? columns : std::clamp<std::int64_t>(diagonal + 1, 0, columns);
    copy_elements(out, line * columns + first, x, line * columns + first, last - first);
  }
}

// ReverseSequence

void infer_reverse_sequence(InferContext& ctx) {
  require_type(ctx, 1, TypeSet{DType::I64});
  require_rank(ctx, 0, 2);
  require_rank(ctx, 1, 1, 1);
  const std::int64_t batch = ctx.node.attr_int("batch_axis"), time = ctx.node.attr_int("time_axis");
  ctx.require((batch == 0 && time == 1) || (batch == 1 && time == 0),
              "axes: got batch_axis {} and time_axis {}, expected 0 and 1 or 1 and 0", batch, time);
  ctx.set_output(0, ctx.input(0));
  if (ctx.shape(0) != nullptr && ctx.shape(1) != nullptr) {
    match_dims(ctx, "sequence_lens", (*ctx.shape(1))[0], (*ctx.shape(0))[static_cast<std::size_t>(batch)]);
  }
}

void reference_reverse_sequence(ReferenceContext& ctx) {
  const Tensor& x = ctx.input(0);
  Tensor& out = ctx.output(0);
  const std::int64_t batch_axis = ctx.node.attr_int("batch_axis"), time_axis = 1 - batch_axis;
  const std::vector<std::int64_t> lengths = to_i64_vector(ctx.input(1));
  const std::int64_t inner = x.shape().numel(2, x.rank());
  const std::int64_t second = x.shape()[1], steps = x.shape()[time_axis];
  for (std::int64_t batch = 0; batch < x.shape()[batch_axis]; ++batch) {
    const std::int64_t length = lengths[static_cast<std::size_t>(batch)];
    ctx.require(length >= 0 && length <= steps, "sequence_lens: got {}, expected [0, {}]", length, steps);
    for (std::int64_t step = 0; step < steps; ++step) {
      const std::int64_t source = step < length ? length - 1 - step : step;
      const auto at = [&](std::int64_t t) {
        return (batch_axis == 0 ? batch * second + t : t * second + batch) * inner;
      };
      copy_elements(out, at(step), x, at(source), inner);
    }
  }
}

}  // namespace

void define_one_hot(std::vector<OpDef>& ops) {
  ops.push_back({
      .name = "OneHot",
      .domain = "",
      .since_version = 28,
      .doc = "Gives each index a row of off values with one on value at its place.",
      .source = "ONNX OneHot-28; an index outside [-depth, depth) gives a row of off values",
      .inputs = {{"indices", "numbers, read as integers"},
                 {"depth", "one number, length of a row", Arity::Required, true},
                 {"values", "[2]: off, on"}},
      .outputs = {{"output", "indices' shape with depth inserted at axis"}},
      .attributes = {{"axis", AttrKind::Int, "of the output, in [-rank - 1, rank]", -1}},
      .infer = infer_one_hot,
      .reference = reference_one_hot,
      .cost = one_hot_cost,
  });
  ops.push_back({
      .name = "Trilu",
      .domain = "",
      .since_version = 14,
      .doc = "Keeps the upper or lower triangle of matrices, zero elsewhere.",
      .source = "ONNX Trilu-14",
      .inputs = {{"input", "[..., rows, columns]"},
                 {"k", "i64 scalar, the diagonal that is kept; absent: 0", Arity::Optional}},
      .outputs = {{"output", "of the same shape"}},
      .attributes = {{"upper", AttrKind::Int, "0: the lower triangle", 1}},
      .infer = infer_trilu,
      .reference = reference_trilu,
      .cost = copy_cost,
  });
  ops.push_back({
      .name = "ReverseSequence",
      .domain = "",
      .since_version = 28,
      .doc = "Reverses the first steps of each sequence of a batch.",
      .source = "ONNX ReverseSequence-28",
      .inputs = {{"input", "[time, batch, ...] or [batch, time, ...]"},
                 {"sequence_lens", "i64[batch], in [0, time]"}},
      .outputs = {{"Y", "of the same shape"}},
      .attributes = {{"batch_axis", AttrKind::Int, "0 or 1", 1}, {"time_axis", AttrKind::Int, "the other", 0}},
      .infer = infer_reverse_sequence,
      .reference = reference_reverse_sequence,
      .cost = copy_cost,
  });
}

}  // namespace naru
