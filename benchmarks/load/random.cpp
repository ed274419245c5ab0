// Random numbers. This file is compiled without contraction to fused multiply-adds.
#include "benchmarks/load/random.h"

#include <bit>

namespace naru::bench {

std::uint64_t Random::bits() {
  state_ += 0x9E3779B97F4A7C15ull;
  std::uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

double Random::uniform() { return static_cast<double>((bits() >> 11) * 2 + 1) * 0x1p-54; }

std::uint64_t Random::below(std::uint64_t bound) {
  // Rejection keeps it exactly uniform.
  const std::uint64_t limit = bound * (~0ull / bound);
  for (;;) {
    const std::uint64_t value = bits();
    if (value < limit) return value % bound;
  }
}

double Random::exponential(double mean) { return -mean * portable_log(uniform()); }

double portable_log(double x) {
  // x = m * 2^e with m in [sqrt(1/2), sqrt(2)); log m = 2 atanh(s), s = (m - 1) / (m + 1), |s| < 0.172.
  const auto raw = std::bit_cast<std::uint64_t>(x);
  auto exponent = static_cast<std::int64_t>(raw >> 52) - 1023;
  double mantissa = std::bit_cast<double>((raw & 0xFFFFFFFFFFFFFull) | 0x3FF0000000000000ull);
  if (mantissa > 1.4142135623730951) {
    mantissa *= 0.5;
    ++exponent;
  }
  const double s = (mantissa - 1) / (mantissa + 1), square = s * s;
  double series = 0;
  for (int k = 23; k >= 1; k -= 2) series = series * square + 1.0 / k;
  constexpr double kLn2High = 0x1.62e42fefa38p-1, kLn2Low = 0x1.ef35793c7673p-45;
  const auto e = static_cast<double>(exponent);
  return e * kLn2High + (2 * s * series + e * kLn2Low);
}

std::uint64_t derive_seed(std::uint64_t seed, std::uint64_t stream) {
  return Random(seed ^ (stream + 1) * 0xD1B54A32D192ED03ull).bits();
}

}  // namespace naru::bench
