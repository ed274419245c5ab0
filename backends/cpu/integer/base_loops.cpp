// Products of bytes in plain C++, for any machine.
#include <array>
#include <cstring>
#include <utility>

#include "backends/cpu/integer/instances.h"

namespace naru::cpu::base_bytes {
namespace {

constexpr int kStep = 2, kMaxRows = 4;

#include "backends/cpu/lanes_plain.inc"

inline Ints dot(Ints sum, const Ints& x, const Ints& w) {
  std::int16_t a[32], b[32];
  std::memcpy(a, &x, sizeof(a));
  std::memcpy(b, &w, sizeof(b));
  for (int i = 0; i < 16; ++i) sum.lanes[i] += a[2 * i] * b[2 * i] + a[2 * i + 1] * b[2 * i + 1];
  return sum;
}

#include "backends/cpu/integer/loops.inc"

bool present() { return true; }

}  // namespace

constinit const ByteLoops kLoops = {"plain", present, kStep, kMaxRows, dot_some};

}  // namespace naru::cpu::base_bytes
