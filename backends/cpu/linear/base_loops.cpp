// Loops over tiles for any machine: plain C++, the arithmetic that the others must repeat.
#include <bit>
#include <cmath>
#include <cstring>
#include <utility>

#include "backends/cpu/linear/formats.h"
#include "backends/cpu/linear/instances.h"
#include "graph/scalar.h"

namespace naru::cpu {
namespace base_tiles {
namespace {

constexpr bool kWide = true;

void lookup(std::uint8_t* codes, const std::int8_t* table, int offset) {
  for (int i = 0; i < kTileCodes; ++i) codes[i] = static_cast<std::uint8_t>(table[codes[i]] + offset);
}

void f16_row(const std::uint8_t* bits, float* out) {
  for (int r = 0; r < kTileRows; ++r) {
    std::uint16_t half;
    std::memcpy(&half, bits + 2 * r, sizeof(half));
    out[r] = f16_to_f32(half);
  }
}

void dot_unsigned(const Panel& panel, std::int64_t blocks, const Activations& rows, std::int64_t row,
                  float* sums) {
  const auto* codes = reinterpret_cast<const std::uint8_t*>(panel.codes);
  const auto* x = reinterpret_cast<const std::int8_t*>(rows.codes) + row * kPanelDepth;
  const float* scale = rows.scale + row * kPanelBlocks;
  const float* sum = rows.sums + row * kPanelBlocks;
  for (std::int64_t b = 0; b < blocks; ++b) {
    for (int r = 0; r < kTileRows; ++r) {
      std::int32_t product = 0;
      for (int k = 0; k < kTileDepth; ++k) {
        product += codes[b * kTileCodes + k / 4 * 64 + r * 4 + k % 4] * x[b * kTileDepth + k];
      }
      const std::int64_t at = b * kTileRows + r;
      sums[r] += panel.scale[at] * scale[b] * static_cast<float>(product) + panel.min[at] * sum[b];
    }
  }
}

template <bool kMin>
void dot_i16(const Panel& panel, std::int64_t blocks, const Activations& rows, std::int64_t row,
             float* sums) {
  const auto* codes = reinterpret_cast<const std::int16_t*>(panel.codes);
  const auto* x = reinterpret_cast<const std::int16_t*>(rows.codes) + row * kPanelDepth;
  const float* scale = rows.scale + row * kPanelBlocks;
  const float* sum = rows.sums + row * 2 * kPanelBlocks;
  for (std::int64_t b = 0; b < blocks; ++b) {
    for (int lane = 0; lane < 2 * kTileRows; ++lane) {
      std::int32_t product = 0;
      for (int g = 0; g < kTileDepth / 4; ++g) {
        for (int k = 0; k < 2; ++k) {
          product += codes[b * kTileCodes + g * 64 + lane * 2 + k] * x[b * kTileDepth + g * 4 + lane % 2 * 2 + k];
        }
      }
      sums[lane] += panel.scale[b * 2 * kTileRows + lane] * scale[b] * static_cast<float>(product);
      if (!kMin) continue;
      for (int half = 0; half < 2; ++half) {
        sums[lane] += panel.min[(b * 2 + half) * 2 * kTileRows + lane] * sum[2 * b + half];
      }
    }
  }
}

void dot_f32(const Panel& panel, std::int64_t blocks, const Activations& rows, std::int64_t row,
             float* sums) {
  const auto* values = reinterpret_cast<const float*>(panel.codes);
  const auto* x = reinterpret_cast<const float*>(rows.codes) + row * kPanelDepth;
  float parts[kTileRows] = {};
  for (std::int64_t k = 0; k < blocks * kTileDepth; ++k) {
    for (int r = 0; r < kTileRows; ++r) parts[r] += x[k] * values[k * kTileRows + r];
  }
  for (int r = 0; r < kTileRows; ++r) sums[r] += parts[r];
}

constexpr std::array<DotLoop, kMaxDotRows> kDotU4 = {dot_unsigned}, kDotU5 = kDotU4, kDotU8 = kDotU4;
constexpr std::array<DotLoop, kMaxDotRows> kDotI16 = {dot_i16<false>}, kDotI16Min = {dot_i16<true>};
constexpr std::array<DotLoop, kMaxDotRows> kDotF32 = {dot_f32};

#include "backends/cpu/linear/round_plain.inc"

#include "backends/cpu/linear/loops.inc"

}  // namespace

constinit const TileLoops kLoops = make_loops("portable", [] { return true; }, std::make_index_sequence<kTileFormatCount>{});

}  // namespace base_tiles
}  // namespace naru::cpu
