// Products of bytes for AVX2 with VNNI (AVX-VNNI).
#include "backends/cpu/isa.h"

#if NARU_CPU_AVX2
#include <cpuid.h>
#include <immintrin.h>

#include <array>
#include <cstring>
#include <utility>

#include "backends/cpu/integer/instances.h"

namespace naru::cpu::avxvnni_bytes {
NARU_CPU_TARGET_BEGIN("avx2,fma,avxvnni")
namespace {

constexpr int kStep = 4, kMaxRows = 6;

struct Ints {
  __m256i low, high;
};
inline Ints zero_ints() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
inline Ints load(const void* from) {
  const auto* at = static_cast<const __m256i*>(from);
  return {_mm256_loadu_si256(at), _mm256_loadu_si256(at + 1)};
}
inline Ints repeat4(const void* from) {
  std::int32_t four;
  std::memcpy(&four, from, sizeof(four));
  return {_mm256_set1_epi32(four), _mm256_set1_epi32(four)};
}
inline void store(std::int32_t* to, Ints value) {
  auto* at = reinterpret_cast<__m256i*>(to);
  _mm256_storeu_si256(at, value.low);
  _mm256_storeu_si256(at + 1, value.high);
}
inline Ints dot(Ints sum, Ints x, Ints w) {
  return {_mm256_dpbusd_avx_epi32(sum.low, x.low, w.low), _mm256_dpbusd_avx_epi32(sum.high, x.high, w.high)};
}

#include "backends/cpu/integer/loops.inc"

bool present() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a & (1u << 4)) != 0 && has_avx2();
}

}  // namespace

constinit const ByteLoops kLoops = {"avxvnni", present, kStep, kMaxRows, dot_some};
NARU_CPU_AVX2_END

}  // namespace naru::cpu::avxvnni_bytes
#endif
