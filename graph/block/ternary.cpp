// TQ1_0 and TQ2_0: 256 elements of -1, 0 and 1 with one f16 scale.
#include "graph/block/codec.h"

namespace naru::block {
namespace {

/// Digit `place` of a byte that holds base-3 digits as a fraction of 256.
int digit(std::uint8_t packed, int place) {
  constexpr int kPowers[] = {1, 3, 9, 27, 81};
  return (packed * kPowers[place] & 0xff) * 3 >> 8;
}

/// TQ1_0: 32 bytes of five rows, 16 bytes of five rows, 4 bytes of four rows, f16.
void decode_tq1(const std::uint8_t* block, float* to) {
  struct Run {
    int bytes, rows;
  };
  constexpr Run kRuns[] = {{32, 5}, {16, 5}, {4, 4}};
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

constexpr Codec kCodecs[] = {{DType::TQ1_0, decode_tq1}, {DType::TQ2_0, decode_tq2}};

}  // namespace

std::span<const Codec> ternary_codecs() { return kCodecs; }

}  // namespace naru::block
