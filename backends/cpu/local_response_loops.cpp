// Local response normalisation: loops that the compiler vectorises over positions.
#include "backends/cpu/local_response_loops.h"

#include <algorithm>
#include <cmath>

namespace naru::cpu {
namespace {

constexpr std::int64_t kTile = kResponseTile;

void add_squares(const float* x, float* sums) {
  for (std::int64_t i = 0; i < kTile; ++i) sums[i] += x[i] * x[i];
}

/// The power that nearly all models have, by square roots.
void divide_three_quarters(const float* x, const float* bases, float* y) {
  for (std::int64_t i = 0; i < kTile; ++i) {
    const float root = std::sqrt(bases[i]);
    y[i] = x[i] / (root * std::sqrt(root));
  }
}

void divide_power(const float* x, const float* bases, float beta, float* y) {
  for (std::int64_t i = 0; i < kTile; ++i) y[i] = x[i] / std::pow(bases[i], beta);
}

}  // namespace

void normalise_responses(const LocalResponse& rule, std::int64_t channels, const float* x, float* y) {
  const float scale = rule.alpha / static_cast<float>(rule.size);
  for (std::int64_t c = 0; c < channels; ++c) {
    float bases[kTile] = {};
    const std::int64_t begin = std::max<std::int64_t>(c - rule.before, 0);
    const std::int64_t end = std::min(c - rule.before + rule.size, channels);
    for (std::int64_t other = begin; other < end; ++other) add_squares(x + other * kTile, bases);
    for (float& base : bases) base = rule.bias + scale * base;
    if (rule.beta == 0.75f) divide_three_quarters(x + c * kTile, bases, y + c * kTile);
    else divide_power(x + c * kTile, bases, rule.beta, y + c * kTile);
  }
}

}  // namespace naru::cpu
