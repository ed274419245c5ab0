// Formats whose four bits an element index a table of 16 values: IQ4_NL, IQ4_XS, MXFP4, NVFP4.
#include <cmath>

#include "graph/block/codec.h"

namespace naru::block {
namespace {

/// Levels spaced as weights are: close around zero.
constexpr float kUneven[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                               1,    13,   25,  38,  53,  69,  89,  113};
/// The values of a four-bit float e2m1, doubled.
constexpr float kE2M1[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

/// `bytes` bytes: low halves first, then high halves.
void decode_run(const std::uint8_t* packed, int bytes, const float* table, float scale, float* to) {
  for (int j = 0; j < bytes; ++j) {
    to[j] = scale * table[packed[j] & 15];
    to[j + bytes] = scale * table[packed[j] >> 4];
  }
}

void decode_iq4_nl(const std::uint8_t* block, float* to) {
  decode_run(block + 2, 16, kUneven, read_f16(block), to);
}

/// IQ4_XS: f16, high two bits of eight scales, their low four bits, then IQ4_NL's elements.
void decode_iq4_xs(const std::uint8_t* block, float* to) {
  const float scale = read_f16(block);
  const int high = read_u16(block + 2);
  for (int i = 0; i < 8; ++i) {
    const int low = block[4 + i / 2] >> (i % 2 * 4) & 15;
    const int sub = (low | (high >> 2 * i & 3) << 4) - 32;
    decode_run(block + 8 + 16 * i, 16, kUneven, scale * static_cast<float>(sub), to + 32 * i);
  }
}

/// MXFP4: a power of two (e8m0), then 32 e2m1 values.
void decode_mxfp4(const std::uint8_t* block, float* to) {
  decode_run(block + 1, 16, kE2M1, std::ldexp(0.5f, block[0] - 127), to);
}

/// An unsigned e4m3 float; its NaN counts as 0.
float read_ue4m3(std::uint8_t bits) {
  const int exponent = bits >> 3 & 15;
  const int mantissa = bits & 7;
  if (bits == 0x7f) return 0;
  return exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -9)
                       : std::ldexp(static_cast<float>(mantissa + 8), exponent - 10);
}

/// NVFP4: four e4m3 scales, then 16 e2m1 values for each.
void decode_nvfp4(const std::uint8_t* block, float* to) {
  for (int i = 0; i < 4; ++i) {
    decode_run(block + 4 + 8 * i, 8, kE2M1, 0.5f * read_ue4m3(block[i]), to + 16 * i);
  }
}

constexpr Codec kCodecs[] = {
    {DType::IQ4_NL, decode_iq4_nl},
    {DType::IQ4_XS, decode_iq4_xs},
    {DType::MXFP4, decode_mxfp4},
    {DType::NVFP4, decode_nvfp4},
};

}  // namespace

std::span<const Codec> table_codecs() { return kCodecs; }

}  // namespace naru::block
