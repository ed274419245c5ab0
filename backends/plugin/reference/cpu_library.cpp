// The plain CPU library: loops that a compiler vectorises, nothing more.
#include "backends/plugin/reference/cpu_library.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace cpu_library {
namespace {

Dims strides(const Dims& dims) {
  Dims result(dims.size(), 1);
  for (std::size_t i = dims.size(); i-- > 1;) result[i - 1] = result[i] * dims[i];
  return result;
}

std::int64_t product(const Dims& dims) {
  std::int64_t n = 1;
  for (const std::int64_t d : dims) n *= d;
  return n;
}

/// Strides of `dims` seen as `out`, 0 along broadcast axes.
Dims broadcast_strides(const Dims& dims, const Dims& out) {
  Dims result(out.size(), 0);
  const Dims own = strides(dims);
  const std::size_t shift = out.size() - dims.size();
  for (std::size_t i = 0; i < dims.size(); ++i) result[i + shift] = dims[i] == 1 ? 0 : own[i];
  return result;
}

/// Steps `index` to the next element of `dims`, the last axis aside.
void advance(Dims& index, const Dims& dims) {
  for (std::size_t axis = dims.size() - 1; axis-- > 0;) {
    if (++index[axis] < dims[axis]) return;
    index[axis] = 0;
  }
}

std::int64_t dot(const Dims& index, const Dims& stride) {
  std::int64_t offset = 0;
  for (std::size_t i = 0; i < stride.size(); ++i) offset += index[i] * stride[i];
  return offset;
}

/// Columns of one group of one picture: [c*kh*kw, oh*ow].
void unfold(const float* x, std::int64_t channels, std::int64_t h, std::int64_t w, std::int64_t oh, std::int64_t ow,
            const Window& win, float* columns) {
  for (std::int64_t c = 0; c < channels; ++c)
    for (std::int64_t ky = 0; ky < win.kernel[0]; ++ky)
      for (std::int64_t kx = 0; kx < win.kernel[1]; ++kx)
        for (std::int64_t oy = 0; oy < oh; ++oy) {
          const std::int64_t iy = oy * win.stride[0] - win.begin[0] + ky * win.dilation[0];
          for (std::int64_t ox = 0; ox < ow; ++ox) {
            const std::int64_t ix = ox * win.stride[1] - win.begin[1] + kx * win.dilation[1];
            const bool inside = iy >= 0 && iy < h && ix >= 0 && ix < w;
            *columns++ = inside ? x[(c * h + iy) * w + ix] : 0.0f;
          }
        }
}

}  // namespace

void matmul(std::int64_t m, std::int64_t n, std::int64_t k, const float* a, const float* b, float* c) {
  constexpr std::int64_t kColumns = 512;  // of b, so that what is reused stays in the cache
  std::fill(c, c + m * n, 0.0f);
  for (std::int64_t first = 0; first < n; first += kColumns) {
    const std::int64_t last = std::min(n, first + kColumns);
    for (std::int64_t i = 0; i < m; ++i)
      for (std::int64_t p = 0; p < k; ++p) {
        const float factor = a[i * k + p];
        for (std::int64_t j = first; j < last; ++j) c[i * n + j] += factor * b[p * n + j];
      }
  }
}

void convolve(const float* x, const Dims& xd, const float* w, const float* bias, float* y, const Dims& yd,
              const Window& win, std::int64_t groups) {
  const std::int64_t channels = xd[1] / groups, filters = yd[1] / groups, area = yd[2] * yd[3];
  const std::int64_t depth = channels * win.kernel[0] * win.kernel[1];
  std::vector<float> columns(static_cast<std::size_t>(depth * area));
  for (std::int64_t n = 0; n < xd[0]; ++n)
    for (std::int64_t g = 0; g < groups; ++g) {
      unfold(x + (n * xd[1] + g * channels) * xd[2] * xd[3], channels, xd[2], xd[3], yd[2], yd[3], win, columns.data());
      float* out = y + (n * yd[1] + g * filters) * area;
      matmul(filters, area, depth, w + g * filters * depth, columns.data(), out);
      for (std::int64_t f = 0; bias != nullptr && f < filters; ++f)
        for (std::int64_t i = 0; i < area; ++i) out[f * area + i] += bias[g * filters + f];
    }
}

