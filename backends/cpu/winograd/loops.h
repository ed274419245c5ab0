// The loops of Winograd convolution, one table per instruction set.
//
// F(4x4, 3x3): a tile of 4x4 outputs is found from 6x6 inputs d and filter g as A'[(G g G') * (B' d B)]A, with *
// element by element: 36 products for 144 (Lavin and Gray, Fast Algorithms for Convolutional Neural
// Networks, 2015). The points are 0, +-2/3, +-3/2 and infinity, whose sums lose less than half of what
// the usual 0, +-1, +-2 lose.
#pragma once

#include <cstdint>
#include <span>

namespace naru::cpu {

inline constexpr int kWinogradOutput = 4;  ///< rows and columns of outputs of a tile
inline constexpr int kWinogradInput = 6;   ///< and of its inputs
inline constexpr int kWinogradPlanes = kWinogradInput * kWinogradInput;
inline constexpr int kWinogradMostColumns = 32;  ///< of any table below

struct WinogradLoops {
  const char* name;
  bool (*present)();
  int lanes;     ///< channels of one vector; calls take multiples of them
  int max_rows;  ///< of one product
  /// B' d B: `pixels` are the tile's 36 inputs, row by row, each of `channels`; plane p of the result is at
  /// `to` + p * `plane`.
  void (*transform_input)(const float* const* pixels, std::int64_t channels, float* to, std::int64_t plane);
  /// sums[r][c] = sum over k of rows[r][k] * weights[k][c] for 2 * lanes columns.
  void (*multiply)(const float* rows, std::int64_t row_stride, const float* weights, std::int64_t depth, int count,
                   float* sums, std::int64_t sum_stride);
  /// A' m A + bias for `channels`: plane p of m is at `from` + p * `plane`; output i, row by row, goes to
  /// `to` + i * `channels`. `bias` may be null.
  void (*transform_output)(const float* from, std::int64_t plane, std::int64_t channels, const float* bias, float* to);

  int columns() const { return 2 * lanes; }
};

/// The loops of each instruction set, best first; tests compare all that this machine has.
std::span<const WinogradLoops* const> all_winograd_loops();
/// The best of this machine; null when it has none.
const WinogradLoops* winograd_loops();

}  // namespace naru::cpu
