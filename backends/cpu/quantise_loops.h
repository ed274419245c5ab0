// Quantisation of runs of elements, element by element as ONNX states it.
#pragma once

#include <cstdint>

namespace naru::cpu {

/// The integers of a quantised type; `zero` shifts them.
struct ByteRange {
  std::int32_t low = 0, high = 255;
};

/// y = saturate(round(x / scale) + zero), ties to even, NaN to the lowest. Scales and zeros are one
/// for all elements or one each.
void quantise_run(const float* x, std::int64_t count, float scale, std::int32_t zero, ByteRange range, std::uint8_t* y);
void quantise_each(const float* x, std::int64_t count, const float* scale, const std::int32_t* zero, ByteRange range, std::uint8_t* y);

/// y = (x - zero) * scale.
template <typename T>
void dequantise_run(const T* x, std::int64_t count, float scale, std::int32_t zero, float* y);
template <typename T>
void dequantise_each(const T* x, std::int64_t count, const float* scale, const std::int32_t* zero, float* y);

struct FloatRange {
  float low = 0, high = 0;
};
/// The range of the elements and 0; NaN is passed over.
FloatRange range_of(const float* x, std::int64_t count);

}  // namespace naru::cpu
