// Windows: loops over the taps of a sliding window, shared by convolutions and pools.
#pragma once

#include <functional>

#include "compiler/kernel/walk.h"
#include "graph/ops/patches.h"

namespace naru::kernel {

/// A window grid whose sizes are arguments of a kernel.
struct WindowArgs {
  std::vector<Expr> fine, coarse, kernel, strides, dilations, pads;
};
WindowArgs window_args(Call& call, const PatchGrid& grid);

/// Loops over the taps of the window at coarse coordinates `at` that lie inside the fine grid; `body`
/// gets the row-major index of the fine element and of the tap.
void each_tap(Call& call, const WindowArgs& window, const std::vector<Expr>& at,
              const std::function<void(Expr fine, Expr tap)>& body);

/// Loops over all taps of a kernel; `body` gets the coordinates and the row-major index of the tap.
void each_kernel_tap(Call& call, const WindowArgs& window,
                     const std::function<void(const std::vector<Expr>& k, Expr tap)>& body);

/// Loops over the taps through which fine coordinates `at` are seen from coarse positions: the
/// transpose of each_tap(). `body` gets the indices of the coarse element and of the tap.
void each_source(Call& call, const WindowArgs& window, const std::vector<Expr>& at,
                 const std::function<void(Expr coarse, Expr tap)>& body);

}  // namespace naru::kernel
