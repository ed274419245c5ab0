// MatMul, Gemm and MatMulInteger: matrix products with broadcast batch axes.
#include "graph/ops/matmul.h"

#include <algorithm>

#include "graph/checked.h"
#include "graph/ops/families.h"
#include "graph/ops/nn_rules.h"
#include "graph/ops/wide_math.h"
#include "graph/scalar.h"

namespace naru {
namespace {

/// An operand as a stack of matrices: batch dimensions, rows, columns.
struct Operand {
  Shape batch;
  std::int64_t rows = 1;
  std::int64_t columns = 1;
};

Operand left_operand(const Shape& shape) {
  const std::int64_t rank = shape.rank();
  if (rank == 1) return {{}, 1, shape[0]};
  return {Shape(std::vector<std::int64_t>(shape.begin(), shape.end() - 2)), shape[rank - 2],
          shape[rank - 1]};
}

Operand right_operand(const Shape& shape) {
  if (shape.rank() == 1) return {{}, shape[0], 1};
  return left_operand(shape);
}

/// Index of the matrix of `operand` that belongs to matrix `index` of the broadcast `batch`.
std::int64_t batch_index(const Shape& operand, const Shape& batch, std::int64_t index) {
  std::int64_t result = 0;
  std::int64_t stride = 1;
  for (std::int64_t axis = batch.rank() - 1, own = operand.rank() - 1; own >= 0; --axis, --own) {
    if (operand[own] != 1) result += index % batch[axis] * stride;
    stride *= operand[own];
    index /= batch[axis];
  }
  return result;
}

/// The storage type of a product: u64 stands for integers of both signs.
template <typename Body>
void with_product_type(DType dtype, Body&& body) {
  if (is_float(dtype)) return body(double{});
  body(std::uint64_t{});
}

void infer_matmul_op(InferContext& ctx) {
  infer_matmul(ctx, 0, 1, expect_common_type(ctx, {0, 1}, kWideNumbers));
}

void reference_matmul_op(ReferenceContext& ctx) {
  const Tensor& a = ctx.input(0);
  const Tensor& b = ctx.input(1);
  Tensor& y = ctx.output(0);
  with_product_type(y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const std::vector<T> result =
        matmul<T>(to_wide<T>(a), a.shape(), to_wide<T>(b), b.shape(), y.shape());
    from_wide<T>(result, y);
  });
}

Cost cost_matmul(const Node&, std::span<const Type> inputs, std::span<const Type> outputs) {
  return matmul_cost(0, inputs, outputs);
}

// MatMulInteger

void infer_matmul_integer(InferContext& ctx) {
  expect_common_type(ctx, {0, 2}, kBytes);
  expect_common_type(ctx, {1, 3}, kBytes);
  infer_matmul(ctx, 0, 1, DType::I32);
}

void reference_matmul_integer(ReferenceContext& ctx) {
  const Tensor& a = ctx.input(0);
  const Tensor& b = ctx.input(1);
  std::vector<double> left = to_wide<double>(a);
  std::vector<double> right = to_wide<double>(b);
  if (ctx.has_input(2)) {
    subtract(left, spread_over_matrix(ctx, 2, a.shape(), true));
  }
  if (ctx.has_input(3)) {
    subtract(right, spread_over_matrix(ctx, 3, b.shape(), false));
  }
  Tensor& y = ctx.output(0);
  from_wide<double>(matmul<double>(left, a.shape(), right, b.shape(), y.shape()), y);
}

// Gemm

void infer_gemm(InferContext& ctx) {
  const DType dtype = expect_common_type(ctx, {0, 1, 2}, kWideNumbers);
  const SymShape* a = expect_rank(ctx, 0, 2);
  const SymShape* b = expect_rank(ctx, 1, 2);
  const std::size_t turn_a = ctx.node.attr_int("transA") != 0 ? 1 : 0;
  const std::size_t turn_b = ctx.node.attr_int("transB") != 0 ? 1 : 0;
  if (a != nullptr && b != nullptr) {
    expect_equal(ctx, (*b)[turn_b], (*a)[1 - turn_a], "B: rows");
  }
  SymShape y{a != nullptr ? (*a)[turn_a] : ctx.fresh_dim(),
             b != nullptr ? (*b)[1 - turn_b] : ctx.fresh_dim()};
  expect_broadcasts_to(ctx, 2, y);
  ctx.set_output(0, dtype, std::move(y));
}

template <typename T>
void gemm(ReferenceContext& ctx) {
  const Tensor& a = ctx.input(0);
  const Tensor& b = ctx.input(1);
  Tensor& output = ctx.output(0);
  const std::int64_t rows = output.shape()[0];
  const std::int64_t columns = output.shape()[1];
  std::vector<T> left = to_wide<T>(a);
  std::vector<T> right = to_wide<T>(b);
  if (ctx.node.attr_int("transA") != 0) left = transposed(left, a.shape()[0], a.shape()[1]);
  if (ctx.node.attr_int("transB") != 0) right = transposed(right, b.shape()[0], b.shape()[1]);
  const std::int64_t inner = a.shape()[ctx.node.attr_int("transA") != 0 ? 0 : 1];
  std::vector<T> product(static_cast<std::size_t>(output.numel()), T{});
  add_product(left.data(), right.data(), product.data(), rows, inner, columns);

  // Factors are floats: an integer result is the scaled value cut to its type.
  const double alpha = ctx.node.attr_float("alpha");
  const double beta = ctx.node.attr_float("beta");
  const auto scaled = [](double factor, T value) {
    return factor == 1.0 ? value
                         : static_cast<T>(static_cast<std::int64_t>(
                               factor * static_cast<double>(static_cast<std::int64_t>(value))));
  };
  const auto times = [&](double factor, T value) -> T {
    if constexpr (std::is_same_v<T, double>) {
      return factor * value;
    } else {
      return scaled(factor, value);
    }
  };
  for (T& value : product) value = times(alpha, value);
  if (ctx.has_input(2)) {
    const Tensor& c = ctx.input(2);
    const std::vector<T> addend = to_wide<T>(c);
    const std::int64_t rank = c.rank();
    const std::int64_t column_step = rank >= 1 && c.shape()[rank - 1] != 1 ? 1 : 0;
    const std::int64_t row_step = rank == 2 && c.shape()[0] != 1 ? c.shape()[1] : 0;
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t j = 0; j < columns; ++j) {
        product[static_cast<std::size_t>(r * columns + j)] +=
            times(beta, addend[static_cast<std::size_t>(r * row_step + j * column_step)]);
      }
    }
  }
  from_wide<T>(product, output);
}

