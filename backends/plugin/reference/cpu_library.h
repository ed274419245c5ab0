// A plain CPU library, in the place of a vendor's SDK: it knows nothing of Naru or of plug-ins.
#pragma once

#include <cstdint>
#include <vector>

namespace cpu_library {

using Dims = std::vector<std::int64_t>;

/// c[m,n] = a[m,k] b[k,n]
void matmul(std::int64_t m, std::int64_t n, std::int64_t k, const float* a, const float* b, float* c);

struct Window {
  std::int64_t kernel[2] = {1, 1};
  std::int64_t stride[2] = {1, 1};
  std::int64_t dilation[2] = {1, 1};
  std::int64_t begin[2] = {0, 0};  ///< padding before
};
/// x [n,c,h,w], w [m,c/groups,kh,kw], bias [m] or null, y [n,m,oh,ow]
void convolve(const float* x, const Dims& x_dims, const float* w, const float* bias, float* y, const Dims& y_dims,
              const Window& window, std::int64_t groups);
/// The largest, or the mean of what lies inside (or of the whole window with `count_padding`).
void pool(const float* x, const Dims& x_dims, float* y, const Dims& y_dims, const Window& window, bool mean,
          bool count_padding);

/// y = f(x), element by element.
void map(const float* x, float* y, std::int64_t count, float (*f)(float x, float a, float b), float a, float b);
/// y = f(a, b) with NumPy's broadcasting; y_dims is the result's shape.
void combine(const float* a, const Dims& a_dims, const float* b, const Dims& b_dims, float* y, const Dims& y_dims,
             float (*f)(float, float));
/// Over the middle axis of [outer, axis, inner].
void softmax(const float* x, float* y, std::int64_t outer, std::int64_t axis, std::int64_t inner);
/// y[i] = x[permuted i]
void transpose(const float* x, const Dims& x_dims, float* y, const Dims& permutation);
/// Copies x [outer, rows, inner] to rows `at` and on of y [outer, y_rows, inner].
void place(const float* x, float* y, std::int64_t outer, std::int64_t rows, std::int64_t y_rows, std::int64_t at,
           std::int64_t inner);

}  // namespace cpu_library
