// Winograd loops for AVX-512.
#include "backends/cpu/isa.h"

#if NARU_CPU_AVX2
// gcc's own headers start some results from a register as it is, and warn of it.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

#include <immintrin.h>

#include <array>
#include <utility>

#include "backends/cpu/winograd/instances.h"

namespace naru::cpu::avx512_winograd {
NARU_CPU_TARGET_BEGIN("avx512f")
namespace {

constexpr int kLanes = 16;
using Floats = __m512;
inline Floats load(const float* from) { return _mm512_loadu_ps(from); }
inline Floats repeat(float value) { return _mm512_set1_ps(value); }
inline Floats fma(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
inline void store(float* to, Floats value) { _mm512_storeu_ps(to, value); }

#include "backends/cpu/winograd/loops.inc"

}  // namespace

constinit const WinogradLoops kLoops = {"avx512",        has_avx512_vnni, kLanes,          kMaxRows,
                                        transform_input, multiply,        transform_output};
NARU_CPU_AVX2_END

}  // namespace naru::cpu::avx512_winograd
#endif