void reference_gemm(ReferenceContext& ctx) {
  with_product_type(ctx.output_type(0).dtype, [&](auto zero) { gemm<decltype(zero)>(ctx); });
}

Cost cost_gemm(const Node& node, std::span<const Type> inputs, std::span<const Type> outputs) {
  double inner = 0;
  if (inputs[0].shape && inputs[0].shape->size() == 2) {
    const Dim& dim = (*inputs[0].shape)[node.attr_int("transA") != 0 ? 0 : 1];
    inner = dim.is_known() ? static_cast<double>(dim.value()) : 0;
  }
  const double addend = node.has_input(2) ? element_count(outputs[0]) : 0;
  return {2 * inner * element_count(outputs[0]) + addend, total_bytes(inputs, outputs)};
}

}  // namespace

void infer_matmul(InferContext& ctx, std::size_t a_input, std::size_t b_input, DType dtype) {
  const SymShape* a = expect_min_rank(ctx, a_input, 1);
  const SymShape* b = expect_min_rank(ctx, b_input, 1);
  if (a == nullptr || b == nullptr) return ctx.set_output(0, dtype);
  expect_equal(ctx, b->size() == 1 ? (*b)[0] : (*b)[b->size() - 2], a->back(), "B: rows");
  const SymShape batches[] = {
      SymShape(a->begin(), a->end() - static_cast<std::ptrdiff_t>(std::min<std::size_t>(2, a->size()))),
      SymShape(b->begin(), b->end() - static_cast<std::ptrdiff_t>(std::min<std::size_t>(2, b->size())))};
  SymShape y = broadcast_shapes(std::span<const SymShape>(batches));
  if (a->size() > 1) y.push_back((*a)[a->size() - 2]);
  if (b->size() > 1) y.push_back(b->back());
  ctx.set_output(0, dtype, std::move(y));
}

template <typename T>
std::vector<T> matmul(const std::vector<T>& a, const Shape& a_shape, const std::vector<T>& b,
                      const Shape& b_shape, const Shape& y_shape) {
  const Operand left = left_operand(a_shape);
  const Operand right = right_operand(b_shape);
  const Shape batches[] = {left.batch, right.batch};
  const Shape batch = broadcast_shapes(std::span<const Shape>(batches));
  std::vector<T> y(static_cast<std::size_t>(y_shape.numel()), T{});
  if (y.empty()) return y;
  for (std::int64_t i = 0; i < batch.numel(); ++i) {
    add_product(a.data() + batch_index(left.batch, batch, i) * left.rows * left.columns,
                b.data() + batch_index(right.batch, batch, i) * right.rows * right.columns,
                y.data() + i * left.rows * right.columns, left.rows, left.columns, right.columns);
  }
  return y;
}

