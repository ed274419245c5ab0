// Matrix products of wide values, shared by the float, integer and quantised operators.
#pragma once

#include <span>
#include <vector>

#include "graph/op_def.h"

namespace naru {

/// The shape rule of MatMul for inputs `a` and `b`; sets output 0.
void infer_matmul(InferContext& ctx, std::size_t a, std::size_t b, DType dtype);

/// NumPy's matmul of dense operands; T is double, or u64 for integers of both signs.
template <typename T>
std::vector<T> matmul(const std::vector<T>& a, const Shape& a_shape, const std::vector<T>& b,
                      const Shape& b_shape, const Shape& y_shape);
extern template std::vector<double> matmul<double>(const std::vector<double>&, const Shape&,
                                                   const std::vector<double>&, const Shape&,
                                                   const Shape&);

/// A scale or zero point of a matrix operand, spread over all elements of `shape`. It holds one
/// value, one per row (of A) or column (of B), or one per row or column of each matrix of a stack.
/// @throws Error InvalidArgument for another count.
std::vector<double> spread_over_matrix(const ReferenceContext& ctx, std::size_t parameter,
                                       const Shape& shape, bool per_row);
/// values[i] -= other[i].
void subtract(std::vector<double>& values, const std::vector<double>& other);

/// Multiply-adds of a product whose left operand is input `a`, all operands moved once.
Cost matmul_cost(std::size_t a, std::span<const Type> inputs, std::span<const Type> outputs);

}  // namespace naru
