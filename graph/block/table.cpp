// Formats whose four bits an element index a table of 16 values: IQ4_NL, IQ4_XS, MXFP4, NVFP4.
#include <algorithm>
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

/// Index of the table's value nearest to `value`; 0 for NaN.
int nearest(const float* table, float value) {
  int best = 0;
  for (int i = 1; i < 16; ++i) {
    if (std::fabs(table[i] - value) < std::fabs(table[best] - value)) best = i;
  }
  return best;
}

/// Sum of squared differences of 32 elements from scale * table.
float error_of(const float* from, const float* table, float scale) {
  float error = 0;
  for (int j = 0; j < 32; ++j) {
    const float difference = from[j] - scale * table[nearest(table, from[j] / scale)];
    error += difference * difference;
  }
  return error;
}

/// The scale of 32 elements: one that puts the largest about where the table begins.
float fit_uneven(const float* from) {
  const float extreme = *std::max_element(
      from, from + 32, [](float a, float b) { return std::fabs(a) < std::fabs(b); });
  const float first = extreme / kUneven[0];
  if (!(std::fabs(first) > 0)) return 0;
  float best = first, least = error_of(from, kUneven, first);
  for (int step = -8; step <= 8; ++step) {
    const float tried = first * (1 + 0.025f * static_cast<float>(step));
    const float error = error_of(from, kUneven, tried);
    if (error < least) {
      least = error;
      best = tried;
    }
  }
  return best;
}

/// 32 elements into 16 bytes, as decode_run() reads them.
void encode_run(const float* from, const float* table, float scale, std::uint8_t* packed) {
  const float inverse = scale != 0 ? 1 / scale : 0.0f;
  for (int j = 0; j < 16; ++j) {
    packed[j] = static_cast<std::uint8_t>(nearest(table, from[j] * inverse) |
                                          nearest(table, from[j + 16] * inverse) << 4);
  }
}

void encode_iq4_nl(const float* from, std::uint8_t* block) {
  write_f16(block, fit_uneven(from));
  encode_run(from, kUneven, read_f16(block), block + 2);
}

void encode_iq4_xs(const float* from, std::uint8_t* block) {
  std::fill(block, block + 8, std::uint8_t{0});
  float scales[8], scale = 0;
  for (int i = 0; i < 8; ++i) {
    scales[i] = fit_uneven(from + 32 * i);
    scale = std::max(scale, std::fabs(scales[i]) / 31);
  }
  write_f16(block, scale);
  scale = read_f16(block);
  for (int i = 0; i < 8; ++i) {
    const float wanted = scale > 0 ? std::round(scales[i] / scale) : 0.0f;
    const int sub = wanted > -32 ? static_cast<int>(std::min(wanted, 31.0f)) : -32;
    block[4 + i / 2] |= static_cast<std::uint8_t>(((sub + 32) & 15) << (i % 2 * 4));
    block[2 + i / 4] |= static_cast<std::uint8_t>((sub + 32) >> 4 << (i % 4 * 2));
    encode_run(from + 32 * i, kUneven, scale * static_cast<float>(sub), block + 8 + 16 * i);
  }
}

/// The power of two that puts the largest at 4 to 8 (OCP MX 1.0, section 6.3), or the next, where
/// less is lost.
void encode_mxfp4(const float* from, std::uint8_t* block) {
  float largest = 0;
  for (int j = 0; j < 32; ++j) largest = std::max(largest, std::fabs(from[j]));
  int exponent = -127;
  if (largest > 0 && std::isfinite(largest)) {
    exponent = std::clamp(std::ilogb(largest) - 2, -127, 126);
    const float halves[2] = {std::ldexp(0.5f, exponent), std::ldexp(1.0f, exponent)};
    if (error_of(from, kE2M1, halves[1]) < error_of(from, kE2M1, halves[0])) ++exponent;
  }
  block[0] = static_cast<std::uint8_t>(exponent + 127);
  encode_run(from, kE2M1, std::ldexp(0.5f, exponent), block + 1);
}

constexpr Codec kCodecs[] = {
    {DType::IQ4_NL, decode_iq4_nl, encode_iq4_nl},
    {DType::IQ4_XS, decode_iq4_xs, encode_iq4_xs},
    {DType::MXFP4, decode_mxfp4, encode_mxfp4},
    {DType::NVFP4, decode_nvfp4},
};

}  // namespace

std::span<const Codec> table_codecs() { return kCodecs; }

}  // namespace naru::block
