// Reduction loops for each instruction set, and the choice between them.
#include "backends/cpu/reduce_loops.h"

#include <bit>
#include <cmath>
#include <limits>

#include "backends/cpu/isa.h"

namespace naru::cpu {
namespace {

namespace base {
#include "backends/cpu/math_functions.inc"
#include "backends/cpu/reduce_loops.inc"
}  // namespace base

#if NARU_CPU_AVX2
NARU_CPU_AVX2_BEGIN
namespace avx2 {
#include "backends/cpu/math_functions.inc"
#include "backends/cpu/reduce_loops.inc"
}  // namespace avx2
NARU_CPU_AVX2_END
#endif

}  // namespace

ReduceLoop reduce_loop(Reduce kind) {
#if NARU_CPU_AVX2
  if (has_avx2()) return avx2::kReduceLoops[static_cast<std::size_t>(kind)];
#endif
  return base::kReduceLoops[static_cast<std::size_t>(kind)];
}

StridedReduceLoop strided_reduce(Reduce kind) {
#if NARU_CPU_AVX2
  if (has_avx2()) return avx2::kStridedLoops[static_cast<std::size_t>(kind)];
#endif
  return base::kStridedLoops[static_cast<std::size_t>(kind)];
}

const RowLoops& row_loops() {
#if NARU_CPU_AVX2
  if (has_avx2()) return avx2::kRowLoops;
#endif
  return base::kRowLoops;
}

}  // namespace naru::cpu
