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

#include "backends/cpu/linear/round_avx2.inc"

#include "backends/cpu/linear/loops.inc"

// One row, whose time is that of reading the weights.

/// `kBits` bits of the codes of depth group `g`, half `v` of the rows, out of a plane.
template <int kBits>
inline __m256i plane_bits(const Byte* plane, int g, int v) {
  constexpr int kGroups = kBits == 8 ? 8 : kBits;  // whose lowest codes stand side by side in the plane
  const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(plane) + g % kGroups * 2 + v);
  if constexpr (kBits == 8) return bits;
  return _mm256_and_si256(_mm256_srli_epi16(bits, g / kGroups * kBits), _mm256_set1_epi8((1 << kBits) - 1));
}

template <std::size_t kFormat>
inline __m256i group_codes(const Byte* packed, int g, int v) {
  constexpr TileFormat f = kTileFormats[kFormat];
  __m256i codes = plane_bits<f.low_bits>(packed, g, v);
  if constexpr (f.high_bits > 0) {
    const __m256i high = plane_bits<f.high_bits>(packed + kTileCodes * f.low_bits / 8, g, v);
    codes = _mm256_or_si256(codes, _mm256_slli_epi16(high, f.low_bits));
  }
  return codes;
}

template <std::size_t kFormat>
void direct_unsigned(const std::byte* from, std::int64_t blocks, const Activations& x, float* sums) {
  constexpr TileFormat f = kTileFormats[kFormat];
  constexpr int per_unit = f.depth() / kTileDepth;
  constexpr int span = f.high_bits == 1 ? 4 : 8;
  const auto* packed = reinterpret_cast<const Byte*>(from);
  const __m256i ones = _mm256_set1_epi16(1);
  __m256 y[2] = {_mm256_load_ps(sums), _mm256_load_ps(sums + 8)};
  for (std::int64_t at = 0; at < blocks; packed += f.packed_bytes()) {
    const Byte* subs = packed + per_unit * f.code_bytes();
    const UnitScales scales = read_scales<kFormat>(subs + f.sub_bytes());
    for (int b = 0; b < per_unit; ++b, ++at) {
      const Byte* tile = packed + b * f.code_bytes();
      const std::byte* codes = x.codes + at * kTileDepth;
      prefetch<f.packed_bytes() / per_unit>(tile);
      alignas(32) float scale[kTileRows];
      alignas(32) float min[kTileRows];
      write_scales_u<kFormat>(scales, subs, b, f.zero, scale, min);
#pragma GCC unroll 2
      for (int v = 0; v < 2; ++v) {
        __m256i total = _mm256_setzero_si256();
#pragma GCC unroll 2
        for (int first = 0; first < kTileDepth / 4; first += span) {
          __m256i pairs = _mm256_setzero_si256();
#pragma GCC unroll 8
          for (int g = first; g < first + span; ++g) {
            std::int32_t four;
            std::memcpy(&four, codes + 4 * g, 4);
            pairs = _mm256_add_epi16(pairs, _mm256_maddubs_epi16(group_codes<kFormat>(tile, g, v), _mm256_set1_epi32(four)));
          }
          total = _mm256_add_epi32(total, _mm256_madd_epi16(pairs, ones));
        }
        y[v] = _mm256_fmadd_ps(_mm256_load_ps(min + 8 * v), _mm256_broadcast_ss(x.sums + at), y[v]);
        y[v] = _mm256_fmadd_ps(_mm256_mul_ps(_mm256_load_ps(scale + 8 * v), _mm256_broadcast_ss(x.scale + at)),
                               _mm256_cvtepi32_ps(total), y[v]);
      }
    }
  }
  _mm256_store_ps(sums, y[0]);
  _mm256_store_ps(sums + 8, y[1]);
}

/// The signed values of codes.
template <std::size_t kFormat>
inline __m256i signed_values(__m256i codes) {
  constexpr TileFormat f = kTileFormats[kFormat];
  if constexpr (f.has_codebook()) {
    const __m128i values = _mm_loadu_si128(reinterpret_cast<const __m128i*>(codebook(f)));
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(values), codes);
  }
  return f.zero == 0 ? codes : _mm256_sub_epi8(codes, _mm256_set1_epi8(f.zero));
}

/// The factors of rows 4 v to 4 v + 3 in 16 bits, each for four depths.
template <std::size_t kFormat>
inline __m256i sub_factors(const Byte* subs, int sub, int v) {
  std::int32_t four;
  std::memcpy(&four, subs + sub * kTileRows + 4 * v, 4);
  __m128i bytes = _mm_cvtsi32_si128(four);
  if constexpr (kTileFormats[kFormat].subs_in_nibbles) bytes = _mm_and_si128(bytes, _mm_set1_epi8(15));
  const __m256i repeat = _mm256_broadcastsi128_si256(_mm_set_epi8(9, 8, 9, 8, 9, 8, 9, 8, 1, 0, 1, 0, 1, 0, 1, 0));
  return _mm256_shuffle_epi8(_mm256_cvtepi8_epi64(bytes), repeat);
}

