// Random numbers that are the same on every machine: integer generator, own logarithm, inverse CDFs.
#pragma once

#include <cstdint>

namespace naru::bench {

/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014). A copy continues on its own.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t bits();
  /// Uniform in (0, 1): odd multiples of 2^-54.
  double uniform();
  /// Uniform in [0, bound); `bound` is at least 1.
  std::uint64_t below(std::uint64_t bound);
  /// Exponentially distributed with this mean.
  double exponential(double mean);

 private:
  std::uint64_t state_;
};

/// Natural logarithm of x > 0 by additions, products and divisions alone, so that every IEEE machine
/// gives the same bits; within 4 units in the last place of the true value.
double portable_log(double x);

/// Seed of a stream: mixes a base seed with the number of a run.
std::uint64_t derive_seed(std::uint64_t seed, std::uint64_t stream);

}  // namespace naru::bench
