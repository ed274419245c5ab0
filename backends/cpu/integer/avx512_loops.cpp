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

#include "backends/cpu/lanes_avx512.inc"

inline Ints dot(Ints sum, Ints x, Ints w) { return _mm512_dpbusd_epi32(sum, x, w); }

#include "backends/cpu/integer/loops.inc"

}  // namespace

constinit const ByteLoops kLoops = {"avx512", has_avx512_vnni, kStep, kMaxRows, dot_some};
NARU_CPU_AVX2_END

}  // namespace naru::cpu::avx512_bytes
#endif
