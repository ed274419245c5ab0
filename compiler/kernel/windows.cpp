// Windows: nested loops over taps with guards at the borders.
#include "compiler/kernel/windows.h"

namespace naru::kernel {
namespace {

void taps(Call& call, const WindowArgs& window, const std::vector<Expr>& at, std::size_t axis, const Expr& fine,
          const Expr& tap, const std::function<void(Expr, Expr)>& body) {
  if (axis == at.size()) return body(fine, tap);
  const Expr first = call.let(at[axis] * window.strides[axis] - window.pads[axis]);
  call.loop(window.kernel[axis], [&](const Expr& k) {
    const Expr position = call.let(first + k * window.dilations[axis]);
    call.when(position >= 0 && position < window.fine[axis], [&] {
      const Expr next = call.let(axis == 0 ? position : fine * window.fine[axis] + position);
      taps(call, window, at, axis + 1, next, call.let(axis == 0 ? k : tap * window.kernel[axis] + k), body);
    });
  });
}

void all_taps(Call& call, const WindowArgs& window, std::vector<Expr>& k, const Expr& tap,
              const std::function<void(const std::vector<Expr>&, Expr)>& body) {
  const std::size_t axis = k.size();
  if (axis == window.kernel.size()) return body(k, tap);
  call.loop(window.kernel[axis], [&](const Expr& i) {
    k.push_back(i);
    all_taps(call, window, k, call.let(axis == 0 ? i : tap * window.kernel[axis] + i), body);
    k.pop_back();
  });
}

void sources(Call& call, const WindowArgs& window, const std::vector<Expr>& at, std::size_t axis, const Expr& coarse,
             const Expr& tap, const std::function<void(Expr, Expr)>& body) {
  if (axis == at.size()) return body(coarse, tap);
  const Expr shifted = call.let(at[axis] + window.pads[axis]);
  call.loop(window.kernel[axis], [&](const Expr& k) {
    const Expr distance = call.let(shifted - k * window.dilations[axis]);
    const Expr position = call.let(distance / window.strides[axis]);
    const Expr hits = distance >= 0 && position * window.strides[axis] == distance;
    call.when(hits && (position >= 0 && position < window.coarse[axis]), [&] {
      const Expr next = call.let(axis == 0 ? position : coarse * window.coarse[axis] + position);
      sources(call, window, at, axis + 1, next, call.let(axis == 0 ? k : tap * window.kernel[axis] + k), body);
    });
  });
}

}  // namespace

WindowArgs window_args(Call& call, const PatchGrid& grid) {
  return {sizes(call, grid.fine),    sizes(call, grid.coarse),    sizes(call, grid.kernel),
          sizes(call, grid.strides), sizes(call, grid.dilations), sizes(call, grid.pads)};
}

void each_tap(Call& call, const WindowArgs& window, const std::vector<Expr>& at,
              const std::function<void(Expr, Expr)>& body) {
  taps(call, window, at, 0, Expr(0), Expr(0), body);
}

void each_kernel_tap(Call& call, const WindowArgs& window,
                     const std::function<void(const std::vector<Expr>&, Expr)>& body) {
  std::vector<Expr> k;
  all_taps(call, window, k, Expr(0), body);
}

void each_source(Call& call, const WindowArgs& window, const std::vector<Expr>& at,
                 const std::function<void(Expr, Expr)>& body) {
  sources(call, window, at, 0, Expr(0), Expr(0), body);
}

}  // namespace naru::kernel
