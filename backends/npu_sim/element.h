// Element types of the simulated NPU and their conversion to and from float.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace npu {

enum class Type : std::uint8_t { F32, F16, BF16, I8, U8, I32 };

inline constexpr std::int32_t kTypes = 6;
const char* name_of(Type type);
std::int64_t size_of(Type type);

/// 16-bit floats round to nearest even, integers round to nearest even and saturate.
void decode(Type type, const std::byte* from, std::span<float> to);
void encode(Type type, std::span<const float> from, std::byte* to);

}  // namespace npu
