// Conversions between stored 16-bit floats and f32: F16C where the machine has it.
#include "backends/cpu/convert_loops.h"

#include <algorithm>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "backends/cpu/isa.h"
#include "graph/scalar.h"

namespace naru::cpu {
namespace {

#if NARU_CPU_AVX2
NARU_CPU_AVX2_BEGIN
/// Both return how many elements they did; the caller does the rest.
std::int64_t f16_to_f32_avx2(const std::uint16_t* from, std::int64_t count, float* to) {
  std::int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    _mm256_storeu_ps(to + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i))));
  }
  return i;
}

std::int64_t f32_to_f16_avx2(const float* from, std::int64_t count, std::uint16_t* to) {
  std::int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i),
                     _mm256_cvtps_ph(_mm256_loadu_ps(from + i), _MM_FROUND_TO_NEAREST_INT));
  }
  return i;
}
NARU_CPU_AVX2_END
#endif

}  // namespace

float load_float(DType dtype, const std::byte* data, std::int64_t index) {
  if (dtype == DType::F32) return reinterpret_cast<const float*>(data)[index];
  const std::uint16_t bits = reinterpret_cast<const std::uint16_t*>(data)[index];
  return dtype == DType::F16 ? f16_to_f32(bits) : bf16_to_f32(bits);
}

void load_floats(DType dtype, const std::byte* data, std::int64_t first, std::int64_t count, float* to) {
  if (dtype == DType::F32) {
    std::copy_n(reinterpret_cast<const float*>(data) + first, count, to);
    return;
  }
  const auto* from = reinterpret_cast<const std::uint16_t*>(data) + first;
  std::int64_t i = 0;
  if (dtype == DType::BF16) {
    for (; i < count; ++i) {
      const std::uint32_t bits = static_cast<std::uint32_t>(from[i]) << 16;
      std::memcpy(to + i, &bits, sizeof(bits));
    }
    return;
  }
#if NARU_CPU_AVX2
  if (has_avx2()) i = f16_to_f32_avx2(from, count, to);
#endif
  for (; i < count; ++i) to[i] = f16_to_f32(from[i]);
}

void store_floats(DType dtype, std::byte* data, std::int64_t first, std::int64_t count, const float* from) {
  if (dtype == DType::F32) {
    std::copy_n(from, count, reinterpret_cast<float*>(data) + first);
    return;
  }
  auto* to = reinterpret_cast<std::uint16_t*>(data) + first;
  std::int64_t i = 0;
  if (dtype == DType::BF16) {
    for (; i < count; ++i) to[i] = f32_to_bf16(from[i]);
    return;
  }
#if NARU_CPU_AVX2
  if (has_avx2()) i = f32_to_f16_avx2(from, count, to);
#endif
  for (; i < count; ++i) to[i] = f32_to_f16(from[i]);
}

}  // namespace naru::cpu
