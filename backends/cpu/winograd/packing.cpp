// WinogradPacking: G g G' in f64, filter by filter.
#include "backends/cpu/winograd/packing.h"

#include <algorithm>
#include <array>

#include "backends/cpu/parallel.h"
#include "backends/cpu/winograd/loops.h"
#include "graph/checked.h"

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

/// G g G' of one filter of one channel; value p goes to packed[p * stride].
void transform_filter(const Filter& rule, const float* g, float* packed, std::int64_t stride) {
  double half[kWinogradInput][3];
  for (int i = 0; i < kWinogradInput; ++i) {
    for (int x = 0; x < 3; ++x) {
      const auto& line = rule[static_cast<std::size_t>(i)];
      half[i][x] = line[0] * g[x] + line[1] * g[3 + x] + line[2] * g[6 + x];
    }
  }
  for (int i = 0; i < kWinogradInput; ++i) {
    for (int j = 0; j < kWinogradInput; ++j) {
      const auto& line = rule[static_cast<std::size_t>(j)];
      packed[(i * kWinogradInput + j) * stride] =
          static_cast<float>(line[0] * half[i][0] + line[1] * half[i][1] + line[2] * half[i][2]);
    }
  }
}

}  // namespace

std::int64_t WinogradPacking::packed_bytes() const {
  return checked_mul(checked_mul(panels(), checked_mul(kPlanes * columns, channels)), std::int64_t{sizeof(float)});
}

void WinogradPacking::pack(const float* from, float* packed) const {
  const Filter rule = filter_transform();
  parallel_ranges(panels(), static_cast<double>(channels) * columns * 100, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t panel = begin; panel < end; ++panel) {
      float* to = packed + panel * panel_floats();
      if ((panel + 1) * columns > filters) std::fill_n(to, panel_floats(), 0.0f);
      for (std::int64_t f = panel * columns; f < std::min((panel + 1) * columns, filters); ++f) {
        for (std::int64_t c = 0; c < channels; ++c) {
          transform_filter(rule, from + (f * channels + c) * 9, to + c * columns + f % columns, channels * columns);
        }
      }
    }
  });
}

}  // namespace naru::cpu
