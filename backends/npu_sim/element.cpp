// Conversion loops of element types.
#include "backends/npu_sim/element.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

namespace npu {
namespace {

struct TypeRow {
  const char* name;
  std::int64_t bytes;
};
constexpr TypeRow kRows[kTypes] = {{"f32", 4}, {"f16", 2}, {"bf16", 2}, {"i8", 1}, {"u8", 1}, {"i32", 4}};

float from_half(std::uint16_t bits) {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000) << 16;
  const std::uint32_t rest = bits & 0x7fff;
  if (rest >= 0x7c00) return std::bit_cast<float>(sign | 0x7f800000 | (rest & 0x3ff) << 13);
  // The exponent is off by 112; a product with 2^112 sets it right for subnormal numbers too.
  return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(std::bit_cast<float>(rest << 13) * 0x1p112f));
}

std::uint16_t to_half(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = bits >> 16 & 0x8000;
  const std::uint32_t rest = bits & 0x7fffffff;
  if (rest > 0x7f800000) return static_cast<std::uint16_t>(sign | 0x7e00);
  if (rest >= 0x477ff000) return static_cast<std::uint16_t>(sign | 0x7c00);  // rounds to infinity
  // Below 2^-14 an addition of 0.5 leaves the subnormal bits at the end of the mantissa, rounded.
  if (rest < 0x38800000) {
    return static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(std::bit_cast<float>(rest) + 0.5f) - 0x3f000000));
  }
  return static_cast<std::uint16_t>(sign | (rest - 0x38000000 + 0xfff + (rest >> 13 & 1)) >> 13);
}

float from_bfloat(std::uint16_t bits) { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }

std::uint16_t to_bfloat(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if (std::isnan(value)) return static_cast<std::uint16_t>(bits >> 16 | 0x40);
  return static_cast<std::uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

template <typename T>
T to_integer(float value) {
  if (std::isnan(value)) return 0;
  const double low = std::numeric_limits<T>::min();
  const double high = std::numeric_limits<T>::max();
  return static_cast<T>(std::clamp(std::nearbyint(static_cast<double>(value)), low, high));
}

template <typename T, typename Convert>
void read(const std::byte* from, std::span<float> to, Convert convert) {
  for (std::size_t i = 0; i < to.size(); ++i) {
    T value;
    std::memcpy(&value, from + i * sizeof(T), sizeof(T));
    to[i] = convert(value);
  }
}

template <typename T, typename Convert>
void write(std::span<const float> from, std::byte* to, Convert convert) {
  for (std::size_t i = 0; i < from.size(); ++i) {
    const T value = convert(from[i]);
    std::memcpy(to + i * sizeof(T), &value, sizeof(T));
  }
}

template <typename T>
float widen(T value) { return static_cast<float>(value); }

}  // namespace

const char* name_of(Type type) { return kRows[static_cast<int>(type)].name; }
std::int64_t size_of(Type type) { return kRows[static_cast<int>(type)].bytes; }

void decode(Type type, const std::byte* from, std::span<float> to) {
  switch (type) {
    case Type::F32: return read<float>(from, to, widen<float>);
    case Type::F16: return read<std::uint16_t>(from, to, from_half);
    case Type::BF16: return read<std::uint16_t>(from, to, from_bfloat);
    case Type::I8: return read<std::int8_t>(from, to, widen<std::int8_t>);
    case Type::U8: return read<std::uint8_t>(from, to, widen<std::uint8_t>);
    case Type::I32: return read<std::int32_t>(from, to, widen<std::int32_t>);
  }
}

void encode(Type type, std::span<const float> from, std::byte* to) {
  switch (type) {
    case Type::F32: return write<float>(from, to, widen<float>);
    case Type::F16: return write<std::uint16_t>(from, to, to_half);
    case Type::BF16: return write<std::uint16_t>(from, to, to_bfloat);
    case Type::I8: return write<std::int8_t>(from, to, to_integer<std::int8_t>);
    case Type::U8: return write<std::uint8_t>(from, to, to_integer<std::uint8_t>);
    case Type::I32: return write<std::int32_t>(from, to, to_integer<std::int32_t>);
  }
}

}  // namespace npu
