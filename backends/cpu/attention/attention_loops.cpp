// Attention loops for each instruction set, and the choice between them.
#include "backends/cpu/attention/attention_loops.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "backends/cpu/convert_loops.h"
#include "backends/cpu/isa.h"

#if NARU_CPU_AVX2
#include <immintrin.h>
#endif

namespace naru::cpu {
namespace {

namespace base {
#include "backends/cpu/math_functions.inc"
#include "backends/cpu/attention/attention_loops.inc"

void transpose(DType dtype, const std::byte* const* rows, std::int64_t size, float* out) {
  for (int r = 0; r < kTileRows; ++r) {
    for (std::int64_t d = 0; d < size; ++d) {
      out[d * kTileRows + r] = rows[r] == nullptr ? 0.0f : load_float(dtype, rows[r], d);
    }
  }
}

void spread(DType dtype, const std::byte* row, std::int64_t size, float* out, std::int64_t stride) {
  for (std::int64_t d = 0; d < size; d += kTileRows, out += stride) {
    for (int i = 0; i < kTileRows; ++i) out[i] = d + i < size ? load_float(dtype, row, d + i) : 0.0f;
  }
}

void score(DType dtype, const std::byte* key, std::int64_t size, const float* q, std::int64_t queries, float* out,
           std::int64_t stride) {
  for (std::int64_t r = 0; r < queries; ++r) {
    float sum = 0;
    for (std::int64_t d = 0; d < size; ++d) sum += q[r * kPanelDepth + d] * load_float(dtype, key, d);
    out[r * stride] = sum;
  }
}

void add(DType dtype, const std::byte* row, std::int64_t size, const float* p, std::int64_t queries, float* y,
         std::int64_t stride) {
  for (std::int64_t r = 0; r < queries; ++r) {
    for (std::int64_t d = 0; d < size; ++d) {
      y[d / kTileRows * stride + r * kTileRows + d % kTileRows] += p[r * kPanelDepth] * load_float(dtype, row, d);
    }
  }
}

constexpr AttentionLoops kLoops = {transpose, spread, score, add, softmax};
}  // namespace base

#if NARU_CPU_AVX2
NARU_CPU_AVX2_BEGIN
namespace avx2 {
#include "backends/cpu/math_functions.inc"
#include "backends/cpu/attention/attention_loops.inc"

template <DType kType>
inline __m256 load8(const std::byte* row, std::int64_t index) {
  if constexpr (kType == DType::F32) {
    return _mm256_loadu_ps(reinterpret_cast<const float*>(row) + index);
  } else {
    const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(row + 2 * index));
    if constexpr (kType == DType::F16) return _mm256_cvtph_ps(bits);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
  }
}

/// Eight rows of eight become eight columns, kTileRows floats apart.
inline void store_transposed(const __m256 (&rows)[8], float* out) {
  __m256 pairs[8];
  for (int i = 0; i < 8; i += 2) {
    pairs[i] = _mm256_unpacklo_ps(rows[i], rows[i + 1]);
    pairs[i + 1] = _mm256_unpackhi_ps(rows[i], rows[i + 1]);
  }
  __m256 fours[8];
  for (int i = 0; i < 8; i += 4) {
    fours[i] = _mm256_shuffle_ps(pairs[i], pairs[i + 2], 0x44);
    fours[i + 1] = _mm256_shuffle_ps(pairs[i], pairs[i + 2], 0xee);
    fours[i + 2] = _mm256_shuffle_ps(pairs[i + 1], pairs[i + 3], 0x44);
    fours[i + 3] = _mm256_shuffle_ps(pairs[i + 1], pairs[i + 3], 0xee);
  }
  for (int i = 0; i < 4; ++i) {
    _mm256_store_ps(out + i * kTileRows, _mm256_permute2f128_ps(fours[i], fours[i + 4], 0x20));
    _mm256_store_ps(out + (i + 4) * kTileRows, _mm256_permute2f128_ps(fours[i], fours[i + 4], 0x31));
  }
}

template <DType kType>
void transpose_rows(const std::byte* const* rows, std::int64_t size, float* out) {
  std::int64_t d = 0;
  for (; d + 8 <= size; d += 8) {
    for (int half = 0; half < 2; ++half) {
      __m256 loaded[8];
      for (int r = 0; r < 8; ++r) {
        const std::byte* row = rows[8 * half + r];
        loaded[r] = row == nullptr ? _mm256_setzero_ps() : load8<kType>(row, d);
      }
      store_transposed(loaded, out + d * kTileRows + 8 * half);
    }
  }
  for (; d < size; ++d) {
    for (int r = 0; r < kTileRows; ++r) out[d * kTileRows + r] = rows[r] == nullptr ? 0.0f : load_float(kType, rows[r], d);
  }
}

void transpose(DType dtype, const std::byte* const* rows, std::int64_t size, float* out) {
  switch (dtype) {
    case DType::F16: return transpose_rows<DType::F16>(rows, size, out);
    case DType::BF16: return transpose_rows<DType::BF16>(rows, size, out);
    default: return transpose_rows<DType::F32>(rows, size, out);
  }
}

template <DType kType>
void spread_row(const std::byte* row, std::int64_t size, float* out, std::int64_t stride) {
  for (std::int64_t d = 0; d + kTileRows <= size; d += kTileRows, out += stride) {
    _mm256_store_ps(out, load8<kType>(row, d));
    _mm256_store_ps(out + 8, load8<kType>(row, d + 8));
  }
  const std::int64_t left = size % kTileRows;
  for (int i = 0; left != 0 && i < kTileRows; ++i) out[i] = i < left ? load_float(kType, row, size - left + i) : 0.0f;
}

void spread(DType dtype, const std::byte* row, std::int64_t size, float* out, std::int64_t stride) {
  switch (dtype) {
    case DType::F16: return spread_row<DType::F16>(row, size, out, stride);
    case DType::BF16: return spread_row<DType::BF16>(row, size, out, stride);
    default: return spread_row<DType::F32>(row, size, out, stride);
  }
}

inline float sum_of(__m256 lanes) {
  __m128 four = _mm_add_ps(_mm256_castps256_ps128(lanes), _mm256_extractf128_ps(lanes, 1));
  four = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(four, _mm_movehdup_ps(four)));
}

template <DType kType>
void score_row(const std::byte* key, std::int64_t size, const float* q, std::int64_t queries, float* out, std::int64_t stride) {
  for (std::int64_t r = 0; r < queries; ++r, q += kPanelDepth) {
    __m256 even = _mm256_setzero_ps();
    __m256 odd = _mm256_setzero_ps();
    std::int64_t d = 0;
    for (; d + 16 <= size; d += 16) {
      even = _mm256_fmadd_ps(_mm256_loadu_ps(q + d), load8<kType>(key, d), even);
      odd = _mm256_fmadd_ps(_mm256_loadu_ps(q + d + 8), load8<kType>(key, d + 8), odd);
    }
    float sum = sum_of(_mm256_add_ps(even, odd));
    for (; d < size; ++d) sum += q[d] * load_float(kType, key, d);
    out[r * stride] = sum;
  }
}

void score(DType dtype, const std::byte* key, std::int64_t size, const float* q, std::int64_t queries, float* out,
           std::int64_t stride) {
  switch (dtype) {
    case DType::F16: return score_row<DType::F16>(key, size, q, queries, out, stride);
    case DType::BF16: return score_row<DType::BF16>(key, size, q, queries, out, stride);
    default: return score_row<DType::F32>(key, size, q, queries, out, stride);
  }
}

template <DType kType>
void add_row(const std::byte* row, std::int64_t size, const float* p, std::int64_t queries, float* y, std::int64_t stride) {
  std::int64_t d = 0;
  for (; d + kTileRows <= size; d += kTileRows, y += stride) {
    const __m256 low = load8<kType>(row, d);
    const __m256 high = load8<kType>(row, d + 8);
    for (std::int64_t r = 0; r < queries; ++r) {
      const __m256 weight = _mm256_broadcast_ss(p + r * kPanelDepth);
      float* to = y + r * kTileRows;
      _mm256_store_ps(to, _mm256_fmadd_ps(weight, low, _mm256_load_ps(to)));
      _mm256_store_ps(to + 8, _mm256_fmadd_ps(weight, high, _mm256_load_ps(to + 8)));
    }
  }
  for (std::int64_t i = 0; d + i < size; ++i) {
    const float value = load_float(kType, row, d + i);
    for (std::int64_t r = 0; r < queries; ++r) y[r * kTileRows + i] += p[r * kPanelDepth] * value;
  }
}

void add(DType dtype, const std::byte* row, std::int64_t size, const float* p, std::int64_t queries, float* y,
         std::int64_t stride) {
  switch (dtype) {
    case DType::F16: return add_row<DType::F16>(row, size, p, queries, y, stride);
    case DType::BF16: return add_row<DType::BF16>(row, size, p, queries, y, stride);
    default: return add_row<DType::F32>(row, size, p, queries, y, stride);
  }
}

constexpr AttentionLoops kLoops = {transpose, spread, score, add, softmax};
}  // namespace avx2
NARU_CPU_AVX2_END
#endif

}  // namespace

const AttentionLoops& attention_loops() {
#if NARU_CPU_AVX2
  if (has_avx2()) return avx2::kLoops;
#endif
  return base::kLoops;
}

}  // namespace naru::cpu
