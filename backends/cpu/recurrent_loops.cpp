// Inner loops of recurrent layers for each instruction set.
#include "backends/cpu/recurrent_loops.h"

#include <bit>
#include <cmath>
#include <limits>

#include "backends/cpu/isa.h"

namespace naru::cpu {
namespace {

namespace base {
#include "backends/cpu/math_functions.inc"
#include "backends/cpu/recurrent_loops.inc"
}  // namespace base

#if NARU_CPU_AVX2
NARU_CPU_AVX2_BEGIN
namespace avx2 {
#include "backends/cpu/math_functions.inc"
#include "backends/cpu/recurrent_loops.inc"
}  // namespace avx2
NARU_CPU_AVX2_END
#endif

}  // namespace

void add_row_product(float* y, const float* x, const float* matrix, std::int64_t rows, std::int64_t columns) {
#if NARU_CPU_AVX2
  if (has_avx2()) return avx2::add_row_product(y, x, matrix, rows, columns);
#endif
  base::add_row_product(y, x, matrix, rows, columns);
}

void lstm_cell(const float* gates, std::int64_t hidden, float* c, float* h) {
#if NARU_CPU_AVX2
  if (has_avx2()) return avx2::lstm_cell(gates, hidden, c, h);
#endif
  base::lstm_cell(gates, hidden, c, h);
}

}  // namespace naru::cpu
