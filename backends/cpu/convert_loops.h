// Conversions between stored 16-bit floats and f32, for runs of elements.
#pragma once

#include <cstddef>
#include <cstdint>

#include "naru/dtype.h"

namespace naru::cpu {

/// Reads element `index` of an f32, f16 or bf16 array.
float load_float(DType dtype, const std::byte* data, std::int64_t index);
/// Reads `count` elements from `first` on.
void load_floats(DType dtype, const std::byte* data, std::int64_t first, std::int64_t count, float* to);
/// Writes `count` elements from `first` on, rounding to nearest even.
void store_floats(DType dtype, std::byte* data, std::int64_t first, std::int64_t count, const float* from);

}  // namespace naru::cpu
