// The loops of VNNI machines over plain C++ in place of their instructions, so that what they compute is
// tested on machines that lack them.
#include <bit>
#include <cmath>
#include <cstring>
#include <utility>

#include "backends/cpu/linear/formats.h"
#include "backends/cpu/linear/tiles.h"
#include "graph/scalar.h"

namespace naru::cpu {
namespace {

constexpr bool kWide = true;

#include "backends/cpu/lanes_plain.inc"

struct Floats {
  float lanes[16];
};

template <typename Lanes, typename Function>
Lanes each(const Function& function) {
  Lanes result;
  for (int i = 0; i < 16; ++i) result.lanes[i] = function(i);
  return result;
}

Floats zero_floats() { return {}; }
Ints repeat8(const void* from) {
  std::int32_t eight[2];
  std::memcpy(eight, from, sizeof(eight));
  return each<Ints>([&](int i) { return eight[i % 2]; });
}
Ints dot_u8s8(Ints sum, Ints a, Ints b) {
  return each<Ints>([&](int i) {
    const auto x = std::bit_cast<std::array<std::uint8_t, 4>>(a.lanes[i]);
    const auto y = std::bit_cast<std::array<std::int8_t, 4>>(b.lanes[i]);
    return sum.lanes[i] + x[0] * y[0] + x[1] * y[1] + x[2] * y[2] + x[3] * y[3];
  });
}
Ints dot_s16s16(Ints sum, Ints a, Ints b) {
  return each<Ints>([&](int i) {
    const auto x = std::bit_cast<std::array<std::int16_t, 2>>(a.lanes[i]);
    const auto y = std::bit_cast<std::array<std::int16_t, 2>>(b.lanes[i]);
    return sum.lanes[i] + x[0] * y[0] + x[1] * y[1];
  });
}
Floats load_floats16(const float* from) {
  return each<Floats>([&](int i) { return from[i]; });
}
Floats repeat(float value) {
  return each<Floats>([&](int) { return value; });
}
Floats to_floats(Ints value) {
  return each<Floats>([&](int i) { return static_cast<float>(value.lanes[i]); });
}
Floats fma(Floats a, Floats b, Floats c) {
  return each<Floats>([&](int i) { return std::fma(a.lanes[i], b.lanes[i], c.lanes[i]); });
}
Floats mul(Floats a, Floats b) {
  return each<Floats>([&](int i) { return a.lanes[i] * b.lanes[i]; });
}
void store(float* to, Floats value) { std::memcpy(to, &value, sizeof(value)); }

void lookup(std::uint8_t* codes, const std::int8_t* table, int offset) {
  for (int i = 0; i < kTileCodes; ++i) codes[i] = static_cast<std::uint8_t>(table[codes[i]] + offset);
}

void f16_row(const std::uint8_t* bits, float* out) {
  for (int r = 0; r < kTileRows; ++r) {
    out[r] = f16_to_f32(static_cast<std::uint16_t>(bits[2 * r] | bits[2 * r + 1] << 8));
  }
}

#include "backends/cpu/linear/vnni_dots.inc"

#include "backends/cpu/linear/round_plain.inc"

#include "backends/cpu/linear/loops.inc"

}  // namespace

extern const TileLoops kEmulatedVnni;
constinit const TileLoops kEmulatedVnni =
    make_loops("emulated vnni", [] { return true; }, std::make_index_sequence<kTileFormatCount>{});

}  // namespace naru::cpu
