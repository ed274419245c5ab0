// Products of bytes in plain C++, for any machine.
#include <array>
#include <cstring>
#include <utility>

#include "backends/cpu/integer/instances.h"

namespace naru::cpu::base_bytes {
namespace {

constexpr int kStep = 2, kMaxRows = 4;

struct Ints {
  std::int32_t lanes[16];
};

inline Ints zero_ints() { return {}; }
inline Ints load(const void* from) {
  Ints result;
  std::memcpy(&result, from, sizeof(result));
  return result;
}
inline Ints repeat4(const void* from) {
  Ints result;
  for (std::int32_t& lane : result.lanes) std::memcpy(&lane, from, sizeof(lane));
  return result;
}
inline Ints dot(Ints sum, const Ints& x, const Ints& w) {
  std::int16_t a[32], b[32];
  std::memcpy(a, &x, sizeof(a));
  std::memcpy(b, &w, sizeof(b));
  for (int i = 0; i < 16; ++i) sum.lanes[i] += a[2 * i] * b[2 * i] + a[2 * i + 1] * b[2 * i + 1];
  return sum;
}
inline void store(std::int32_t* to, const Ints& value) { std::memcpy(to, &value, sizeof(value)); }

#include "backends/cpu/integer/loops.inc"

bool present() { return true; }

}  // namespace

constinit const ByteLoops kLoops = {"plain", present, kStep, kMaxRows, dot_some};

}  // namespace naru::cpu::base_bytes
