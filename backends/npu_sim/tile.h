// The inner loop of matrix products and convolutions: a tile of the result from rows of A and a packed panel of B.
#pragma once

#include <cstdint>

namespace npu {

inline constexpr std::int64_t kTileRows = 4;
inline constexpr std::int64_t kTileColumns = 16;

/// sums[r][c] += rows[r][k] * panel[k][c] for k below `depth`. A panel's rows are kTileColumns long.
void multiply_tile(const float* const* rows, std::int64_t depth, const float* panel, float* sums);
void multiply_tile(const std::int32_t* const* rows, std::int64_t depth, const std::int32_t* panel, std::int32_t* sums);

}  // namespace npu
