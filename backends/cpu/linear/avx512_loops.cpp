// Loops over tiles for AVX-512 with VNNI.
#include "backends/cpu/isa.h"

#if NARU_CPU_AVX2
// gcc's own headers start some results from a register as it is, and warn of it.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

#include <immintrin.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <utility>

#include "backends/cpu/linear/formats.h"
#include "backends/cpu/linear/instances.h"

namespace naru::cpu {
namespace avx512_tiles {
NARU_CPU_TARGET_BEGIN("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")
namespace {

constexpr bool kWide = true;

#include "backends/cpu/lanes_avx512.inc"

using Floats = __m512;

inline Floats zero_floats() { return _mm512_setzero_ps(); }
inline Ints repeat8(const void* from) {
  std::int64_t eight;
  std::memcpy(&eight, from, sizeof(eight));
  return _mm512_set1_epi64(eight);
}
inline Ints dot_u8s8(Ints sum, Ints a, Ints b) { return _mm512_dpbusd_epi32(sum, a, b); }
inline Ints dot_s16s16(Ints sum, Ints a, Ints b) { return _mm512_dpwssd_epi32(sum, a, b); }
inline Floats load_floats16(const float* from) { return _mm512_loadu_ps(from); }
inline Floats repeat(float value) { return _mm512_set1_ps(value); }
inline Floats to_floats(Ints value) { return _mm512_cvtepi32_ps(value); }
inline Floats fma(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
inline Floats mul(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
inline void store(float* to, Floats value) { _mm512_storeu_ps(to, value); }

void lookup(std::uint8_t* codes, const std::int8_t* table, int offset) {
  const __m128i values = _mm_add_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table)),
                                      _mm_set1_epi8(static_cast<char>(offset)));
  const __m512i all = _mm512_broadcast_i32x4(values);
  for (int i = 0; i < kTileCodes; i += 64) {
    _mm512_storeu_si512(codes + i, _mm512_shuffle_epi8(all, _mm512_loadu_si512(codes + i)));
  }
}

void f16_row(const std::uint8_t* bits, float* out) {
  _mm512_storeu_ps(out, _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(bits))));
}

#include "backends/cpu/linear/vnni_dots.inc"

#include "backends/cpu/linear/round_avx2.inc"

#include "backends/cpu/linear/loops.inc"

}  // namespace

constinit const TileLoops kLoops = make_loops("avx512-vnni", has_avx512_vnni, std::make_index_sequence<kTileFormatCount>{});
NARU_CPU_AVX2_END

}  // namespace avx512_tiles
}  // namespace naru::cpu
#endif
