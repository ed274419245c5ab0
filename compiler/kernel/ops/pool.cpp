// Pools over windows.
#include <cmath>

#include "compiler/kernel/windows.h"

namespace naru::kernel {
namespace {

PatchGrid grid_of(const Lowering& lowering) {
  const Shape x = lowering.shape(0);
  const Shape y = lowering.output_shape(0);
  return patch_grid(read_pool_window(lowering.node()), {x.begin() + 2, x.end()}, {y.begin() + 2, y.end()});
}

/// One item per output element: its plane, its spatial coordinates and its index.
struct Outputs {
  Expr plane, index;
  std::vector<Expr> at;
};

Outputs outputs_of(Call& call, const WindowArgs& window, std::int64_t planes, const PatchGrid& grid) {
  std::vector<std::int64_t> extents = {planes};
  extents.insert(extents.end(), grid.coarse.begin(), grid.coarse.end());
  std::vector<Expr> expressions = {call.size(planes)};
  expressions.insert(expressions.end(), window.coarse.begin(), window.coarse.end());
  std::vector<Expr> at = call.points(expressions, extents);
  const Expr index = call.let(ravel(at, expressions));
  const Expr plane = at[0];
  at.erase(at.begin());
  return {plane, index, std::move(at)};
}

void lower_max(Lowering& lowering) {
  const Rep input = lowering.input(0);
  const PatchGrid grid = grid_of(lowering);
  const bool indexed = lowering.has_output(1);
  const bool by_column = lowering.node().attr_int_or("storage_order", 0) != 0;
  Call call(lowering, indexed ? (by_column ? "max_pool_columns" : "max_pool_indices") : "max_pool");
  const Buffer x = call.read(input);
  const Buffer y = call.out(0);
  const WindowArgs window = window_args(call, grid);
  const Expr fine = call.size(grid.fine_size());
  const Outputs out = outputs_of(call, window, input.shape[0] * input.shape[1], grid);
  const Element element = computed(x.element);
  const Variable best = call.var(is_float(element) ? literal(element, -INFINITY) : literal(element, element == Element::I8 ? -128 : 0));
  const Variable where = call.var(Expr(-1));
  const Expr base = call.let(out.plane * fine);
  each_tap(call, window, out.at, [&](const Expr& from, const Expr&) {
    const Expr value = call.load(x, base + from);
    call.when(value > best || Expr(where) < 0, [&] {
      call.set(best, value);
      call.set(where, from);
    });
  });
  call.store(y, out.index, best);
  if (indexed) {
    Expr position = where;
    if (by_column) {
      const std::vector<Expr> at = unravel(call, position, window.fine);
      position = Expr(0);
      Expr stride(1);
      for (std::size_t d = 0; d < at.size(); ++d) {
        position = position + at[d] * stride;
        stride = call.let(stride * window.fine[d]);
      }
    }
    const Expr found = select(Expr(where) < 0, where, base + position);
    call.store(call.out(1), out.index, cast(found, Element::I64));
  }
  call.launch(naru::to_string(input.shape) + " -> " + naru::to_string(lowering.output_shape(0)));
}

/// How many taps of a window lie in the padded input along one axis.
Expr padded_count(Call& call, const WindowArgs& window, const Expr& size, std::size_t axis, const Expr& at) {
  const Expr room = size - at * window.strides[axis];
  const Expr reach = (room + window.dilations[axis] - 1) / window.dilations[axis];
  return call.let(max(min(reach, window.kernel[axis]), 0));
}

void lower_average(Lowering& lowering) {
  const Rep input = lowering.input(0);
  const PatchGrid grid = grid_of(lowering);
  const Window geometry = read_pool_window(lowering.node());
  const bool padded = lowering.node().attr_int_or("count_include_pad", 0) != 0;
  const bool whole = padded && geometry.auto_pad != AutoPad::NotSet;
  Call call(lowering, whole ? "average_pool_same" : padded ? "average_pool_padded" : "average_pool");
  const Buffer x = call.read(input);
  const Buffer y = call.out(0);
  const WindowArgs window = window_args(call, grid);
  const Expr fine = call.size(grid.fine_size());
  std::vector<Expr> sizes_with_pads;
  for (std::size_t d = 0; padded && d < grid.fine.size(); ++d) {
    sizes_with_pads.push_back(call.size(grid.fine[d] + geometry.pads_begin[d] + geometry.pads_end[d]));
  }
  const Outputs out = outputs_of(call, window, input.shape[0] * input.shape[1], grid);
  const Element element = computed(x.element);
  const Variable total = call.var(literal(element, 0));
  const Variable seen = call.var(Expr(0));
  const Expr base = call.let(out.plane * fine);
  each_tap(call, window, out.at, [&](const Expr& from, const Expr&) {
    call.set(total, Expr(total) + call.load(x, base + from));
    if (!padded) call.set(seen, Expr(seen) + 1);
  });
  Expr count = seen;
  if (padded) {
    count = Expr(1);
    for (std::size_t d = 0; d < out.at.size(); ++d) {
      count = count * (whole ? window.kernel[d] : padded_count(call, window, sizes_with_pads[d], d, out.at[d]));
    }
  }
  call.store(y, out.index, Expr(total) / cast(max(count, 1), element));
  call.launch(naru::to_string(input.shape) + " -> " + naru::to_string(lowering.output_shape(0)));
}

void lower_lp(Lowering& lowering) {
  const Rep input = lowering.input(0);
  const PatchGrid grid = grid_of(lowering);
  Call call(lowering, "lp_pool");
  const Buffer x = call.read(input);
  const Buffer y = call.out(0);
  const Element element = computed(x.element);
  const Expr p = call.real(element, static_cast<double>(lowering.node().attr_int("p")));
  const WindowArgs window = window_args(call, grid);
  const Expr fine = call.size(grid.fine_size());
  const Outputs out = outputs_of(call, window, input.shape[0] * input.shape[1], grid);
  const Variable total = call.var(literal(element, 0));
  const Expr base = call.let(out.plane * fine);
  each_tap(call, window, out.at, [&](const Expr& from, const Expr&) {
    call.set(total, Expr(total) + apply(Op::Pow, {apply(Op::Abs, {call.load(x, base + from)}), p}));
  });
  call.store(y, out.index, apply(Op::Pow, {total, literal(element, 1) / p}));
  call.launch(naru::to_string(input.shape) + " -> " + naru::to_string(lowering.output_shape(0)));
}

}  // namespace

void add_pool_kernels(std::vector<KernelEntry>& table) {
  table.push_back({"MaxPool", "pool", refuses_types, lower_max});
  table.push_back({"AveragePool", "pool", refuses_types, lower_average});
  table.push_back({"LpPool", "pool", refuses_types, lower_lp});
}

}  // namespace naru::kernel
