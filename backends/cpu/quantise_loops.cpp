// Quantisation: loops that the compiler vectorises.
#include "backends/cpu/quantise_loops.h"

#include <cmath>
#include <type_traits>

#include "backends/cpu/isa.h"

namespace naru::cpu {
namespace {

/// Adding and taking away this rounds numbers of up to 22 bits to integers, ties to even.
constexpr float kRounder = 12582912.0f;

inline std::uint8_t quantise(float x, float scale, std::int32_t zero, ByteRange range) {
  const auto low = static_cast<float>(range.low - zero), high = static_cast<float>(range.high - zero);
  float scaled = x / scale;
  scaled = scaled > low ? scaled : low;  // NaN, too, becomes the lowest
  scaled = scaled < high ? scaled : high;
  return static_cast<std::uint8_t>(static_cast<std::int32_t>((scaled + kRounder) - kRounder) + zero);
}

/// Differences of 32-bit integers, and their products, need more than a float.
template <typename T>
inline float dequantise(T x, float scale, std::int32_t zero) {
  if constexpr (std::is_same_v<T, std::int32_t>) {
    return static_cast<float>((static_cast<double>(x) - zero) * static_cast<double>(scale));
  } else {
    return static_cast<float>(static_cast<std::int32_t>(x) - zero) * scale;
  }
}

}  // namespace

void quantise_run(const float* x, std::int64_t count, float scale, std::int32_t zero, ByteRange range, std::uint8_t* y) {
  LOOP_INDEPENDENT
  for (std::int64_t i = 0; i < count; ++i) y[i] = quantise(x[i], scale, zero, range);
}

void quantise_each(const float* x, std::int64_t count, const float* scale, const std::int32_t* zero, ByteRange range, std::uint8_t* y) {
  LOOP_INDEPENDENT
  for (std::int64_t i = 0; i < count; ++i) y[i] = quantise(x[i], scale[i], zero[i], range);
}

template <typename T>
void dequantise_run(const T* x, std::int64_t count, float scale, std::int32_t zero, float* y) {
  LOOP_INDEPENDENT
  for (std::int64_t i = 0; i < count; ++i) y[i] = dequantise(x[i], scale, zero);
}

template <typename T>
void dequantise_each(const T* x, std::int64_t count, const float* scale, const std::int32_t* zero, float* y) {
  LOOP_INDEPENDENT
  for (std::int64_t i = 0; i < count; ++i) y[i] = dequantise(x[i], scale[i], zero[i]);
}

template void dequantise_run(const std::uint8_t*, std::int64_t, float, std::int32_t, float*);
template void dequantise_run(const std::int8_t*, std::int64_t, float, std::int32_t, float*);
template void dequantise_run(const std::int32_t*, std::int64_t, float, std::int32_t, float*);
template void dequantise_each(const std::uint8_t*, std::int64_t, const float*, const std::int32_t*, float*);
template void dequantise_each(const std::int8_t*, std::int64_t, const float*, const std::int32_t*, float*);
template void dequantise_each(const std::int32_t*, std::int64_t, const float*, const std::int32_t*, float*);

FloatRange range_of(const float* x, std::int64_t count) {
  FloatRange range;
  for (std::int64_t i = 0; i < count; ++i) {
    range.low = x[i] < range.low ? x[i] : range.low;
    range.high = x[i] > range.high ? x[i] : range.high;
  }
  return range;
}

}  // namespace naru::cpu