template <std::size_t kFormat>
inline void direct_products(const Byte* tile, const Byte* subs, int b, const std::byte* x, __m256i (&products)[4]) {
  constexpr bool has_factors = kTileFormats[kFormat].sub_elements == 16;
#pragma GCC unroll 2
  for (int half = 0; half < 2; ++half) {
    __m256i factors[4];
#pragma GCC unroll 4
    for (int v = 0; has_factors && v < 4; ++v) factors[v] = sub_factors<kFormat>(subs, 2 * b + half, v);
#pragma GCC unroll 4
    for (int g = 4 * half; g < 4 * half + 4; ++g) {
      std::int64_t four;
      std::memcpy(&four, x + 8 * g, 8);
      const __m256i values = _mm256_set1_epi64x(four);
#pragma GCC unroll 4
      for (int v = 0; v < 4; ++v) {
        const __m256i codes = signed_values<kFormat>(group_codes<kFormat>(tile, g, v / 2));
        __m256i weights = _mm256_cvtepi8_epi16(v % 2 == 0 ? _mm256_castsi256_si128(codes) : _mm256_extracti128_si256(codes, 1));
        if constexpr (has_factors) weights = _mm256_mullo_epi16(weights, factors[v]);
        products[v] = _mm256_add_epi32(products[v], _mm256_madd_epi16(weights, values));
      }
    }
  }
}

template <std::size_t kFormat>
void direct_i16(const std::byte* from, std::int64_t blocks, const Activations& x, float* sums) {
  constexpr TileFormat f = kTileFormats[kFormat];
  constexpr int per_unit = f.depth() / kTileDepth;
  constexpr bool has_min = tile_kind(f, kWide) == TileKind::I16Min;
  const auto* packed = reinterpret_cast<const Byte*>(from);
  for (std::int64_t at = 0; at < blocks; packed += f.packed_bytes()) {
    const Byte* subs = packed + per_unit * f.code_bytes();
    const UnitScales scales = read_scales<kFormat>(subs + f.sub_bytes());
    for (int b = 0; b < per_unit; ++b, ++at) {
      const Byte* tile = packed + b * f.code_bytes();
      prefetch<f.packed_bytes() / per_unit>(tile);
      __m256i products[4] = {};
      direct_products<kFormat>(tile, subs, b, x.codes + 2 * at * kTileDepth, products);
      alignas(32) float scale[2 * kTileRows];
      alignas(32) float min[4 * kTileRows];
      write_scales_i16<kFormat>(scales, subs, b, scale, min);
      const __m256 own = _mm256_broadcast_ss(x.scale + at);
#pragma GCC unroll 4
      for (int v = 0; v < 4; ++v) {
        __m256 y = _mm256_load_ps(sums + 8 * v);
        y = _mm256_fmadd_ps(_mm256_mul_ps(_mm256_load_ps(scale + 8 * v), own), _mm256_cvtepi32_ps(products[v]), y);
        if constexpr (has_min) {
          const float* totals = x.sums + 2 * at;
          y = _mm256_fmadd_ps(_mm256_load_ps(min + 8 * v), _mm256_broadcast_ss(totals), y);
          y = _mm256_fmadd_ps(_mm256_load_ps(min + 2 * kTileRows + 8 * v), _mm256_broadcast_ss(totals + 1), y);
        }
        _mm256_store_ps(sums + 8 * v, y);
      }
    }
  }
}

template <std::size_t kFormat>
constexpr DirectLoop direct_loop() {
  constexpr TileFormat f = kTileFormats[kFormat];
  constexpr TileKind kind = tile_kind(f, kWide);
  if constexpr (kind == TileKind::U4 || kind == TileKind::U5) return direct_unsigned<kFormat>;
  if constexpr (is_i16(kind)) return direct_i16<kFormat>;
  return nullptr;
}

template <std::size_t... kFormats>
constexpr TileLoops with_direct(TileLoops loops, std::index_sequence<kFormats...>) {
  loops.direct = {direct_loop<kFormats>()...};
  return loops;
}

using Formats = std::make_index_sequence<kTileFormatCount>;

}  // namespace

constinit const TileLoops kLoops = with_direct(make_loops("avx2", has_avx2, Formats{}), Formats{});
NARU_CPU_AVX2_END

}  // namespace avx2_tiles
}  // namespace naru::cpu
#endif
