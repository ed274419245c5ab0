// Windows over a grid as matrix columns: the one walk that convolutions and pools are made of.
#pragma once

#include <cstdint>
#include <vector>

#include "graph/ops/window.h"

namespace naru {

/// Windows over a fine grid (the input of Conv, the output of ConvTranspose), one window for each
/// position of a coarse grid. Along each axis the tap k of the window at c stands at
/// c * stride + k * dilation - pad.
struct PatchGrid {
  std::vector<std::int64_t> fine;
  std::vector<std::int64_t> coarse;
  std::vector<std::int64_t> kernel;
  std::vector<std::int64_t> strides;
  std::vector<std::int64_t> dilations;
  std::vector<std::int64_t> pads;

  std::int64_t fine_size() const;
  std::int64_t coarse_size() const;
  std::int64_t kernel_size() const;
};

/// The grid of a pool or convolution from spatial sizes `fine` to `coarse`.
PatchGrid patch_grid(const Window& window, std::vector<std::int64_t> fine,
                     std::vector<std::int64_t> coarse);

/// `count` neighbouring windows that see the same tap inside the grid: window first + i (counted
/// from the start of the block) sees fine element offset + i * step.
struct PatchRun {
  std::int64_t tap;
  std::int64_t first;
  std::int64_t count;
  std::int64_t offset;
  std::int64_t step;
};

/// All runs of the coarse positions [begin, end). A window meets its taps in ascending order; taps
/// in the padding are left out.
std::vector<PatchRun> patch_runs(const PatchGrid& grid, std::int64_t begin, std::int64_t end);

}  // namespace naru
