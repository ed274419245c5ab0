// The inner loop, once for AVX2 with FMA and once for any processor.
#include "backends/npu_sim/tile.h"

#include <cstring>

namespace npu {
namespace {

// Small enough that all sums of a tile stay in vector registers.
template <typename T>
[[gnu::always_inline]] inline void multiply(const T* const* rows, std::int64_t depth, const T* panel, T* sums) {
  typedef T Lanes __attribute__((vector_size(32)));
  constexpr std::int64_t kLanes = 32 / sizeof(T);
  constexpr std::int64_t kVectors = kTileColumns / kLanes;
  Lanes total[kTileRows][kVectors];
  std::memcpy(total, sums, sizeof(total));
  for (std::int64_t k = 0; k < depth; ++k) {
    Lanes b[kVectors];
    std::memcpy(b, panel + k * kTileColumns, sizeof(b));
    for (std::int64_t r = 0; r < kTileRows; ++r) {
      for (std::int64_t v = 0; v < kVectors; ++v) total[r][v] += rows[r][k] * b[v];
    }
  }
  std::memcpy(sums, total, sizeof(total));
}

template <typename T>
void plain(const T* const* rows, std::int64_t depth, const T* panel, T* sums) {
  multiply(rows, depth, panel, sums);
}

#ifdef __x86_64__
template <typename T>
[[gnu::target("avx2,fma")]] void wide(const T* const* rows, std::int64_t depth, const T* panel, T* sums) {
  multiply(rows, depth, panel, sums);
}
bool has_wide() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
#else
template <typename T>
constexpr auto wide = plain<T>;
bool has_wide() { return false; }
#endif

const bool kWide = has_wide();

}  // namespace

void multiply_tile(const float* const* rows, std::int64_t depth, const float* panel, float* sums) {
  kWide ? wide<float>(rows, depth, panel, sums) : plain<float>(rows, depth, panel, sums);
}

void multiply_tile(const std::int32_t* const* rows, std::int64_t depth, const std::int32_t* panel, std::int32_t* sums) {
  kWide ? wide<std::int32_t>(rows, depth, panel, sums) : plain<std::int32_t>(rows, depth, panel, sums);
}

}  // namespace npu
