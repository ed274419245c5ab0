// WinogradPacking: G g G' in f64, the filters of a panel side by side.
#include "backends/cpu/winograd/packing.h"

#include <algorithm>
#include <array>

#include "backends/cpu/parallel.h"
#include "graph/checked.h"
#include "graph/fail.h"

namespace naru::cpu {
namespace {

/// G, rows scaled so that B and A stay simple: see loops.h.
using Filter = std::array<std::array<double, 3>, kWinogradInput>;
Filter filter_transform() {
  const double a = 2.0 / 3, b = 3.0 / 2;
  const double near = 2 * a * a * (a * a - b * b), far = 2 * b * b * (b * b - a * a);
  return {{{1, 0, 0},
           {1 / near, a / near, a * a / near},
           {1 / near, -a / near, a * a / near},
           {1 / far, b / far, b * b / far},
           {1 / far, -b / far, b * b / far},
           {0, 0, 1}}};
}

/// G g G' of one channel of `columns` filters side by side: value p of filter f goes to packed[p * stride + f].
void transform_filters(const Filter& rule, const float* const* g, int columns, float* packed, std::int64_t stride) {
  double taps[9][kWinogradMostColumns], half[kWinogradInput][3][kWinogradMostColumns];
  for (int f = 0; f < columns; ++f) {
    for (int k = 0; k < 9; ++k) taps[k][f] = g[f][k];
  }
  for (std::size_t i = 0; i < kWinogradInput; ++i) {
    for (int x = 0; x < 3; ++x) {
      for (int f = 0; f < columns; ++f) {
        half[i][x][f] = rule[i][0] * taps[x][f] + rule[i][1] * taps[3 + x][f] + rule[i][2] * taps[6 + x][f];
      }
    }
  }
  for (std::size_t i = 0; i < kWinogradInput; ++i) {
    for (std::size_t j = 0; j < kWinogradInput; ++j) {
      float* to = packed + static_cast<std::int64_t>(i * kWinogradInput + j) * stride;
      for (int f = 0; f < columns; ++f) {
        to[f] = static_cast<float>(rule[j][0] * half[i][0][f] + rule[j][1] * half[i][1][f] + rule[j][2] * half[i][2][f]);
      }
    }
  }
}

}  // namespace

std::int64_t WinogradPacking::packed_bytes() const {
  return checked_mul(checked_mul(panels(), checked_mul(kWinogradPlanes * columns, channels)), std::int64_t{sizeof(float)});
}

void WinogradPacking::pack(const float* from, float* packed) const {
  NARU_CHECK(columns <= kWinogradMostColumns, "a panel of too many filters");
  const Filter rule = filter_transform();
  constexpr float kNothing[9] = {};
  parallel_ranges(panels(), static_cast<double>(channels) * columns * 30, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t panel = begin; panel < end; ++panel) {
      for (std::int64_t c = 0; c < channels; ++c) {
        const float* taps[kWinogradMostColumns];
        for (int f = 0; f < columns; ++f) {
          const std::int64_t filter = panel * columns + f;
          taps[f] = filter < filters ? from + (filter * channels + c) * 9 : kNothing;
        }
        transform_filters(rule, taps, columns, packed + panel * panel_floats() + c * columns, channels * columns);
      }
    }
  });
}

}  // namespace naru::cpu
