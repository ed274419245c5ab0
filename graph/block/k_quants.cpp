// Super-blocks of 256 elements whose sub-blocks have small integer scales: Q2_K to Q6_K, Q8_K. All
// but Q8_K are written too.
#include <algorithm>
#include <cmath>

#include "graph/block/codec.h"

namespace naru::block {
namespace {

constexpr int kElements = 256;

/// Field `i` of two bits where 32 consecutive bytes hold elements j, j + 32, j + 64 and j + 96.
int two_bits(const std::uint8_t* packed, int i) {
  return packed[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
}

/// As above with four bits: 32 bytes hold elements j and j + 32.
int four_bits(const std::uint8_t* packed, int i) {
  return packed[i / 64 * 32 + i % 32] >> (i % 64 / 32 * 4) & 15;
}

/// One bit each: byte j holds elements j, j + 32, and so on.
int one_bit(const std::uint8_t* packed, int i) { return packed[i % 32] >> (i / 32) & 1; }

/// Q2_K: 16 scales and minima of four bits, two bits an element, f16 scale and minimum.
void decode_q2(const std::uint8_t* block, float* to) {
  const float scale = read_f16(block + 80);
  const float minimum = read_f16(block + 82);
  for (int i = 0; i < kElements; ++i) {
    const int packed = block[i / 16];
    to[i] = scale * static_cast<float>(packed & 15) * static_cast<float>(two_bits(block + 16, i)) -
            minimum * static_cast<float>(packed >> 4);
  }
}

/// Scale `i` of Q3_K's twelve bytes: four low bits in bytes 0 to 7, two high bits in 8 to 11.
int q3_scale(const std::uint8_t* packed, int i) {
  const int low = packed[i % 8] >> (i / 8 * 4) & 15;
  const int high = packed[8 + i % 4] >> (i / 4 * 2) & 3;
  return (low | high << 4) - 32;
}

/// Q3_K: high bits, two low bits, 16 scales of six bits, f16 scale. A set high bit adds 4 to -4.
void decode_q3(const std::uint8_t* block, float* to) {
  const float scale = read_f16(block + 108);
  for (int i = 0; i < kElements; ++i) {
    const int level = two_bits(block + 32, i) - (one_bit(block, i) != 0 ? 0 : 4);
    to[i] = scale * static_cast<float>(q3_scale(block + 96, i / 16)) * static_cast<float>(level);
  }
}

/// Eight scales and minima of six bits in twelve bytes: the first four of each lie in the low bits
/// of bytes 0 to 3 and 4 to 7, whose top bits belong to the last four.
struct SixBitPair {
  int scale, minimum;
};

SixBitPair six_bit_pair(const std::uint8_t* packed, int i) {
  if (i < 4) return {packed[i] & 63, packed[i + 4] & 63};
  return {(packed[i + 4] & 15) | packed[i - 4] >> 6 << 4, packed[i + 4] >> 4 | packed[i] >> 6 << 4};
}

/// Q4_K and Q5_K: f16 scale and minimum, the pairs above, fifth bits (Q5_K), four bits an element.
template <bool has_fifth>
void decode_q4_q5(const std::uint8_t* block, float* to) {
  constexpr int kNibblesAt = has_fifth ? 48 : 16;
  const float scale = read_f16(block);
  const float minimum = read_f16(block + 2);
  for (int i = 0; i < kElements; ++i) {
    const SixBitPair pair = six_bit_pair(block + 4, i / 32);
    const int fifth = has_fifth ? one_bit(block + 16, i) << 4 : 0;
    const int level = four_bits(block + kNibblesAt, i) | fifth;
    to[i] = scale * static_cast<float>(pair.scale) * static_cast<float>(level) -
            minimum * static_cast<float>(pair.minimum);
  }
}

/// Q6_K: four low bits (64 bytes hold elements j and j + 64), two high bits, 16 signed scales, f16.
void decode_q6(const std::uint8_t* block, float* to) {
  const float scale = read_f16(block + 208);
  for (int i = 0; i < kElements; ++i) {
    const int low = block[i / 128 * 64 + i % 64] >> (i % 128 / 64 * 4) & 15;
    const int level = (low | two_bits(block + 128, i) << 4) - 32;
    const auto sub = static_cast<std::int8_t>(block[192 + i / 16]);
    to[i] = scale * static_cast<float>(sub) * static_cast<float>(level);
  }
}

/// Q8_K: f32 scale, 256 signed bytes, sums of 16.
void decode_q8(const std::uint8_t* block, float* to) {
  float scale = 0;
  std::memcpy(&scale, block, sizeof scale);
  for (int i = 0; i < kElements; ++i) {
    to[i] = scale * static_cast<float>(static_cast<std::int8_t>(block[4 + i]));
  }
}

// Encoding: each sub-block is fitted by itself, then all scales are rounded to the super-block's

/// The nearest level in [low, high]; `low` for NaN.
int round_to(float value, int low, int high) {
  return value > static_cast<float>(low)
             ? static_cast<int>(std::lround(std::min(value, static_cast<float>(high))))
             : low;
}

/// x is about scale * level + offset.
struct Fit {
  float scale = 0, offset = 0;
};

float error_of(const float* x, int count, int low, int high, Fit fit) {
  float error = 0;
  for (int i = 0; i < count; ++i) {
    const int level = round_to((x[i] - fit.offset) / fit.scale, low, high);
    const float difference = fit.scale * static_cast<float>(level) + fit.offset - x[i];
    error += difference * difference;
  }
  return error;
}

/// The best of some fits around `first`, which stretch its levels a little.
Fit best_fit(const float* x, int count, int low, int high, Fit first) {
  if (first.scale == 0) return first;
  Fit best = first;
  float least = error_of(x, count, low, high, first);
  for (int step = -6; step <= 6; ++step) {
    const Fit tried{first.scale * (1 + 0.02f * static_cast<float>(step)), first.offset};
    const float error = error_of(x, count, low, high, tried);
    if (error < least) {
      least = error;
      best = tried;
    }
  }
  return best;
}

/// Levels 0 to `high` over an offset of at most 0.
Fit fit_affine(const float* x, int count, int high) {
  const auto [low, top] = std::minmax_element(x, x + count);
  const float offset = std::min(*low, 0.0f);
  return best_fit(x, count, 0, high, {(*top - offset) / static_cast<float>(high), offset});
}

/// Levels -`half` to `half` - 1; the value of largest magnitude gets the lowest.
Fit fit_symmetric(const float* x, int count, int half) {
  const float* extreme =
      std::max_element(x, x + count, [](float a, float b) { return std::fabs(a) < std::fabs(b); });
  return best_fit(x, count, -half, half - 1, {*extreme / static_cast<float>(-half), 0});
}

void encode_q2(const float* from, std::uint8_t* block) {
  std::fill(block, block + 84, std::uint8_t{0});
  Fit fits[16];
  float scale = 0, minimum = 0;
  for (int i = 0; i < 16; ++i) {
    fits[i] = fit_affine(from + 16 * i, 16, 3);
    scale = std::max(scale, fits[i].scale / 15);
    minimum = std::max(minimum, -fits[i].offset / 15);
  }
  write_f16(block + 80, scale);
  write_f16(block + 82, minimum);
  scale = read_f16(block + 80);
  minimum = read_f16(block + 82);
  for (int i = 0; i < 16; ++i) {
    const int steps = scale > 0 ? round_to(fits[i].scale / scale, 0, 15) : 0,
              minima = minimum > 0 ? round_to(-fits[i].offset / minimum, 0, 15) : 0;
    block[i] = static_cast<std::uint8_t>(steps | minima << 4);
    const float step = scale * static_cast<float>(steps),
                offset = minimum * static_cast<float>(minima);
    for (int j = 16 * i; j < 16 * i + 16; ++j) {
      const int level = step > 0 ? round_to((from[j] + offset) / step, 0, 3) : 0;
      block[16 + j / 128 * 32 + j % 32] |= static_cast<std::uint8_t>(level << (j % 128 / 32 * 2));
    }
  }
}

/// Fits 16 sub-blocks of 16 elements to levels from -half; writes at `to`, and returns as stored,
/// the scale in which all their scales are within `range`.
float fit_sub_blocks(const float* from, int half, int range, Fit (&fits)[16], std::uint8_t* to) {
  float scale = 0;
  for (int i = 0; i < 16; ++i) {
    fits[i] = fit_symmetric(from + 16 * i, 16, half);
    scale = std::max(scale, std::fabs(fits[i].scale) / static_cast<float>(range));
  }
  write_f16(to, scale);
  return read_f16(to);
}

void encode_q3(const float* from, std::uint8_t* block) {
  std::fill(block, block + 110, std::uint8_t{0});
  Fit fits[16];
  const float scale = fit_sub_blocks(from, 4, 31, fits, block + 108);
  for (int i = 0; i < 16; ++i) {
    const int sub = scale > 0 ? round_to(fits[i].scale / scale, -32, 31) : 0;
    block[96 + i % 8] |= static_cast<std::uint8_t>(((sub + 32) & 15) << (i / 8 * 4));
    block[104 + i % 4] |= static_cast<std::uint8_t>((sub + 32) >> 4 << (i / 4 * 2));
    const float step = scale * static_cast<float>(sub);
    for (int j = 16 * i; j < 16 * i + 16; ++j) {
      const int level = (step != 0 ? round_to(from[j] / step, -4, 3) : 0) + 4;
      block[32 + j / 128 * 32 + j % 32] |=
          static_cast<std::uint8_t>((level & 3) << (j % 128 / 32 * 2));
      block[j % 32] |= static_cast<std::uint8_t>(level >> 2 << (j / 32));
    }
  }
}

void write_six_bit_pair(std::uint8_t* packed, int i, SixBitPair pair) {
  if (i < 4) {
    packed[i] = static_cast<std::uint8_t>((packed[i] & 0xc0) | pair.scale);
    packed[i + 4] = static_cast<std::uint8_t>((packed[i + 4] & 0xc0) | pair.minimum);
    return;
  }
  packed[i + 4] = static_cast<std::uint8_t>((pair.scale & 15) | (pair.minimum & 15) << 4);
  packed[i - 4] = static_cast<std::uint8_t>((packed[i - 4] & 63) | pair.scale >> 4 << 6);
  packed[i] = static_cast<std::uint8_t>((packed[i] & 63) | pair.minimum >> 4 << 6);
}

template <bool has_fifth>
void encode_q4_q5(const float* from, std::uint8_t* block) {
  constexpr int kHigh = has_fifth ? 31 : 15, kNibblesAt = has_fifth ? 48 : 16,
                kBytes = has_fifth ? 176 : 144;
  std::fill(block, block + kBytes, std::uint8_t{0});
  Fit fits[8];
  float scale = 0, minimum = 0;
  for (int i = 0; i < 8; ++i) {
    fits[i] = fit_affine(from + 32 * i, 32, kHigh);
    scale = std::max(scale, fits[i].scale / 63);
    minimum = std::max(minimum, -fits[i].offset / 63);
  }
  write_f16(block, scale);
  write_f16(block + 2, minimum);
  scale = read_f16(block);
  minimum = read_f16(block + 2);
  for (int i = 0; i < 8; ++i) {
    const SixBitPair pair{scale > 0 ? round_to(fits[i].scale / scale, 0, 63) : 0,
                          minimum > 0 ? round_to(-fits[i].offset / minimum, 0, 63) : 0};
    write_six_bit_pair(block + 4, i, pair);
    const float step = scale * static_cast<float>(pair.scale),
                offset = minimum * static_cast<float>(pair.minimum);
    for (int j = 32 * i; j < 32 * i + 32; ++j) {
      const int level = step > 0 ? round_to((from[j] + offset) / step, 0, kHigh) : 0;
      block[kNibblesAt + j / 64 * 32 + j % 32] |=
          static_cast<std::uint8_t>((level & 15) << (j % 64 / 32 * 4));
      if constexpr (has_fifth)
        block[16 + j % 32] |= static_cast<std::uint8_t>(level >> 4 << (j / 32));
    }
  }
}

void encode_q6(const float* from, std::uint8_t* block) {
  std::fill(block, block + 210, std::uint8_t{0});
  Fit fits[16];
  const float scale = fit_sub_blocks(from, 32, 127, fits, block + 208);
  for (int i = 0; i < 16; ++i) {
    const int sub = scale > 0 ? round_to(fits[i].scale / scale, -128, 127) : 0;
    block[192 + i] = static_cast<std::uint8_t>(sub);
    const float step = scale * static_cast<float>(sub);
    for (int j = 16 * i; j < 16 * i + 16; ++j) {
      const int level = (step != 0 ? round_to(from[j] / step, -32, 31) : 0) + 32;
      block[j / 128 * 64 + j % 64] |= static_cast<std::uint8_t>((level & 15) << (j % 128 / 64 * 4));
      block[128 + j / 128 * 32 + j % 32] |=
          static_cast<std::uint8_t>(level >> 4 << (j % 128 / 32 * 2));
    }
  }
}

constexpr Codec kCodecs[] = {
    {DType::Q2_K, decode_q2, encode_q2},
    {DType::Q3_K, decode_q3, encode_q3},
    {DType::Q4_K, decode_q4_q5<false>, encode_q4_q5<false>},
    {DType::Q5_K, decode_q4_q5<true>, encode_q4_q5<true>},
    {DType::Q6_K, decode_q6, encode_q6},
    {DType::Q8_K, decode_q8},
};

}  // namespace

std::span<const Codec> k_codecs() { return kCodecs; }

}  // namespace naru::block
