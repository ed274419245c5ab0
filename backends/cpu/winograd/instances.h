// The instances of the Winograd loops, one per instruction set and file.
#pragma once

#include "backends/cpu/isa.h"
#include "backends/cpu/winograd/loops.h"

namespace naru::cpu {

#if NARU_CPU_AVX2
namespace avx2_winograd {
extern const WinogradLoops kLoops;
}
namespace avx512_winograd {
extern const WinogradLoops kLoops;
}
#endif

}  // namespace naru::cpu
