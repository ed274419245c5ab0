// Inner loops on wide values: the only places of the references that are written for speed.
#pragma once

#include <cstdint>
#include <vector>

#include "naru/tensor.h"

namespace naru {

/// c[rows, columns] += a[rows, inner] * b[inner, columns]; a and b are dense, the rows of c are
/// `c_stride` apart. T is double or u64; integers of both signs go through u64, whose low bits are
/// those of the wrapped result.
template <typename T>
void add_product(const T* a, const T* b, T* c, std::int64_t rows, std::int64_t inner,
                 std::int64_t columns, std::int64_t c_stride);
template <typename T>
void add_product(const T* a, const T* b, T* c, std::int64_t rows, std::int64_t inner,
                 std::int64_t columns) {
  add_product(a, b, c, rows, inner, columns, columns);
}
extern template void add_product<double>(const double*, const double*, double*, std::int64_t,
                                         std::int64_t, std::int64_t, std::int64_t);
extern template void add_product<std::uint64_t>(const std::uint64_t*, const std::uint64_t*,
                                                std::uint64_t*, std::int64_t, std::int64_t,
                                                std::int64_t, std::int64_t);

/// The transpose of a dense matrix.
template <typename T>
std::vector<T> transposed(const std::vector<T>& matrix, std::int64_t rows, std::int64_t columns) {
  std::vector<T> result(matrix.size());
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = 0; c < columns; ++c) {
      result[static_cast<std::size_t>(c * rows + r)] =
          matrix[static_cast<std::size_t>(r * columns + c)];
    }
  }
  return result;
}

/// The elements of `tensor` broadcast, NumPy's way, to `shape`.
/// @throws Error InvalidArgument when they do not fit.
std::vector<double> broadcast_values(const Tensor& tensor, const Shape& shape);

/// The value of a one-element tensor. @throws Error InvalidArgument for another count.
double scalar_f64(const Tensor& tensor);

}  // namespace naru
