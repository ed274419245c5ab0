// TQ1_0 and TQ2_0: 256 elements of -1, 0 and 1 with one f16 scale.
#include <algorithm>
#include <cmath>

#include "graph/block/codec.h"

namespace naru::block {
namespace {

/// Digit `place` of a byte that holds base-3 digits as a fraction of 256.
int digit(std::uint8_t packed, int place) {
  constexpr int kPowers[] = {1, 3, 9, 27, 81};
  return (packed * kPowers[place] & 0xff) * 3 >> 8;
}

struct Run {
  int bytes, rows;
};
constexpr Run kRuns[] = {{32, 5}, {16, 5}, {4, 4}};

/// TQ1_0: 32 bytes of five rows, 16 bytes of five rows, 4 bytes of four rows, f16.
void decode_tq1(const std::uint8_t* block, float* to) {
  const float scale = read_f16(block + 52);
  for (const Run& run : kRuns) {
    for (int row = 0; row < run.rows; ++row) {
      for (int j = 0; j < run.bytes; ++j)
        *to++ = scale * static_cast<float>(digit(block[j], row) - 1);
    }
    block += run.bytes;
  }
}

/// TQ2_0: two bits an element, byte j of 32 holding elements j, j + 32, j + 64, j + 96; f16.
void decode_tq2(const std::uint8_t* block, float* to) {
  const float scale = read_f16(block + 64);
  for (int i = 0; i < 256; ++i) {
    const int level = block[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
    to[i] = scale * static_cast<float>(level - 1);
  }
}

float largest_of(const float* from) {
  float largest = 0;
  for (int i = 0; i < 256; ++i) largest = std::max(largest, std::fabs(from[i]));
  return largest;
}

/// 0, 1 or 2 for -1, 0 and 1.
int level_of(float value, float scale) {
  return value * 2 > scale ? 2 : value * 2 < -scale ? 0 : 1;
}

void encode_tq1(const float* from, std::uint8_t* block) {
  const float scale = largest_of(from);
  write_f16(block + 52, scale);
  for (const Run& run : kRuns) {
    for (int j = 0; j < run.bytes; ++j) {
      int digits = 0;
      for (int row = 0; row < 5; ++row)
        digits = 3 * digits + (row < run.rows ? level_of(from[row * run.bytes + j], scale) : 0);
      // Rounded up, so that multiplying brings out each digit.
      block[j] = static_cast<std::uint8_t>((digits * 256 + 242) / 243);
    }
    block += run.bytes;
    from += run.bytes * run.rows;
  }
}

void encode_tq2(const float* from, std::uint8_t* block) {
  const float scale = largest_of(from);
  std::fill(block, block + 64, std::uint8_t{0});
  write_f16(block + 64, scale);
  for (int i = 0; i < 256; ++i) {
    block[i / 128 * 32 + i % 32] |=
        static_cast<std::uint8_t>(level_of(from[i], scale) << (i % 128 / 32 * 2));
  }
}

constexpr Codec kCodecs[] = {{DType::TQ1_0, decode_tq1, encode_tq1},
                             {DType::TQ2_0, decode_tq2, encode_tq2}};

}  // namespace

std::span<const Codec> ternary_codecs() { return kCodecs; }

}  // namespace naru::block
