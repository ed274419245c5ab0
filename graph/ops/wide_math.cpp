// Inner loops on wide values: the only places of the references that are written for speed.
#include "graph/ops/wide_math.h"

#include "graph/fail.h"
#include "graph/ops/broadcast.h"
#include "graph/scalar.h"

namespace naru {

template <typename T>
void add_product(const T* a, const T* b, T* __restrict c, std::int64_t rows, std::int64_t inner,
                 std::int64_t columns, std::int64_t c_stride) {
  for (std::int64_t r = 0; r < rows; ++r) {
    T* const out = c + r * c_stride;
    const T* const left = a + r * inner;
    std::int64_t k = 0;
    // Four rows of b at once, so that a row of c is read and written once for four of them.
    for (; k + 4 <= inner; k += 4) {
      const T* const b0 = b + k * columns;
      const T* const b1 = b0 + columns;
      const T* const b2 = b1 + columns;
      const T* const b3 = b2 + columns;
      const T a0 = left[k], a1 = left[k + 1], a2 = left[k + 2], a3 = left[k + 3];
      for (std::int64_t j = 0; j < columns; ++j) {
        out[j] += a0 * b0[j] + a1 * b1[j] + a2 * b2[j] + a3 * b3[j];
      }
    }
    for (; k < inner; ++k) {
      for (std::int64_t j = 0; j < columns; ++j) out[j] += left[k] * b[k * columns + j];
    }
  }
}

template void add_product<double>(const double*, const double*, double*, std::int64_t,
                                  std::int64_t, std::int64_t, std::int64_t);
template void add_product<std::uint64_t>(const std::uint64_t*, const std::uint64_t*,
                                         std::uint64_t*, std::int64_t, std::int64_t, std::int64_t,
                                         std::int64_t);

std::vector<double> broadcast_values(const Tensor& tensor, const Shape& shape) {
  const std::vector<double> values = to_wide<double>(tensor);
  std::vector<double> result(static_cast<std::size_t>(shape.numel()));
  for_each_broadcast<1>(shape, {&tensor.shape()}, [&](std::int64_t to, const auto& from) {
    result[static_cast<std::size_t>(to)] = values[static_cast<std::size_t>(from[0])];
  });
  return result;
}

double scalar_f64(const Tensor& tensor) {
  if (tensor.numel() != 1) {
    fail(ErrorCode::InvalidArgument, "scalar operand: got {}, expected one element",
         to_string(tensor));
  }
  return load_f64(tensor.dtype(), tensor.data(), 0);
}

}  // namespace naru
