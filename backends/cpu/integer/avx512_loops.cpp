// Products of bytes for AVX-512 VNNI.
#include "backends/cpu/isa.h"

#if NARU_CPU_AVX2
#include <immintrin.h>

#include <array>
#include <cstring>
#include <utility>

#include "backends/cpu/integer/instances.h"

namespace naru::cpu::avx512_bytes {
NARU_CPU_TARGET_BEGIN("avx512f,avx512bw,avx512vnni")
namespace {

constexpr int kStep = 4, kMaxRows = 12;

struct Ints {
  __m512i all;
};
inline Ints zero_ints() { return {_mm512_setzero_si512()}; }
inline Ints load(const void* from) { return {_mm512_loadu_si512(from)}; }
inline Ints repeat4(const void* from) {
  std::int32_t four;
  std::memcpy(&four, from, sizeof(four));
  return {_mm512_set1_epi32(four)};
}
inline void store(std::int32_t* to, Ints value) { _mm512_storeu_si512(to, value.all); }
inline Ints dot(Ints sum, Ints x, Ints w) { return {_mm512_dpbusd_epi32(sum.all, x.all, w.all)}; }

#include "backends/cpu/integer/loops.inc"

bool present() {
  return __builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512vnni") != 0;
}

}  // namespace

constinit const ByteLoops kLoops = {"avx512", present, kStep, kMaxRows, dot_some};
NARU_CPU_AVX2_END

}  // namespace naru::cpu::avx512_bytes
#endif
