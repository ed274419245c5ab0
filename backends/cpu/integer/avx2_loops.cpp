// Products of bytes for AVX2, which multiplies 16-bit integers exactly.
#include "backends/cpu/isa.h"

#if NARU_CPU_AVX2
#include <immintrin.h>

#include <array>
#include <cstring>
#include <utility>

#include "backends/cpu/integer/instances.h"

namespace naru::cpu::avx2_bytes {
NARU_CPU_TARGET_BEGIN("avx2,fma")
namespace {

constexpr int kStep = 2, kMaxRows = 6;

#include "backends/cpu/lanes_avx2.inc"

inline Ints dot(Ints sum, Ints x, Ints w) {
  return {_mm256_add_epi32(sum.low, _mm256_madd_epi16(x.low, w.low)), _mm256_add_epi32(sum.high, _mm256_madd_epi16(x.high, w.high))};
}

#include "backends/cpu/integer/loops.inc"

}  // namespace

constinit const ByteLoops kLoops = {"avx2", has_avx2, kStep, kMaxRows, dot_some};
NARU_CPU_AVX2_END

}  // namespace naru::cpu::avx2_bytes
#endif
