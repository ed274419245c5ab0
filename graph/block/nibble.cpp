// Formats of 32 elements with one scale: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q8_1.
//
// The four- and five-bit ones: f16 scale, f16 minimum (the _1 formats), 32 fifth bits (Q5), then 16
// bytes of which byte j holds element j in its low and element j + 16 in its high half.
#include <algorithm>
#include <cmath>

#include "graph/block/codec.h"

namespace naru::block {
namespace {

constexpr int kElements = 32;

template <bool has_min, bool has_fifth>
struct Nibbles {
  static constexpr int kLevels = has_fifth ? 32 : 16;
  static constexpr int kFifthAt = has_min ? 4 : 2;
  static constexpr int kNibblesAt = kFifthAt + (has_fifth ? 4 : 0);

  static void decode(const std::uint8_t* block, float* to) {
    const float scale = read_f16(block);
    const float minimum = has_min ? read_f16(block + 2) : 0.0f;
    const std::uint32_t fifth = has_fifth ? read_u32(block + kFifthAt) : 0;
    for (int j = 0; j < kElements; ++j) {
      const int nibble = block[kNibblesAt + j % 16] >> (j / 16 * 4) & 15;
      const int level = nibble | static_cast<int>(fifth >> j & 1) << 4;
      if constexpr (has_min) {
        to[j] = static_cast<float>(level) * scale + minimum;
      } else {
        to[j] = static_cast<float>(level - kLevels / 2) * scale;
      }
    }
  }

  static void encode(const float* from, std::uint8_t* block) {
    const auto [low, high] = std::minmax_element(from, from + kElements);
    // Without a minimum the value of largest magnitude gets the lowest level, exactly.
    const float minimum = has_min ? *low : 0.0f;
    const float extreme = std::fabs(*low) > std::fabs(*high) ? *low : *high;
    const float scale = has_min ? (*high - *low) / static_cast<float>(kLevels - 1)
                                : extreme / static_cast<float>(-kLevels / 2);
    const float inverse = scale != 0 ? 1 / scale : 0.0f;
    const float offset = has_min ? 0.5f : static_cast<float>(kLevels / 2) + 0.5f;
    write_f16(block, scale);
    if constexpr (has_min) write_f16(block + 2, minimum);
    std::fill(block + kNibblesAt, block + kNibblesAt + 16, std::uint8_t{0});
    std::uint32_t fifth = 0;
    for (int j = 0; j < kElements; ++j) {
      const float scaled = (from[j] - minimum) * inverse + offset;
      // Written so that NaN becomes 0.
      const float clamped = scaled > 0 ? std::min(scaled, static_cast<float>(kLevels - 1)) : 0.0f;
      const auto level = static_cast<unsigned>(clamped);
      block[kNibblesAt + j % 16] |= static_cast<std::uint8_t>((level & 15) << (j / 16 * 4));
      fifth |= (level >> 4) << j;
    }
    if constexpr (has_fifth) {
      for (int i = 0; i < 4; ++i) block[kFifthAt + i] = static_cast<std::uint8_t>(fifth >> 8 * i);
    }
  }
};

/// Q8_0: scale, then 32 signed bytes. Q8_1 has the sum of the elements between them.
template <int quants_at>
void decode_bytes(const std::uint8_t* block, float* to) {
  const float scale = read_f16(block);
  for (int j = 0; j < kElements; ++j) {
    to[j] = static_cast<float>(static_cast<std::int8_t>(block[quants_at + j])) * scale;
  }
}

template <int quants_at>
void encode_bytes(const float* from, std::uint8_t* block) {
  float largest = 0;
  for (int j = 0; j < kElements; ++j) largest = std::max(largest, std::fabs(from[j]));
  const float scale = largest / 127;
  const float inverse = scale != 0 ? 1 / scale : 0.0f;
  int sum = 0;
  for (int j = 0; j < kElements; ++j) {
    const float scaled = std::round(from[j] * inverse);
    const int level = scaled > -127 ? static_cast<int>(std::min(scaled, 127.0f)) : -127;
    block[quants_at + j] = static_cast<std::uint8_t>(level);
    sum += level;
  }
  write_f16(block, scale);
  if constexpr (quants_at == 4) write_f16(block + 2, static_cast<float>(sum) * scale);
}

constexpr Codec kCodecs[] = {
    {DType::Q4_0, Nibbles<false, false>::decode, Nibbles<false, false>::encode},
    {DType::Q4_1, Nibbles<true, false>::decode, Nibbles<true, false>::encode},
    {DType::Q5_0, Nibbles<false, true>::decode, Nibbles<false, true>::encode},
    {DType::Q5_1, Nibbles<true, true>::decode, Nibbles<true, true>::encode},
    {DType::Q8_0, decode_bytes<2>, encode_bytes<2>},
    {DType::Q8_1, decode_bytes<4>, encode_bytes<4>},
};

}  // namespace

std::span<const Codec> nibble_codecs() { return kCodecs; }

}  // namespace naru::block
