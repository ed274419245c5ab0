// Local response normalisation of a tile of positions.
#pragma once

#include <cstdint>

namespace naru::cpu {

struct LocalResponse {
  std::int64_t size = 1;  ///< channels that are summed up, `before` of them before the current one
  std::int64_t before = 0;
  float alpha = 0, beta = 0, bias = 0;
};

/// Positions of a tile.
inline constexpr std::int64_t kResponseTile = 64;

/// x and y are [channels, kResponseTile]; y[c] = x[c] / (bias + alpha / size * sum of squares)^beta.
void normalise_responses(const LocalResponse& rule, std::int64_t channels, const float* x, float* y);

}  // namespace naru::cpu
