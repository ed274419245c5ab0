// The table of tile formats, as data for the loops of each instruction set.
#pragma once

#include <iterator>

#include "backends/cpu/linear/tiles.h"

namespace naru::cpu {

/// The values of IQ4_NL and IQ4_XS, and MXFP4's doubled.
inline constexpr std::int8_t kIq4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
inline constexpr std::int8_t kMxfp4Values[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

/// The 16 values of a format with a codebook.
constexpr const std::int8_t* codebook(const TileFormat& format) {
  return format.codebook == TileFormat::Codebook::Iq4 ? kIq4Values : kMxfp4Values;
}

inline constexpr TileFormat kTileFormats[] = {
    {.dtype = DType::Q4_0, .block_bytes = 18, .low_bits = 4, .zero = 8},
    {.dtype = DType::Q4_1, .block_bytes = 20, .low_bits = 4, .has_min = true},
    {.dtype = DType::Q5_0, .block_bytes = 22, .low_bits = 4, .high_bits = 1, .zero = 16},
    {.dtype = DType::Q5_1, .block_bytes = 24, .low_bits = 4, .high_bits = 1, .has_min = true},
    {.dtype = DType::Q8_0, .block_bytes = 34, .low_bits = 8},
    {.dtype = DType::Q2_K, .block = 256, .block_bytes = 84, .low_bits = 2, .sub_elements = 16, .has_min = true,
     .min_per_sub = true, .subs_in_nibbles = true},
    {.dtype = DType::Q3_K, .block = 256, .block_bytes = 110, .low_bits = 2, .high_bits = 1, .zero = 4,
     .sub_elements = 16},
    {.dtype = DType::Q4_K, .block = 256, .block_bytes = 144, .low_bits = 4, .sub_elements = 32, .has_min = true,
     .min_per_sub = true},
    {.dtype = DType::Q5_K, .block = 256, .block_bytes = 176, .low_bits = 4, .high_bits = 1, .sub_elements = 32,
     .has_min = true, .min_per_sub = true},
    {.dtype = DType::Q6_K, .block = 256, .block_bytes = 210, .low_bits = 4, .high_bits = 2, .zero = 32,
     .sub_elements = 16},
    {.dtype = DType::IQ4_NL, .block_bytes = 18, .low_bits = 4, .codebook = TileFormat::Codebook::Iq4},
    {.dtype = DType::IQ4_XS, .block = 256, .block_bytes = 136, .low_bits = 4, .codebook = TileFormat::Codebook::Iq4,
     .sub_elements = 32},
    {.dtype = DType::MXFP4, .block_bytes = 17, .low_bits = 4, .codebook = TileFormat::Codebook::Mxfp4,
     .scale = TileFormat::Scale::E8M0},
    {.dtype = DType::F16, .block = 1, .block_bytes = 2, .low_bits = 16, .scale = TileFormat::Scale::None},
    {.dtype = DType::BF16, .block = 1, .block_bytes = 2, .low_bits = 16, .scale = TileFormat::Scale::None},
    {.dtype = DType::F32, .block = 1, .block_bytes = 4, .low_bits = 32, .scale = TileFormat::Scale::None},
};
inline constexpr std::size_t kTileFormatCount = std::size(kTileFormats);
static_assert(kTileFormatCount <= std::tuple_size_v<decltype(TileLoops::kinds)>);

/// The kind that decode makes of a format. `wide` machines multiply u8 by s8 without overflow.
constexpr TileKind tile_kind(const TileFormat& format, bool wide) {
  if (format.is_float()) return TileKind::F32;
  if (format.sub_elements == 16) return format.has_min ? TileKind::I16Min : TileKind::I16;
  if (format.has_codebook()) return wide ? TileKind::U8 : TileKind::I16;
  switch (format.low_bits + format.high_bits) {
    case 4: return TileKind::U4;
    case 5: return TileKind::U5;
    default: return wide ? TileKind::U8 : TileKind::I16;
  }
}

}  // namespace naru::cpu
