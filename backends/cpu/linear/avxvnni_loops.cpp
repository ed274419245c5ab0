// Loops over tiles for AVX2 with VNNI (AVX-VNNI): 16 lanes in two vectors.
#include "backends/cpu/isa.h"

#if NARU_CPU_AVX2
#include <immintrin.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <utility>

#include "backends/cpu/linear/formats.h"
#include "backends/cpu/linear/instances.h"

namespace naru::cpu {
namespace avxvnni_tiles {
NARU_CPU_TARGET_BEGIN("avx2,fma,f16c,avxvnni")
namespace {

constexpr bool kWide = true;

#include "backends/cpu/lanes_avx2.inc"

struct Floats {
  __m256 low, high;
};

inline Floats zero_floats() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
inline Ints repeat8(const void* from) {
  std::int64_t eight;
  std::memcpy(&eight, from, sizeof(eight));
  return {_mm256_set1_epi64x(eight), _mm256_set1_epi64x(eight)};
}
inline Ints dot_u8s8(Ints sum, Ints a, Ints b) {
  return {_mm256_dpbusd_avx_epi32(sum.low, a.low, b.low), _mm256_dpbusd_avx_epi32(sum.high, a.high, b.high)};
}
inline Ints dot_s16s16(Ints sum, Ints a, Ints b) {
  return {_mm256_dpwssd_avx_epi32(sum.low, a.low, b.low), _mm256_dpwssd_avx_epi32(sum.high, a.high, b.high)};
}
inline Floats load_floats16(const float* from) { return {_mm256_loadu_ps(from), _mm256_loadu_ps(from + 8)}; }
inline Floats repeat(float value) { return {_mm256_set1_ps(value), _mm256_set1_ps(value)}; }
inline Floats to_floats(Ints value) { return {_mm256_cvtepi32_ps(value.low), _mm256_cvtepi32_ps(value.high)}; }
inline Floats fma(Floats a, Floats b, Floats c) {
  return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}
inline Floats mul(Floats a, Floats b) { return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)}; }
inline void store(float* to, Floats value) {
  _mm256_storeu_ps(to, value.low);
  _mm256_storeu_ps(to + 8, value.high);
}

void lookup(std::uint8_t* codes, const std::int8_t* table, int offset) {
  const __m256i values = _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table)));
  const __m256i moved = _mm256_add_epi8(values, _mm256_set1_epi8(static_cast<char>(offset)));
  for (int i = 0; i < kTileCodes; i += 32) {
    auto* at = reinterpret_cast<__m256i*>(codes + i);
    _mm256_storeu_si256(at, _mm256_shuffle_epi8(moved, _mm256_loadu_si256(at)));
  }
}

void f16_row(const std::uint8_t* bits, float* out) {
  const auto* from = reinterpret_cast<const __m128i*>(bits);
  store(out, {_mm256_cvtph_ps(_mm_loadu_si128(from)), _mm256_cvtph_ps(_mm_loadu_si128(from + 1))});
}

#include "backends/cpu/linear/vnni_dots.inc"

#include "backends/cpu/linear/round_avx2.inc"

#include "backends/cpu/linear/loops.inc"

}  // namespace

constinit const TileLoops kLoops = make_loops("avx-vnni", has_avx_vnni, std::make_index_sequence<kTileFormatCount>{});
NARU_CPU_AVX2_END

}  // namespace avxvnni_tiles
}  // namespace naru::cpu
#endif
