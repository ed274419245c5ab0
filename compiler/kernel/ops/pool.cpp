// Pools over windows and regions, and what undoes one.
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

// MaxUnpool

/// The shape that the indices count in: the one without a stated output shape.
std::vector<std::int64_t> counted_shape(const Lowering& lowering) {
  const Window window = read_pool_window(lowering.node());
  std::vector<std::int64_t> dims = lowering.shape(0).dims();
  for (std::size_t d = 0; d < window.rank(); ++d) {
    dims[d + 2] = (dims[d + 2] - 1) * window.strides[d] + window.span(d) - window.pads_begin[d] - window.pads_end[d];
  }
  return dims;
}

void lower_unpool(Lowering& lowering) {
  const Rep input = lowering.input(0);
  const Rep output = lowering.output(0);
  {
    Call call(lowering, "zeros");
    const Buffer y = call.write(output);
    const Expr i = call.points({output.numel()})[0];
    call.store(y, i, literal(y.element, 0));
    call.launch(naru::to_string(output.shape));
  }
  const std::vector<std::int64_t> counted = counted_shape(lowering);
  Call call(lowering, "max_unpool");
  const Buffer x = call.read(input);
  const Buffer indices = call.in(1);
  const Buffer y = call.write(output);
  const std::vector<Expr> from = sizes(call, counted);
  const std::vector<Expr> to = sizes(call, output.shape);
  const Expr limit = call.size(Shape(counted).numel());
  const Expr i = call.points({input.numel()})[0];
  std::vector<Expr> at = unravel(call, call.checked_index(call.load(indices, i), limit), from);
  for (std::size_t d = 0; d < at.size(); ++d) at[d] = call.let(min(at[d], to[d] - 1));
  call.store(y, ravel(at, to), call.load(x, i));
  call.launch(naru::to_string(input.shape) + " -> " + naru::to_string(output.shape));
}

// RoiAlign

/// The neighbours of a position along one axis and their weights; outside has weight 0.
struct Neighbours {
  Expr low, high, low_weight, high_weight;
};

Neighbours neighbours(Call& call, const Expr& position, const Expr& size) {
  const auto n = [&](double v) { return number(position, v); };
  const Expr inside = call.let(position >= n(-1) && position <= cast(size, position.element()));
  const Expr place = call.let(select(inside, apply(Op::Max, {position, n(0)}), n(0)));
  const Expr low = call.let(max(min(cast(place, Element::I32), size - 1), 0));
  const Expr high = call.let(min(low + 1, size - 1));
  const Expr share = call.let(select(low == high, n(0), place - cast(low, position.element())));
  return {low, high, call.let(select(inside, n(1) - share, n(0))), call.let(select(inside, share, n(0)))};
}

void lower_roi_align(Lowering& lowering) {
  const Node& node = lowering.node();
  const Rep input = lowering.input(0);
  const Shape out = lowering.output_shape(0);
  const bool average = node.attr_string("mode") == "avg";
  const bool half = node.attr_string("coordinate_transformation_mode") == "half_pixel";
  const std::int64_t ratio = node.attr_int("sampling_ratio");
  Call call(lowering, fmt::format("roi_align{}{}{}", average ? "_mean" : "_max", half ? "_half" : "", ratio == 0 ? "_adaptive" : ""));
  const Buffer x = call.read(input);
  const Buffer rois = call.in(1);
  const Buffer images = call.in(2);
  const Buffer y = call.out(0);
  const Element element = computed(x.element);
  const Expr scale = call.real(element, node.attr_float("spatial_scale"));
  const Expr samples = call.size(ratio);
  const std::vector<Expr> shape = sizes(call, out);
  const std::vector<Expr> image_shape = sizes(call, input.shape);
  const auto at = call.points(shape, out.dims());
  const Expr image = call.checked_index(call.load(images, at[0]), image_shape[0]);
  const Expr plane = call.let((image * image_shape[1] + at[1]) * image_shape[2] * image_shape[3]);
  const auto n = [&](double v) { return literal(element, v); };
  struct Axis {
    Expr begin, bin, count;
  };
  const auto axis = [&](int first, const Expr& bins) {
    const Expr begin = call.load(rois, at[0] * 4 + first);
    const Expr end = call.load(rois, at[0] * 4 + (first + 2));
    Expr length = call.let((end - begin) * scale);
    // Malformed regions were widened before half pixels were taken into account.
    if (!half) length = call.let(apply(Op::Max, {length, n(1)}));
    const Expr bin = call.let(length / cast(bins, element));
    Expr count = samples;
    if (ratio == 0) {
      call.require(apply(Op::Abs, {bin}) <= n(INT16_MAX), "a region that is too long");
      count = call.let(cast(apply(Op::Min, {apply(Op::Max, {apply(Op::Ceil, {bin}), n(0)}), n(INT16_MAX)}), Element::I32));
    }
    return Axis{call.let(begin * scale - n(half ? 0.5 : 0)), bin, count};
  };
  const Axis across = axis(0, shape[3]);
  const Axis down = axis(1, shape[2]);
  const auto position = [&](const Axis& a, const Expr& cell, const Expr& sample) {
    return call.let(a.begin + (cast(cell, element) + (cast(sample, element) + n(0.5)) / cast(a.count, element)) * a.bin);
  };
  const Variable total = call.var(average ? n(0) : n(-INFINITY));
  call.loop(down.count, [&](const Expr& i) {
    const Neighbours rows = neighbours(call, position(down, at[2], i), image_shape[2]);
    call.loop(across.count, [&](const Expr& j) {
      const Neighbours columns = neighbours(call, position(across, at[3], j), image_shape[3]);
      const auto corner = [&](const Expr& h, const Expr& h_weight, const Expr& w, const Expr& w_weight) {
        return call.let(h_weight * w_weight * call.load(x, plane + h * image_shape[3] + w));
      };
      const Expr corners[] = {corner(rows.low, rows.low_weight, columns.low, columns.low_weight),
                              corner(rows.low, rows.low_weight, columns.high, columns.high_weight),
                              corner(rows.high, rows.high_weight, columns.low, columns.low_weight),
                              corner(rows.high, rows.high_weight, columns.high, columns.high_weight)};
      // As ONNX defines it, the maximum is over weighted corners, not over interpolated values.
      for (const Expr& value : corners) call.set(total, average ? Expr(total) + value : apply(Op::Max, {total, value}));
    });
  });
  const Expr count = call.let(max(down.count * across.count, 1));
  const Expr empty = down.count * across.count == 0;
  call.store(y, ravel(at, shape), average ? Expr(total) / cast(count, element) : select(empty, n(0), total));
  call.launch(naru::to_string(input.shape) + " -> " + naru::to_string(out));
}

}  // namespace

void add_pool_kernels(std::vector<KernelEntry>& table) {
  table.push_back({"MaxPool", "pool", refuses_types, lower_max});
  table.push_back({"AveragePool", "pool", refuses_types, lower_average});
  table.push_back({"LpPool", "pool", refuses_types, lower_lp});
  table.push_back({"MaxUnpool", "scatter", refuses_unless_constant<2>, lower_unpool});
  table.push_back({"RoiAlign", "pool of regions", refuses_types, lower_roi_align});
}

}  // namespace naru::kernel
