// Code-book formats: groups of four or eight elements are an index into a grid of magnitudes (IQ2,
// IQ3, with signs beside) or of -1, 0, 1 (IQ1, with an offset of an eighth).
#include <bit>

#include "graph/block/codec.h"

namespace naru::block {
namespace {

/// The grids, packed: two bits an element for groups of eight, three bits for groups of four.
#include "graph/block/grids.inc"

constexpr float kMagnitudes2[] = {8, 25, 43, 0};  // the fourth code does not occur
constexpr float kMagnitudes3xxs[] = {4, 12, 20, 28, 36, 44, 52, 62};
constexpr float kMagnitudes3s[] = {1, 3, 5, 7, 9, 11, 13, 15};

constexpr int kSubBlocks = 8;  // of 32 elements
constexpr int kGroups = 4;     // of eight elements in a sub-block

/// Seven signs and an eighth that makes their number even.
unsigned even_signs(unsigned seven) {
  return seven | static_cast<unsigned>(std::popcount(seven) & 1) << 7;
}

float signed_by(float value, unsigned signs, int j) {
  return (signs >> j & 1) != 0 ? -value : value;
}

void put_eight(unsigned code, unsigned signs, float scale, float* to) {
  for (int j = 0; j < 8; ++j) to[j] = signed_by(scale * kMagnitudes2[code >> 2 * j & 3], signs, j);
}

void put_four(unsigned code, const float* magnitudes, unsigned signs, float scale, float* to) {
  for (int j = 0; j < 4; ++j) to[j] = signed_by(scale * magnitudes[code >> 3 * j & 7], signs, j);
}

void put_ternary(unsigned code, float offset, float scale, float* to) {
  for (int j = 0; j < 8; ++j) {
    to[j] = scale * (static_cast<float>(code >> 2 * j & 3) - 1.0f + offset);
  }
}

float half_steps(float scale, unsigned level, float step) {
  return scale * (0.5f + static_cast<float>(level)) * step;
}

/// Per sub-block: four grid bytes, then four times seven signs and a four-bit scale.
void decode_iq2_xxs(const std::uint8_t* block, float* to) {
  const float scale = read_f16(block);
  for (int b = 0; b < kSubBlocks; ++b) {
    const std::uint8_t* at = block + 2 + 8 * b;
    const std::uint32_t rest = read_u32(at + 4);
    const float sub = half_steps(scale, rest >> 28, 0.25f);
    for (int g = 0; g < kGroups; ++g, to += 8) {
      put_eight(kGrid2xxs[at[g]], even_signs(rest >> 7 * g & 127), sub, to);
    }
  }
}

/// Per group 16 bits: nine of grid, seven of signs; a four-bit scale for each 16 elements.
void decode_iq2_xs(const std::uint8_t* block, float* to) {
  const float scale = read_f16(block);
  for (int i = 0; i < kSubBlocks * kGroups; ++i, to += 8) {
    const unsigned code = read_u16(block + 2 + 2 * i);
    const unsigned level = block[66 + i / 4] >> (i / 2 % 2 * 4) & 15u;
    put_eight(kGrid2xs[code & 511], even_signs(code >> 9), half_steps(scale, level, 0.25f), to);
  }
}

/// Eight low grid bits, eight signs, two high grid bits; a four-bit scale for each 16 elements.
void decode_iq2_s(const std::uint8_t* block, float* to) {
  const float scale = read_f16(block);
  for (int i = 0; i < kSubBlocks * kGroups; ++i, to += 8) {
    const unsigned high = block[66 + i / 4] >> (i % 4 * 2) & 3u;
    const unsigned level = block[74 + i / 4] >> (i / 2 % 2 * 4) & 15u;
    put_eight(kGrid2s[block[2 + i] | high << 8], block[34 + i], half_steps(scale, level, 0.25f),
              to);
  }
}

/// Eight grid bytes for each sub-block; then, as in IQ2_XXS, signs and scale.
void decode_iq3_xxs(const std::uint8_t* block, float* to) {
  const float scale = read_f16(block);
  for (int b = 0; b < kSubBlocks; ++b) {
    const std::uint8_t* at = block + 2 + 8 * b;
    const std::uint32_t rest = read_u32(block + 66 + 4 * b);
    const float sub = half_steps(scale, rest >> 28, 0.5f);
    for (int g = 0; g < 2 * kGroups; ++g, to += 4) {
      const unsigned signs = even_signs(rest >> 7 * (g / 2) & 127) >> (g % 2 * 4);
      put_four(kGrid3xxs[at[g]], kMagnitudes3xxs, signs, sub, to);
    }
  }
}

/// Eight low grid bits, one high bit, eight signs; a four-bit scale for each sub-block.
void decode_iq3_s(const std::uint8_t* block, float* to) {
  const float scale = read_f16(block);
  for (int i = 0; i < kSubBlocks * 2 * kGroups; ++i, to += 4) {
    const unsigned high = block[66 + i / 8] >> (i % 8) & 1u;
    const unsigned level = block[106 + i / 16] >> (i / 8 % 2 * 4) & 15u;
    const unsigned signs = static_cast<unsigned>(block[74 + i / 2]) >> (i % 2 * 4);
    put_four(kGrid3s[block[2 + i] | high << 8], kMagnitudes3s, signs,
             scale * static_cast<float>(1 + 2 * level), to);
  }
}

/// Eight low grid bits; per sub-block 16 bits: four times three high bits, scale, sign of offset.
void decode_iq1_s(const std::uint8_t* block, float* to) {
  const float scale = read_f16(block);
  for (int i = 0; i < kSubBlocks * kGroups; ++i, to += 8) {
    const unsigned rest = read_u16(block + 34 + i / 4 * 2);
    const float sub = scale * static_cast<float>(2 * (rest >> 12 & 7) + 1);
    const unsigned code = block[2 + i] | (rest >> 3 * (i % 4) & 7) << 8;
    put_ternary(kGrid1[code], (rest & 0x8000) != 0 ? -0.125f : 0.125f, sub, to);
  }
}

/// As IQ1_S with an offset per group and a three-bit scale for each 16 elements; the f16 scale lies
/// in the top bits of the four words of scales.
void decode_iq1_m(const std::uint8_t* block, float* to) {
  const std::uint8_t* scales = block + 48;
  unsigned bits = 0;
  for (int i = 0; i < 4; ++i)
    bits |= static_cast<unsigned>(read_u16(scales + 2 * i) >> 12) << 4 * i;
  const float scale = f16_to_f32(static_cast<std::uint16_t>(bits));
  for (int i = 0; i < kSubBlocks * kGroups; ++i, to += 8) {
    const unsigned level = read_u16(scales + i / 8 * 2) >> (i / 2 % 4 * 3) & 7u;
    const unsigned rest = block[32 + i / 2] >> (i % 2 * 4) & 15u;
    put_ternary(kGrid1[block[i] | (rest & 7) << 8], (rest & 8) != 0 ? -0.125f : 0.125f,
                scale * static_cast<float>(2 * level + 1), to);
  }
}

constexpr Codec kCodecs[] = {
    {DType::IQ1_S, decode_iq1_s},   {DType::IQ1_M, decode_iq1_m}, {DType::IQ2_XXS, decode_iq2_xxs},
    {DType::IQ2_XS, decode_iq2_xs}, {DType::IQ2_S, decode_iq2_s}, {DType::IQ3_XXS, decode_iq3_xxs},
    {DType::IQ3_S, decode_iq3_s},
};

}  // namespace

std::span<const Codec> grid_codecs() { return kCodecs; }

}  // namespace naru::block
