// Softmax, LogSoftmax and Hardmax along one axis.
#include <cmath>
#include <limits>

#include "graph/op_def.h"
#include "graph/ops/families.h"
#include "graph/ops/nn_rules.h"
#include "graph/ops/type_set.h"
#include "graph/scalar.h"

namespace naru {
namespace {

/// A strided row of elements that are normalised together.
struct Row {
  double* first;
  std::int64_t length;
  std::int64_t stride;
  double& operator[](std::int64_t i) const { return first[i * stride]; }
};

void infer_along_axis(InferContext& ctx) {
  require_type(ctx, 0, kFloats);
  if (const SymShape* shape = ctx.shape(0)) {
    ctx.normalize_axis(ctx.node.attr_int("axis"), static_cast<std::int64_t>(shape->size()));
  }
  ctx.set_output(0, ctx.input(0));
}

double largest(const Row& row) {
  double result = row[0];
  for (std::int64_t i = 1; i < row.length; ++i) {
    if (row[i] > result || std::isnan(row[i])) result = row[i];
  }
  return result;
}

// The maximum is subtracted first: exp(89) overflows f32, exp(710) even f64.

void softmax(const Row& row) {
  const double shift = largest(row);
  double sum = 0;
  for (std::int64_t i = 0; i < row.length; ++i) sum += row[i] = std::exp(row[i] - shift);
  for (std::int64_t i = 0; i < row.length; ++i) row[i] /= sum;
}

void log_softmax(const Row& row) {
  const double shift = largest(row);
  double sum = 0;
  for (std::int64_t i = 0; i < row.length; ++i) sum += std::exp(row[i] - shift);
  const double log_sum = std::log(sum);
  for (std::int64_t i = 0; i < row.length; ++i) row[i] = row[i] - shift - log_sum;
}

void hardmax(const Row& row) {
  std::int64_t best = 0;
  for (std::int64_t i = 1; i < row.length; ++i) {
    if (row[i] > row[best]) best = i;
  }
  for (std::int64_t i = 0; i < row.length; ++i) row[i] = i == best ? 1 : 0;
}

template <void (*Normalise)(const Row&)>
void reference_rows(ReferenceContext& ctx) {
  const Tensor& input = ctx.input(0);
  const Shape& shape = input.shape();
  const std::int64_t axis = ctx.normalize_axis(ctx.node.attr_int("axis"), shape.rank());
  const std::int64_t inner = shape.numel(axis + 1, shape.rank());
  const std::int64_t outer = shape.numel(0, axis);
  std::vector<double> values = to_wide<double>(input);
  if (!values.empty()) {
    for (std::int64_t i = 0; i < outer; ++i) {
      for (std::int64_t j = 0; j < inner; ++j) {
        Normalise({values.data() + i * shape[axis] * inner + j, shape[axis], inner});
      }
    }
  }
  from_wide<double>(values, ctx.output(0));
}

/// x minus its maximum along the axis, and the axis as a reduction's input.
std::pair<ValueId, ValueId> shifted(DecomposeContext& ctx) {
  const ValueId axes = ctx.ints({ctx.node.attr_int("axis")});
  const ValueId peak = ctx.add("ReduceMax", {ctx.input(0), axes});
  return {ctx.add("Sub", {ctx.input(0), peak}), axes};
}

bool decompose_softmax(DecomposeContext& ctx) {
  const auto [x, axes] = shifted(ctx);
  const ValueId e = ctx.add("Exp", {x});
  ctx.set_output(0, ctx.add("Div", {e, ctx.add("ReduceSum", {e, axes})}));
  return true;
}

bool decompose_log_softmax(DecomposeContext& ctx) {
  const auto [x, axes] = shifted(ctx);
  const ValueId sum = ctx.add("ReduceSum", {ctx.add("Exp", {x}), axes});
  ctx.set_output(0, ctx.add("Sub", {x, ctx.add("Log", {sum})}));
  return true;
}

OpDef along_axis(const char* name, const char* doc, void (*reference)(ReferenceContext&),
                 bool (*decompose)(DecomposeContext&)) {
  return {
      .name = name,
      .domain = "",
      .since_version = 13,
      .doc = doc,
      .source = fmt::format("ONNX {}-13", name),
      .inputs = {{"input", to_string(kFloats) + ", rank >= 1"}},
      .outputs = {{"output", "as the input"}},
      .attributes = {{"axis", AttrKind::Int, "in [-rank, rank)", std::int64_t{-1}}},
      .infer = infer_along_axis,
      .reference = reference,
      .cost = cost_per_input_element<5>,
      .decompose = decompose,
  };
}

}  // namespace

void define_softmax(std::vector<OpDef>& ops) {
  ops.push_back(along_axis("Softmax", "exp(x) / sum(exp(x)) along the axis.",
                           reference_rows<softmax>, decompose_softmax));
  ops.push_back(along_axis("LogSoftmax", "x - log(sum(exp(x))) along the axis.",
                           reference_rows<log_softmax>, decompose_log_softmax));
  ops.push_back(along_axis("Hardmax", "1 at the first maximum along the axis, 0 elsewhere.",
                           reference_rows<hardmax>, nullptr));
}

}  // namespace naru
