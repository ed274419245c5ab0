// Det: determinants of square matrices.
#include <cmath>
#include <utility>

#include "graph/op_def.h"
#include "graph/ops/families.h"
#include "graph/ops/type_set.h"
#include "graph/scalar.h"

namespace naru {
namespace {

void infer_det(InferContext& ctx) {
  const DType dtype = require_common_type(ctx, 0, 1, kFloats);
  const SymShape* shape = ctx.shape(0);
  if (shape == nullptr) return ctx.set_output(0, dtype);
  const std::size_t rank = shape->size();
  ctx.require(rank >= 2, "input 0: got rank {}, expected at least 2", rank);
  const Dim& rows = (*shape)[rank - 2];
  const Dim& columns = (*shape)[rank - 1];
  ctx.require(!rows.is_known() || !columns.is_known() || rows == columns,
              "input 0: got shape {}, expected square matrices", to_string(*shape));
  ctx.set_output(0, dtype, SymShape(shape->begin(), shape->end() - 2));
}

/// Gaussian elimination with row pivots; `matrix` is n x n and is used up.
double determinant(double* matrix, std::int64_t n) {
  double result = 1;
  for (std::int64_t k = 0; k < n; ++k) {
    std::int64_t pivot = k;
    for (std::int64_t i = k + 1; i < n; ++i) {
      if (std::fabs(matrix[i * n + k]) > std::fabs(matrix[pivot * n + k])) pivot = i;
    }
    if (pivot != k) {
      for (std::int64_t j = 0; j < n; ++j) std::swap(matrix[k * n + j], matrix[pivot * n + j]);
      result = -result;
    }
    const double diagonal = matrix[k * n + k];
    result *= diagonal;
    if (diagonal == 0) return result;
    for (std::int64_t i = k + 1; i < n; ++i) {
      const double factor = matrix[i * n + k] / diagonal;
      for (std::int64_t j = k + 1; j < n; ++j) matrix[i * n + j] -= factor * matrix[k * n + j];
    }
  }
  return result;
}

void reference_det(ReferenceContext& ctx) {
  const Tensor& input = ctx.input(0);
  const std::int64_t n = input.shape()[input.rank() - 1];
  std::vector<double> values = to_wide<double>(input);
  Tensor& output = ctx.output(0);
  std::vector<double> result(static_cast<std::size_t>(output.numel()));
  for (std::size_t i = 0; i < result.size(); ++i) {
    result[i] = determinant(values.data() + static_cast<std::int64_t>(i) * n * n, n);
  }
  from_wide<double>(result, output);
}

}  // namespace

void define_det(std::vector<OpDef>& ops) {
  ops.push_back({
      .name = "Det",
      .domain = "",
      .since_version = 22,
      .doc = "The determinant of each square matrix.",
      .source = "ONNX Det-22",
      .inputs = {{"X", to_string(kFloats) + ", [..., n, n]"}},
      .outputs = {{"Y", "as X, without the last two dimensions"}},
      .infer = infer_det,
      .reference = reference_det,
  });
}

}  // namespace naru
