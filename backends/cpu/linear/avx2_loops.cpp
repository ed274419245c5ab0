// Loops over tiles for AVX2.
#include <immintrin.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <utility>

#include "backends/cpu/isa.h"
#include "backends/cpu/linear/formats.h"
#include "backends/cpu/linear/instances.h"

#if NARU_CPU_AVX2
namespace naru::cpu {
namespace avx2_tiles {
NARU_CPU_AVX2_BEGIN
namespace {

constexpr bool kWide = false;  // maddubs saturates sums of two products in 16 bits

/// Products of u8 and s8 summed over the groups of a tile, for codes up to 255 / kSpan or so: 16-bit
/// sums of pairs hold kSpan groups without overflow.
template <int kRows, int kSpan>
inline void tile_products(const __m256i* codes, const std::int8_t* x, __m256i (&sums)[kRows][2]) {
  const __m256i ones = _mm256_set1_epi16(1);
  for (int first = 0; first < kTileDepth / 4; first += kSpan) {
    __m256i pairs[kRows][2] = {};
#pragma GCC unroll 2  // unrolled in full, gcc computes all products before it adds any, and spills
    for (int g = first; g < first + kSpan; ++g) {
      const __m256i low = _mm256_load_si256(codes + 2 * g);
      const __m256i high = _mm256_load_si256(codes + 2 * g + 1);
#pragma GCC unroll 8
      for (int t = 0; t < kRows; ++t) {
        std::int32_t four;
        std::memcpy(&four, x + t * kPanelDepth + 4 * g, 4);
        const __m256i values = _mm256_set1_epi32(four);
        pairs[t][0] = _mm256_add_epi16(pairs[t][0], _mm256_maddubs_epi16(low, values));
        pairs[t][1] = _mm256_add_epi16(pairs[t][1], _mm256_maddubs_epi16(high, values));
      }
    }
#pragma GCC unroll 8
    for (int t = 0; t < kRows; ++t) {
#pragma GCC unroll 2
      for (int v = 0; v < 2; ++v) {
        const __m256i span = _mm256_madd_epi16(pairs[t][v], ones);
        sums[t][v] = _mm256_add_epi32(sums[t][v], span);
      }
    }
  }
}

template <int kRows, int kSpan>
void dot_unsigned(const Panel& panel, std::int64_t blocks, const Activations& rows, std::int64_t row,
                  float* sums) {
  const auto* x = reinterpret_cast<const std::int8_t*>(rows.codes) + row * kPanelDepth;
  const float* scale = rows.scale + row * kPanelBlocks;
  const float* sum = rows.sums + row * kPanelBlocks;
  for (std::int64_t b = 0; b < blocks; ++b) {
    __m256i products[kRows][2] = {};
    tile_products<kRows, kSpan>(reinterpret_cast<const __m256i*>(panel.codes) + b * (kTileCodes / 32),
                                x + b * kTileDepth, products);
    const float* weight_scale = panel.scale + b * kTileRows;
    const float* weight_min = panel.min + b * kTileRows;
#pragma GCC unroll 8
    for (int t = 0; t < kRows; ++t) {
      const __m256 own = _mm256_broadcast_ss(scale + t * kPanelBlocks + b);
      const __m256 total = _mm256_broadcast_ss(sum + t * kPanelBlocks + b);
#pragma GCC unroll 2
      for (int v = 0; v < 2; ++v) {
        float* to = sums + t * kTileRows + 8 * v;
        __m256 y = _mm256_load_ps(to);
        y = _mm256_fmadd_ps(_mm256_load_ps(weight_min + 8 * v), total, y);
        y = _mm256_fmadd_ps(_mm256_mul_ps(_mm256_load_ps(weight_scale + 8 * v), own),
                            _mm256_cvtepi32_ps(products[t][v]), y);
        _mm256_store_ps(to, y);
      }
    }
  }
}

template <int kRows, bool kMin>
void dot_i16(const Panel& panel, std::int64_t blocks, const Activations& rows, std::int64_t row,
             float* sums) {
  constexpr int kVectors = 4;  // of 4 rows with 2 lanes each
  const std::byte* x = rows.codes + row * kPanelDepth * 2;
  const float* scale = rows.scale + row * kPanelBlocks;
  const float* sum = rows.sums + row * 2 * kPanelBlocks;
  for (std::int64_t b = 0; b < blocks; ++b, x += kTileDepth * 2) {
    const auto* codes = reinterpret_cast<const __m256i*>(panel.codes) + b * (kTileCodes / 16);
    __m256i products[kRows][kVectors] = {};
#pragma GCC unroll 2
    for (int g = 0; g < kTileDepth / 4; ++g) {
      __m256i values[kRows];
#pragma GCC unroll 8
      for (int t = 0; t < kRows; ++t) {
        std::int64_t four;
        std::memcpy(&four, x + t * kPanelDepth * 2 + 8 * g, 8);
        values[t] = _mm256_set1_epi64x(four);
      }
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        const __m256i weights = _mm256_load_si256(codes + g * kVectors + v);
#pragma GCC unroll 8
        for (int t = 0; t < kRows; ++t) {
          products[t][v] = _mm256_add_epi32(products[t][v], _mm256_madd_epi16(weights, values[t]));
        }
      }
    }
    const float* weight_scale = panel.scale + b * 2 * kTileRows;
    const float* weight_min = panel.min + b * 4 * kTileRows;
#pragma GCC unroll 8
    for (int t = 0; t < kRows; ++t) {
      const __m256 own = _mm256_broadcast_ss(scale + t * kPanelBlocks + b);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        float* to = sums + t * 2 * kTileRows + 8 * v;
        __m256 y = _mm256_load_ps(to);
        y = _mm256_fmadd_ps(_mm256_mul_ps(_mm256_load_ps(weight_scale + 8 * v), own),
                            _mm256_cvtepi32_ps(products[t][v]), y);
        if constexpr (kMin) {
          const float* total = sum + 2 * (t * kPanelBlocks + b);
          y = _mm256_fmadd_ps(_mm256_load_ps(weight_min + 8 * v), _mm256_broadcast_ss(total), y);
          y = _mm256_fmadd_ps(_mm256_load_ps(weight_min + 2 * kTileRows + 8 * v), _mm256_broadcast_ss(total + 1), y);
        }
        _mm256_store_ps(to, y);
      }
    }
  }
}

/// kWays sums per element keep the multiply-add units busy when there are few rows.
template <int kRows, int kWays>
void dot_f32(const Panel& panel, std::int64_t blocks, const Activations& rows, std::int64_t row,
             float* sums) {
  const auto* values = reinterpret_cast<const float*>(panel.codes);
  const auto* x = reinterpret_cast<const float*>(rows.codes) + row * kPanelDepth;
  __m256 parts[kWays][kRows][2];
#pragma GCC unroll 8
  for (int w = 0; w < kWays; ++w) {
#pragma GCC unroll 8
    for (int t = 0; t < kRows; ++t) parts[w][t][0] = parts[w][t][1] = _mm256_setzero_ps();
  }
  for (std::int64_t k = 0; k < blocks * kTileDepth; k += kWays) {
#pragma GCC unroll 8
    for (int w = 0; w < kWays; ++w) {
      const __m256 low = _mm256_load_ps(values + (k + w) * kTileRows);
      const __m256 high = _mm256_load_ps(values + (k + w) * kTileRows + 8);
#pragma GCC unroll 8
      for (int t = 0; t < kRows; ++t) {
        const __m256 own = _mm256_broadcast_ss(x + t * kPanelDepth + k + w);
        parts[w][t][0] = _mm256_fmadd_ps(low, own, parts[w][t][0]);
        parts[w][t][1] = _mm256_fmadd_ps(high, own, parts[w][t][1]);
      }
    }
  }
#pragma GCC unroll 8
  for (int t = 0; t < kRows; ++t) {
#pragma GCC unroll 2
    for (int v = 0; v < 2; ++v) {
      float* to = sums + t * kTileRows + 8 * v;
      __m256 y = _mm256_load_ps(to);
#pragma GCC unroll 8
      for (int w = 0; w < kWays; ++w) y = _mm256_add_ps(y, parts[w][t][v]);
      _mm256_store_ps(to, y);
    }
  }
}

void lookup(std::uint8_t* codes, const std::int8_t* table, int offset) {
  const __m256i values = _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table)));
  const __m256i moved = _mm256_add_epi8(values, _mm256_set1_epi8(static_cast<char>(offset)));
  for (int i = 0; i < kTileCodes; i += 32) {
    auto* at = reinterpret_cast<__m256i*>(codes + i);
    _mm256_store_si256(at, _mm256_shuffle_epi8(moved, _mm256_load_si256(at)));
  }
}

