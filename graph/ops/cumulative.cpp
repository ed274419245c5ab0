// CumSum and CumProd: running sums and products along one axis.
#include "graph/op_def.h"
#include "graph/ops/families.h"
#include "graph/ops/nn_rules.h"
#include "graph/ops/type_set.h"
#include "graph/scalar.h"

namespace naru {
namespace {

void infer_cumulative(InferContext& ctx) {
  const DType dtype = require_common_type(ctx, 0, 1, kWideNumbers);
  require_type(ctx, 1, {DType::I64, DType::I32});
  if (const SymShape* axis = ctx.shape(1)) {
    const auto shape = known_shape(*axis);
    ctx.require(!shape || shape->numel() == 1, "axis: got shape {}, expected a scalar", to_string(*axis));
  }
  const SymShape* shape = ctx.shape(0);
  if (shape == nullptr) return ctx.set_output(0, dtype);
  if (const auto axis = ctx.int_values(1)) {
    ctx.normalize_axis(axis->front(), static_cast<std::int64_t>(shape->size()));
  }
  ctx.set_output(0, dtype, *shape);
}

/// Integers of both signs go through u64, whose low bits are those of the wrapped result.
template <typename T>
void accumulate(ReferenceContext& ctx, bool multiplies) {
  const Tensor& input = ctx.input(0);
  const Shape& shape = input.shape();
  const std::int64_t axis = ctx.normalize_axis(to_i64_vector(ctx.input(1))[0], shape.rank());
  const std::int64_t length = shape[axis];
  const std::int64_t inner = shape.numel(axis + 1, shape.rank());
  const bool exclusive = ctx.node.attr_int("exclusive") != 0;
  const bool reverse = ctx.node.attr_int("reverse") != 0;
  std::vector<T> values = to_wide<T>(input);
  const std::int64_t rows = values.empty() ? 0 : input.numel() / length;
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::int64_t first = row / inner * length * inner + row % inner;
    T running = multiplies ? T{1} : T{0};
    for (std::int64_t i = 0; i < length; ++i) {
      T& slot = values[static_cast<std::size_t>(first + (reverse ? length - 1 - i : i) * inner)];
      const T before = running;
      running = multiplies ? running * slot : running + slot;
      slot = exclusive ? before : running;
    }
  }
  from_wide<T>(values, ctx.output(0));
}

void reference_cumulative(ReferenceContext& ctx) {
  const bool multiplies = ctx.node.op->name == "CumProd";
  if (is_float(ctx.input(0).dtype())) return accumulate<double>(ctx, multiplies);
  accumulate<std::uint64_t>(ctx, multiplies);
}

OpDef cumulative_def(const char* name, int version, const char* doc) {
  return {
      .name = name,
      .domain = "",
      .since_version = version,
      .doc = doc,
      .source = fmt::format("ONNX {}-{}", name, version),
      .inputs = {{"x", to_string(kWideNumbers) + ", rank >= 1"}, {"axis", "i64|i32 scalar in [-rank, rank)"}},
      .outputs = {{"y", "as x"}},
      .attributes = {{"exclusive", AttrKind::Int, "1: an element leaves itself out", std::int64_t{0}},
                     {"reverse", AttrKind::Int, "1: from the end of the axis", std::int64_t{0}}},
      .infer = infer_cumulative,
      .reference = reference_cumulative,
      .cost = cost_per_input_element<1>,
  };
}

}  // namespace

void define_cumulative(std::vector<OpDef>& ops) {
  ops.push_back(cumulative_def("CumSum", 14, "Running sums along the axis."));
  ops.push_back(cumulative_def("CumProd", 26, "Running products along the axis."));
}

}  // namespace naru
