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
  return {_mm256_add_epi32(sum.low, _mm256_madd_epi16(x.low, w.low)), _mm256_add_epi32(sum.high, _mm256_madd_epi16(x.high, w.high))};
}

#include "backends/cpu/integer/loops.inc"

bool present() { return has_avx2(); }

}  // namespace

constinit const ByteLoops kLoops = {"avx2", present, kStep, kMaxRows, dot_some};
NARU_CPU_AVX2_END

}  // namespace naru::cpu::avx2_bytes
#endif
