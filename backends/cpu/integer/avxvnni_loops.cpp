// Products of bytes for AVX2 with VNNI (AVX-VNNI).
#include "backends/cpu/isa.h"

#if NARU_CPU_AVX2
#include <immintrin.h>

#include <array>
#include <cstring>
#include <utility>

#include "backends/cpu/integer/instances.h"

namespace naru::cpu::avxvnni_bytes {
NARU_CPU_TARGET_BEGIN("avx2,fma,avxvnni")
namespace {

constexpr int kStep = 4, kMaxRows = 6;

#include "backends/cpu/lanes_avx2.inc"

inline Ints dot(Ints sum, Ints x, Ints w) {
  return {_mm256_dpbusd_avx_epi32(sum.low, x.low, w.low), _mm256_dpbusd_avx_epi32(sum.high, x.high, w.high)};
}

#include "backends/cpu/integer/loops.inc"

}  // namespace

constinit const ByteLoops kLoops = {"avxvnni", has_avx_vnni, kStep, kMaxRows, dot_some};
NARU_CPU_AVX2_END

}  // namespace naru::cpu::avxvnni_bytes
#endif