void f16_row(const std::uint8_t* bits, float* out) {
  const auto* from = reinterpret_cast<const __m128i*>(bits);
  _mm256_store_ps(out, _mm256_cvtph_ps(_mm_loadu_si128(from)));
  _mm256_store_ps(out + 8, _mm256_cvtph_ps(_mm_loadu_si128(from + 1)));
}

constexpr std::array<DotLoop, kMaxDotRows> kDotU4 = {dot_unsigned<1, 8>, dot_unsigned<2, 8>, dot_unsigned<3, 8>,
                                                     dot_unsigned<4, 8>};
constexpr std::array<DotLoop, kMaxDotRows> kDotU5 = {dot_unsigned<1, 4>, dot_unsigned<2, 4>, dot_unsigned<3, 4>};
constexpr std::array<DotLoop, kMaxDotRows> kDotU8 = {};
constexpr std::array<DotLoop, kMaxDotRows> kDotI16 = {dot_i16<1, false>, dot_i16<2, false>};
constexpr std::array<DotLoop, kMaxDotRows> kDotI16Min = {dot_i16<1, true>, dot_i16<2, true>};
constexpr std::array<DotLoop, kMaxDotRows> kDotF32 = {dot_f32<1, 4>, dot_f32<2, 2>, dot_f32<3, 1>, dot_f32<4, 1>};

#include "backends/cpu/linear/loops.inc"

}  // namespace

const TileLoops kLoops = make_loops("avx2", has_avx2, std::make_index_sequence<kTileFormatCount>{});
NARU_CPU_AVX2_END

}  // namespace avx2_tiles
}  // namespace naru::cpu
#endif
