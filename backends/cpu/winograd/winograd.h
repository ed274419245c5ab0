// WinogradConvolution: dense 3x3 convolution of channels-last f32 in a quarter of the products.
#pragma once

#include <cstdint>

#include "backends/cpu/row_chain.h"
#include "backends/cpu/winograd/loops.h"
#include "backends/cpu/winograd/packing.h"

namespace naru::cpu {

/// A convolution with 3x3 filters, stride 1, no dilation and one group; x is [batch, height, width, channels]
/// in memory, y [batch, out_height, out_width, filters].
struct WinogradSizes {
  std::int64_t batch = 1, channels = 0, height = 0, width = 0;
  std::int64_t filters = 0, out_height = 0, out_width = 0;
  std::int64_t pad_top = 0, pad_left = 0;
};

class WinogradConvolution {
 public:
  /// `threads`: the most that run() will meet.
  WinogradConvolution(const WinogradSizes& sizes, const WinogradLoops& loops, int threads);

  /// True when this is likely faster than a direct convolution.
  bool pays() const;
  WinogradPacking packing() const { return {sizes_.filters, sizes_.channels, loops_->columns()}; }
  std::int64_t scratch_bytes() const;
  /// `bias` may be null. `chain` runs over y seen as rows of filters, with `operands`.
  void run(const float* x, const float* packed, const float* bias, float* y, float* scratch, const RowChain& chain,
           const std::byte* const* operands) const;

 private:
  struct Run;

  WinogradSizes sizes_;
  const WinogradLoops* loops_;
  int threads_;
  std::int64_t tile_rows_, tile_columns_, tiles_;  // tiles_: of the whole batch
  std::int64_t slab_tiles_;                        // transformed at once
  std::int64_t input_row_, input_plane_;           // floats of a tile and of a plane of transformed input
};

}  // namespace naru::cpu
