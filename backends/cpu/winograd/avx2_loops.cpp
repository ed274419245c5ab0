// Winograd loops for AVX2.
#include "backends/cpu/isa.h"

#if NARU_CPU_AVX2
#include <immintrin.h>

#include <array>
#include <utility>

#include "backends/cpu/winograd/instances.h"

namespace naru::cpu::avx2_winograd {
NARU_CPU_AVX2_BEGIN
namespace {

constexpr int kLanes = 8;
using Floats = __m256;
inline Floats load(const float* from) { return _mm256_loadu_ps(from); }
inline Floats repeat(float value) { return _mm256_set1_ps(value); }
inline Floats fma(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
inline void store(float* to, Floats value) { _mm256_storeu_ps(to, value); }

#include "backends/cpu/winograd/loops.inc"

}  // namespace

constinit const WinogradLoops kLoops = {"avx2",          has_avx2, kLanes,          kMaxRows,
                                        transform_input, multiply, transform_output};
NARU_CPU_AVX2_END

}  // namespace naru::cpu::avx2_winograd
#endif
