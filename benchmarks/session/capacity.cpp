// Bisection on a logarithmic scale.
#include "benchmarks/session/capacity.h"

#include <cmath>

namespace naru::bench {
namespace {

// A search over a factor of a thousand to either side; beyond, the suite's start is a mistake.
constexpr int kMostDoublings = 10;
constexpr double kResolution = 1.05;

}  // namespace

std::optional<double> search_capacity(double start, const std::function<bool(double)>& holds) {
  const bool upwards = holds(start);
  double good = upwards ? start : 0, bad = upwards ? 0 : start;
  for (int i = 0; i < kMostDoublings && (good == 0 || bad == 0); ++i) {
    const double rate = upwards ? good * 2 : bad / 2;
    (holds(rate) ? good : bad) = rate;
  }
  if (good == 0) return std::nullopt;
  while (bad != 0 && bad / good > kResolution) {
    const double rate = std::sqrt(good * bad);
    (holds(rate) ? good : bad) = rate;
  }
  return good;
}

}  // namespace naru::bench