template std::vector<double> matmul<double>(const std::vector<double>&, const Shape&,
                                            const std::vector<double>&, const Shape&, const Shape&);
template std::vector<std::uint64_t> matmul<std::uint64_t>(const std::vector<std::uint64_t>&,
                                                          const Shape&,
                                                          const std::vector<std::uint64_t>&,
                                                          const Shape&, const Shape&);

std::vector<double> spread_over_matrix(const ReferenceContext& ctx, std::size_t parameter,
                                       const Shape& shape, bool per_row) {
  const Tensor& tensor = ctx.input(parameter);
  const std::vector<double> values = to_wide<double>(tensor);
  const std::int64_t rank = shape.rank();
  const std::int64_t columns = shape[rank - 1];
  const std::int64_t rows = rank >= 2 ? shape[rank - 2] : 1;
  const std::int64_t count = shape.numel();
  const std::int64_t own = tensor.numel();
  const std::int64_t line = per_row ? rows : columns;
  // One value, one per row or column, or one per row or column of every matrix of the batch.
  const std::int64_t all_lines = rank >= 2 ? shape.numel(0, rank - 2) * line : line;
  ctx.require(own == 1 || own == line || own == all_lines,
              "{}: got {}, expected 1, {} or {} elements", ctx.node.op->inputs[parameter].name,
              to_string(tensor), line, all_lines);
  std::vector<double> result(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t matrix = i / (rows * columns);
    const std::int64_t in_matrix = per_row ? i / columns % rows : i % columns;
    const std::int64_t at = own == 1 ? 0 : own == line ? in_matrix : matrix * line + in_matrix;
    result[static_cast<std::size_t>(i)] = values[static_cast<std::size_t>(at)];
  }
  return result;
}

void subtract(std::vector<double>& values, const std::vector<double>& other) {
  for (std::size_t i = 0; i < values.size(); ++i) values[i] -= other[i];
}

Cost matmul_cost(std::size_t a, std::span<const Type> inputs, std::span<const Type> outputs) {
  double inner = 0;
  if (inputs[a].shape && !inputs[a].shape->empty() && inputs[a].shape->back().is_known()) {
    inner = static_cast<double>(inputs[a].shape->back().value());
  }
  return {2 * inner * element_count(outputs[0]), total_bytes(inputs, outputs)};
}

void define_matmul(std::vector<OpDef>& ops) {
  ops.push_back({
      .name = "MatMul",
      .since_version = 13,
      .doc = "Multiplies matrices, or stacks of them with broadcast batch axes.",
      .source = "ONNX MatMul-13",
      .inputs = {{"A", "[batch..., rows, inner] or [inner]"},
                 {"B", "[batch..., inner, columns] or [inner]"}},
      .outputs = {{"Y", "[batch..., rows, columns]"}},
      .infer = infer_matmul_op,
      .reference = reference_matmul_op,
      .cost = cost_matmul,
  });
  ops.push_back({
      .name = "MatMulInteger",
      .since_version = 10,
      .doc = "Multiplies matrices of 8-bit integers, less their zero points, into 32-bit sums.",
      .source = "ONNX MatMulInteger-10",
      .inputs = {{"A", "[batch..., rows, inner], i8|u8"},
                 {"B", "[batch..., inner, columns], i8|u8"},
                 {"a_zero_point", "one value, or one per row", Arity::Optional},
                 {"b_zero_point", "one value, or one per column", Arity::Optional}},
      .outputs = {{"Y", "[batch..., rows, columns], i32"}},
      .infer = infer_matmul_integer,
      .reference = reference_matmul_integer,
      .cost = cost_matmul,
  });
  ops.push_back({
      .name = "Gemm",
      .since_version = 13,
      .doc = "Y = alpha * A' * B' + beta * C, where A' and B' may be transposed.",
      .source = "ONNX Gemm-13",
      .inputs = {{"A", "[rows, inner], or [inner, rows] with transA"},
                 {"B", "[inner, columns], or [columns, inner] with transB"},
                 {"C", "broadcasts to [rows, columns]", Arity::Optional}},
      .outputs = {{"Y", "[rows, columns]"}},
      .attributes = {{"alpha", AttrKind::Float, "factor of the product", 1.0f},
                     {"beta", AttrKind::Float, "factor of C", 1.0f},
                     {"transA", AttrKind::Int, "1: A is transposed first", std::int64_t{0}},
                     {"transB", AttrKind::Int, "1: B is transposed first", std::int64_t{0}}},
      .infer = infer_gemm,
      .reference = reference_gemm,
      .cost = cost_gemm,
  });
}

}  // namespace naru
