// One record per block format; each family of formats has a file that lists its own.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>

#include "naru/dtype.h"

#include "graph/scalar.h"

namespace naru::block {

/// Decodes and encodes one block of the sizes that dtype_info() gives.
struct Codec {
  DType format;
  void (*decode)(const std::uint8_t* block, float* to);
  void (*encode)(const float* from, std::uint8_t* block) = nullptr;
};

std::span<const Codec> nibble_codecs();   ///< Q4_0 to Q8_1: one scale per 32 elements
std::span<const Codec> k_codecs();        ///< Q2_K to Q8_K: super-blocks of 256
std::span<const Codec> grid_codecs();     ///< IQ1 to IQ3: elements by groups from a code book
std::span<const Codec> table_codecs();    ///< IQ4, MXFP4, NVFP4: four bits index a table
std::span<const Codec> ternary_codecs();  ///< TQ1_0, TQ2_0: -1, 0, 1

inline std::uint16_t read_u16(const std::uint8_t* at) {
  return static_cast<std::uint16_t>(at[0] | at[1] << 8);
}
inline std::uint32_t read_u32(const std::uint8_t* at) {
  return read_u16(at) | static_cast<std::uint32_t>(read_u16(at + 2)) << 16;
}
inline float read_f16(const std::uint8_t* at) { return f16_to_f32(read_u16(at)); }
inline void write_f16(std::uint8_t* at, float value) {
  const std::uint16_t bits = f32_to_f16(value);
  at[0] = static_cast<std::uint8_t>(bits & 0xff);
  at[1] = static_cast<std::uint8_t>(bits >> 8);
}

}  // namespace naru::block