void pool(const float* x, const Dims& xd, float* y, const Dims& yd, const Window& win, bool mean, bool count_padding) {
  for (std::int64_t plane = 0; plane < xd[0] * xd[1]; ++plane)
    for (std::int64_t oy = 0; oy < yd[2]; ++oy)
      for (std::int64_t ox = 0; ox < yd[3]; ++ox) {
        float best = -INFINITY, sum = 0;
        std::int64_t count = 0;
        for (std::int64_t ky = 0; ky < win.kernel[0]; ++ky)
          for (std::int64_t kx = 0; kx < win.kernel[1]; ++kx) {
            const std::int64_t iy = oy * win.stride[0] - win.begin[0] + ky;
            const std::int64_t ix = ox * win.stride[1] - win.begin[1] + kx;
            if (iy < 0 || iy >= xd[2] || ix < 0 || ix >= xd[3]) continue;
            const float value = x[(plane * xd[2] + iy) * xd[3] + ix];
            best = std::max(best, value);
            sum += value;
            ++count;
          }
        const std::int64_t divisor = count_padding ? win.kernel[0] * win.kernel[1] : count;
        *y++ = mean ? sum / static_cast<float>(divisor) : best;
      }
}

void map(const float* x, float* y, std::int64_t count, float (*f)(float, float, float), float a, float b) {
  for (std::int64_t i = 0; i < count; ++i) y[i] = f(x[i], a, b);
}

void combine(const float* a, const Dims& ad, const float* b, const Dims& bd, float* y, const Dims& yd,
             float (*f)(float, float)) {
  if (yd.empty()) {
    *y = f(*a, *b);
    return;
  }
  const Dims sa = broadcast_strides(ad, yd), sb = broadcast_strides(bd, yd);
  const std::int64_t length = yd.back(), rows = length == 0 ? 0 : product(yd) / length;
  Dims index(yd.size(), 0);
  for (std::int64_t row = 0; row < rows; ++row, advance(index, yd)) {
    const float* pa = a + dot(index, sa);
    const float* pb = b + dot(index, sb);
    for (std::int64_t i = 0; i < length; ++i) *y++ = f(pa[i * sa.back()], pb[i * sb.back()]);
  }
}

void softmax(const float* x, float* y, std::int64_t outer, std::int64_t axis, std::int64_t inner) {
  for (std::int64_t o = 0; o < outer; ++o)
    for (std::int64_t i = 0; i < inner; ++i) {
      const float* in = x + o * axis * inner + i;
      float* out = y + o * axis * inner + i;
      float largest = -INFINITY, sum = 0;
      for (std::int64_t k = 0; k < axis; ++k) largest = std::max(largest, in[k * inner]);
      for (std::int64_t k = 0; k < axis; ++k) sum += out[k * inner] = std::exp(in[k * inner] - largest);
      for (std::int64_t k = 0; k < axis; ++k) out[k * inner] /= sum;
    }
}

void transpose(const float* x, const Dims& xd, float* y, const Dims& permutation) {
  const Dims own = strides(xd);
  Dims yd, stride;
  for (const std::int64_t axis : permutation) {
    yd.push_back(xd[static_cast<std::size_t>(axis)]);
    stride.push_back(own[static_cast<std::size_t>(axis)]);
  }
  const std::int64_t length = yd.back(), rows = length == 0 ? 0 : product(yd) / length;
  Dims index(yd.size(), 0);
  for (std::int64_t row = 0; row < rows; ++row, advance(index, yd)) {
    const float* in = x + dot(index, stride);
    for (std::int64_t i = 0; i < length; ++i) *y++ = in[i * stride.back()];
  }
}

void place(const float* x, float* y, std::int64_t outer, std::int64_t rows, std::int64_t y_rows, std::int64_t at,
           std::int64_t inner) {
  for (std::int64_t o = 0; o < outer; ++o) {
    std::memcpy(y + (o * y_rows + at) * inner, x + o * rows * inner, static_cast<std::size_t>(rows * inner) * sizeof(float));
  }
}

}  // namespace cpu_library
