// Windows over a grid as matrix columns: the one walk that convolutions and pools are made of.
#include "graph/ops/patches.h"

#include <algorithm>

#include "graph/checked.h"

namespace naru {
namespace {

std::int64_t size_of(const std::vector<std::int64_t>& dims) {
  std::int64_t size = 1;
  for (std::int64_t dim : dims) size = checked_mul(size, dim);
  return size;
}

/// A tap along one axis and the coarse positions [first, last) that see it inside the grid.
struct AxisTap {
  std::int64_t tap;
  std::int64_t first;
  std::int64_t last;
};

std::vector<AxisTap> axis_taps(const PatchGrid& grid, std::size_t axis) {
  std::vector<AxisTap> taps;
  for (std::int64_t tap = 0; tap < grid.kernel[axis]; ++tap) {
    const std::int64_t offset = tap * grid.dilations[axis] - grid.pads[axis];
    if (offset >= grid.fine[axis]) break;
    const auto [first, last] =
        steps_inside(grid.coarse[axis], grid.strides[axis], offset, grid.fine[axis]);
    if (first < last) taps.push_back({tap, first, last});
  }
  return taps;
}

/// A tap of all axes but the last: where it stands in the kernel and in the fine grid.
struct OuterTap {
  std::int64_t tap;
  std::int64_t offset;  ///< of the row's first element in the fine grid; -1 outside it
};

/// The taps of the outer axes as the coarse row with these coordinates sees them.
void outer_taps(const PatchGrid& grid, const std::vector<std::vector<AxisTap>>& taps,
                const std::vector<std::int64_t>& row, std::size_t axis, OuterTap at,
                std::vector<OuterTap>& result) {
  if (axis + 1 == grid.fine.size()) {
    result.push_back({at.tap * grid.kernel[axis], at.offset * grid.fine[axis]});
    return;
  }
  for (const AxisTap& tap : taps[axis]) {
    const bool inside = at.offset >= 0 && row[axis] >= tap.first && row[axis] < tap.last;
    if (!inside) continue;
    const std::int64_t position = row[axis] * grid.strides[axis] +
                                  tap.tap * grid.dilations[axis] - grid.pads[axis];
    outer_taps(grid, taps, row, axis + 1,
               {at.tap * grid.kernel[axis] + tap.tap, at.offset * grid.fine[axis] + position},
               result);
  }
}

}  // namespace

std::int64_t PatchGrid::fine_size() const { return size_of(fine); }
std::int64_t PatchGrid::coarse_size() const { return size_of(coarse); }
std::int64_t PatchGrid::kernel_size() const { return size_of(kernel); }

PatchGrid patch_grid(const Window& window, std::vector<std::int64_t> fine,
                     std::vector<std::int64_t> coarse) {
  PatchGrid grid{std::move(fine), std::move(coarse), window.kernel, window.strides,
                 window.dilations, {}};
  for (std::size_t axis = 0; axis < window.rank(); ++axis) {
    grid.pads.push_back(window_pad_begin(window, axis, grid.fine[axis], grid.coarse[axis]));
  }
  return grid;
}

std::vector<PatchRun> patch_runs(const PatchGrid& grid, std::int64_t begin, std::int64_t end) {
  const std::size_t last_axis = grid.fine.size() - 1;
  const std::int64_t row_length = grid.coarse[last_axis];
  const std::int64_t stride = grid.strides[last_axis];
  std::vector<std::vector<AxisTap>> taps;
  for (std::size_t axis = 0; axis <= last_axis; ++axis) taps.push_back(axis_taps(grid, axis));

  std::vector<PatchRun> runs;
  std::vector<std::int64_t> row(last_axis);
  std::vector<OuterTap> outer;
  for (std::int64_t at = begin; at < end;) {
    const std::int64_t x_begin = at % row_length;
    const std::int64_t x_end = std::min(row_length, x_begin + end - at);
    std::int64_t rest = at / row_length;
    for (std::size_t axis = last_axis; axis-- > 0;) {
      row[axis] = rest % grid.coarse[axis];
      rest /= grid.coarse[axis];
    }
    outer.clear();
    outer_taps(grid, taps, row, 0, {0, 0}, outer);
    for (const OuterTap& outer_tap : outer) {
      for (const AxisTap& tap : taps[last_axis]) {
        const std::int64_t first = std::max(tap.first, x_begin);
        const std::int64_t last = std::min(tap.last, x_end);
        if (first >= last) continue;
        const std::int64_t x = first * stride + tap.tap * grid.dilations[last_axis] -
                               grid.pads[last_axis];
        runs.push_back({outer_tap.tap + tap.tap, at - begin + first - x_begin, last - first,
                        outer_tap.offset + x, stride});
      }
    }
    at += x_end - x_begin;
  }
  return runs;
}

}  // namespace naru
