// The loops of element-wise steps for each instruction set, and the choice between them.
#include <bit>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <limits>

#include "backends/cpu/elementwise.h"
#include "backends/cpu/isa.h"

namespace naru::cpu {
namespace {

namespace base {
#include "backends/cpu/elementwise_loops.inc"
}

#if NARU_CPU_AVX2
NARU_CPU_AVX2_BEGIN
namespace avx2 {
#include "backends/cpu/elementwise_loops.inc"
}
NARU_CPU_AVX2_END
#endif

}  // namespace

EwLoop ew_loop(Ew op) {
#if NARU_CPU_AVX2
  if (has_avx2()) return avx2::kLoops[static_cast<std::size_t>(op)];
#endif
  return base::kLoops[static_cast<std::size_t>(op)];
}

}  // namespace naru::cpu
