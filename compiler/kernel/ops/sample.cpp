// Sampling between elements: Resize, GridSample, AffineGrid.
#include <algorithm>
#include <cmath>
#include <limits>

#include "compiler/kernel/walk.h"
#include "graph/ops/resize.h"

namespace naru::kernel {
namespace {

/// A float as an element of `to`: rounded and kept in range where that is an integer.
Expr rounded(const Expr& value, Element to) {
  if (is_float(to)) return cast(value, to);
  const int bits = static_cast<int>(8 * size_of(to));
  const double low = is_signed(to) ? -std::ldexp(1.0, bits - 1) : 0.0;
  const double high = std::ldexp(1.0, is_signed(to) ? bits - 1 : bits) - 1;
  const Expr whole = apply(Op::Round, {value});
  return cast(apply(Op::Max, {apply(Op::Min, {whole, number(value, high)}), number(value, low)}), to);
}

// Resize

ResizeInputs resize_inputs(const Lowering& lowering) {
  return {lowering.constant(1), lowering.constant(2), lowering.constant(3)};
}

/// Axes side by side that stay as they are, as one.
std::vector<ResizeAxis> merged(const std::vector<ResizeAxis>& axes) {
  std::vector<ResizeAxis> result;
  for (const ResizeAxis& axis : axes) {
    if (axis.taps == 0 && !result.empty() && result.back().taps == 0) {
      result.back().input *= axis.input;
      result.back().output *= axis.output;
    } else {
      result.push_back(axis);
    }
  }
  return result;
}

void lower_resize(Lowering& lowering) {
  const Rep input = lowering.input(0);
  const Rep output = lowering.output(0);
  const std::vector<ResizeAxis> axes = merged(resize_axes(lowering.node(), input.shape, output.shape, resize_inputs(lowering)));
  bool picks = true;
  bool extrapolates = false;
  std::string pattern;
  for (const ResizeAxis& axis : axes) {
    picks = picks && axis.taps <= 1;
    extrapolates = extrapolates || std::find(axis.index.begin(), axis.index.end(), -1) != axis.index.end();
    pattern += axis.taps == 0 ? 'k' : 'r';
  }
  picks = picks && !extrapolates;
  Call call(lowering, fmt::format("resize_{}{}{}", pattern, picks ? "_nearest" : "", extrapolates ? "_crop" : ""));
  const Buffer x = call.read(picks ? as_bits(input) : input);
  const Buffer y = call.write(picks ? as_bits(output) : output);
  const Element wide = is_float(x.element) ? computed(x.element) : Element::F32;
  struct Table {
    Buffer index, weight;
    Expr taps;
  };
  std::vector<Table> tables(axes.size());
  std::vector<std::int64_t> extents;
  std::vector<std::int64_t> inputs;
  for (std::size_t a = 0; a < axes.size(); ++a) {
    extents.push_back(axes[a].output);
    inputs.push_back(axes[a].input);
    if (axes[a].taps == 0) continue;
    const auto count = static_cast<std::int64_t>(axes[a].index.size());
    const std::vector<std::int32_t> index(axes[a].index.begin(), axes[a].index.end());
    tables[a].index = call.read(lowering.literal(Tensor::from<std::int32_t>(Shape{count}, std::span<const std::int32_t>(index))));
    if (picks) continue;
    const std::vector<float> weight(axes[a].weight.begin(), axes[a].weight.end());
    tables[a].weight = call.read(lowering.literal(Tensor::from<float>(Shape{count}, std::span<const float>(weight))));
    tables[a].taps = call.size(axes[a].taps);
  }
  const Expr outside_value = call.real(wide, lowering.node().attr_float("extrapolation_value"));
  const std::vector<Expr> in_shape = sizes(call, inputs);
  const std::vector<Expr> shape = sizes(call, extents);
  const auto at = call.points(shape, extents);
  const Expr to = call.let(ravel(at, shape));
  const auto inside = [&](const Expr& index, std::size_t a) { return call.let(max(min(index, in_shape[a] - 1), 0)); };
  if (picks) {
    Expr from(0);
    for (std::size_t a = 0; a < axes.size(); ++a) {
      const Expr place = axes[a].taps == 0 ? at[a] : inside(call.load(tables[a].index, at[a]), a);
      from = a == 0 ? place : from * in_shape[a] + place;
    }
    call.store(y, to, call.load(x, call.let(from)));
    return call.launch(naru::to_string(input.shape) + " -> " + naru::to_string(output.shape));
  }
  const Variable total = call.var(literal(wide, 0));
  const Variable beyond = call.var(Expr(0));
  const std::function<void(std::size_t, Expr, Expr)> sum = [&](std::size_t a, const Expr& from, const Expr& weight) {
    if (a == axes.size()) return call.set(total, multiply_add(weight, cast(call.load(x, from), wide), total));
    if (axes[a].taps == 0) return sum(a + 1, call.let(a == 0 ? at[a] : from * in_shape[a] + at[a]), weight);
    call.loop(tables[a].taps, [&](const Expr& k) {
      const Expr entry = call.let(at[a] * tables[a].taps + k);
      const Expr index = call.load(tables[a].index, entry);
      if (extrapolates) call.when(index < 0, [&] { call.set(beyond, Expr(1)); });
      const Expr place = inside(index, a);
      sum(a + 1, call.let(a == 0 ? place : from * in_shape[a] + place),
          call.let(weight * cast(call.load(tables[a].weight, entry), wide)));
    });
  };
  sum(0, Expr(0), literal(wide, 1));
  const Expr value = extrapolates ? select(Expr(beyond) != 0, outside_value, total) : Expr(total);
  call.store(y, to, rounded(value, y.element));
  call.launch(naru::to_string(input.shape) + " -> " + naru::to_string(output.shape));
}

std::string refuses_resize(const NodeView& view, const Target& target) {
  if (view.node.attr_string("coordinate_transformation_mode") == "tf_crop_and_resize") {
    return refuses_unless_constant<1, 2, 3>(view, target);
  }
  return refuses_unless_constant<2, 3>(view, target);
}

// GridSample

/// The borders that reflection mirrors at, and how a position outside becomes one inside.
struct SampledAxis {
  Call& call;
  Expr size, low, high;
  std::string padding;

  Expr reflected(const Expr& x) const {
    const Expr range = call.let(high - low);
    const Expr beyond = call.let(select(x < low, low - x, x - high));
    const Expr turns = call.let(apply(Op::Floor, {beyond / range}));
    const Expr rest = call.let(beyond - turns * range);
    const Expr even = apply(Op::Fmod, {turns, number(turns, 2)}) == 0;
    const Expr from_low = call.let((x < low && even) || (x >= low && !even));
    const Expr turned = select(from_low, low + rest, high - rest);
    return call.let(select(range <= 0, low, select(x >= low && x <= high, x, turned)));
  }

  /// The element for a whole position and whether it counts.
  std::pair<Expr, Expr> element(const Expr& i) const {
    const Expr inside = call.let(i >= 0 && i < size);
    const auto clamped = [&](const Expr& value) { return call.let(max(min(value, size - 1), 0)); };
    if (padding == "zeros") return {clamped(i), inside};
    if (padding == "border") return {clamped(i), literal(Element::Bool, 1)};
    const Expr mirrored = call.let(cast(reflected(call.let(cast(i, low.element()))), Element::I32));
    return {clamped(select(inside, i, mirrored)), literal(Element::Bool, 1)};
  }
};

std::vector<Expr> cubic_weights(Call& call, const Expr& t) {
  constexpr double kA = -0.75;
  const auto n = [&](double v) { return number(t, v); };
  const auto near = [&](const Expr& x) { return call.let((n(kA + 2) * x - n(kA + 3)) * x * x + n(1)); };
  const auto far = [&](const Expr& x) { return call.let(((n(kA) * x - n(5 * kA)) * x + n(8 * kA)) * x - n(4 * kA)); };
  return {far(call.let(t + 1)), near(t), near(call.let(n(1) - t)), far(call.let(n(2) - t))};
}

void lower_grid_sample(Lowering& lowering) {
  const Node& node = lowering.node();
  const Rep input = lowering.input(0);
  const Rep grid = lowering.input(1);
  const std::string mode = node.attr_string("mode");
  const std::string padding = node.attr_string("padding_mode");
  const bool align = node.attr_int("align_corners") != 0;
  const std::int64_t rank = input.shape.rank() - 2;
  const Shape out = lowering.output_shape(0);
  Call call(lowering, fmt::format("grid_sample_{}_{}{}_{}", mode, padding, align ? "_aligned" : "", rank));
  const bool nearest = mode == "nearest";
  const Buffer x = call.read(nearest ? as_bits(input) : input);
  const Buffer g = call.read(grid);
  const Buffer y = call.write(nearest ? as_bits(lowering.output(0)) : lowering.output(0));
  const Element real = computed(g.element);
  const Element wide = nearest ? x.element : is_float(x.element) ? computed(x.element) : Element::F32;
  const Expr plane = call.size(input.shape.numel(2, input.shape.rank()));
  std::vector<SampledAxis> axes;
  for (std::int64_t d = 0; d < rank; ++d) {
    const Expr size = call.size(input.shape[d + 2]);
    const Expr length = cast(size, real);
    axes.push_back({call, size, literal(real, align ? 0.0 : -0.5), length - literal(real, align ? 1.0 : 0.5), padding});
  }
  const std::vector<std::int64_t> extents = {out[0], out[1], out.numel(2, out.rank())};
  const std::vector<Expr> shape = sizes(call, extents);
  const auto at = call.points(shape, extents);
  const Expr place = call.let((at[0] * shape[2] + at[2]) * static_cast<int>(rank));
  struct Taps {
    std::vector<Expr> element, counts, weight;
  };
  std::vector<Taps> taps;
  for (std::int64_t d = 0; d < rank; ++d) {
    SampledAxis& axis = axes[static_cast<std::size_t>(d)];
    axis.high = call.let(axis.high);
    const Expr length = call.let(cast(axis.size, real));
    // The innermost axis is named first.
    const Expr value = call.load(g, place + static_cast<int>(rank - 1 - d));
    const auto n = [&](double v) { return literal(real, v); };
    Expr position = call.let(align ? (value + n(1)) / n(2) * (length - n(1)) : ((value + n(1)) * length - n(1)) / n(2));
    // Far outside all positions are alike; NaN counts as such a one.
    position = call.let(select(position >= n(-1e9), apply(Op::Min, {position, n(1e9)}), n(-1e9)));
    if (nearest) position = call.let(apply(Op::Round, {position}));
    const Expr outside = position < axis.low || position > axis.high;
    if (padding == "border") {
      position = call.let(select(outside, apply(Op::Max, {apply(Op::Min, {position, length - n(1)}), n(0)}), position));
    } else if (padding == "reflection") {
      position = call.let(select(outside, axis.reflected(position), position));
    }
    Taps own;
    const Expr base = call.let(nearest ? position : apply(Op::Floor, {position}));
    const Expr first = call.let(cast(base, Element::I32));
    const int count = nearest ? 1 : mode == "linear" ? 2 : 4;
    const Expr t = call.let(cast(position - base, nearest ? real : wide));
    if (mode == "linear") own.weight = {call.let(number(t, 1) - t), t};
    if (mode == "cubic") own.weight = cubic_weights(call, t);
    for (int k = 0; k < count; ++k) {
      const auto [element, counts] = axis.element(call.let(first + (k - (count == 4 ? 1 : 0))));
      own.element.push_back(element);
      own.counts.push_back(counts);
    }
    taps.push_back(std::move(own));
  }
  const Expr channel = call.let((at[0] * shape[1] + at[1]) * plane);
  const Variable total = call.var(literal(wide, 0));
  const std::function<void(std::size_t, Expr, Expr, Expr)> sum = [&](std::size_t d, const Expr& from, const Expr& counts, const Expr& weight) {
    if (d == taps.size()) {
      call.when(counts, [&] {
        const Expr value = call.load(x, channel + from);
        call.set(total, nearest ? value : multiply_add(weight, cast(value, wide), total));
      });
      return;
    }
    for (std::size_t k = 0; k < taps[d].element.size(); ++k) {
      const Expr next = call.let(d == 0 ? taps[d].element[k] : from * axes[d].size + taps[d].element[k]);
      const Expr product = nearest ? weight : d == 0 ? taps[d].weight[k] : call.let(weight * taps[d].weight[k]);
      sum(d + 1, next, d == 0 ? taps[d].counts[k] : call.let(counts && taps[d].counts[k]), product);
    }
  };
  sum(0, Expr(0), literal(Element::Bool, 1), literal(wide, 1));
  call.store(y, ravel(at, shape), nearest ? Expr(total) : rounded(total, y.element));
  call.launch(naru::to_string(input.shape) + " at " + naru::to_string(grid.shape));
}

std::string refuses_grid_sample(const NodeView& view, const Target& target) {
  if (view.rank(0) > 5) return "more than 3 spatial axes";
  return refuses_types(view, target);
}

// AffineGrid

void lower_affine_grid(Lowering& lowering) {
  const Shape shape = lowering.output_shape(0);
  const std::int64_t rank = shape[shape.rank() - 1];
  const bool align = lowering.node().attr_int("align_corners") != 0;
  Call call(lowering, fmt::format("affine_grid_{}{}", rank, align ? "_aligned" : ""));
  const Buffer theta = call.in(0);
  const Buffer y = call.out(0);
  const Element real = computed(y.element);
  const std::vector<std::int64_t> extents = shape.dims();
  std::vector<Expr> box = sizes(call, extents);
  box.back() = Expr(rank);
  const auto at = call.points(box, extents);
  const Expr row = call.let((at[0] * static_cast<int>(rank) + at.back()) * static_cast<int>(rank + 1));
  Expr sum = call.load(theta, row + static_cast<int>(rank));
  for (std::int64_t k = 0; k < rank; ++k) {
    const auto axis = static_cast<std::size_t>(rank - k);  // x runs along the innermost axis
    const Expr size = cast(box[axis], real);
    const Expr i = cast(at[axis], real);
    const auto n = [&](double v) { return literal(real, v); };
    const Expr position = align ? select(box[axis] == 1, n(-1), i * n(2) / (size - n(1)) - n(1)) : (i * n(2) + n(1)) / size - n(1);
    sum = call.let(multiply_add(call.load(theta, row + static_cast<int>(k)), call.let(position), sum));
  }
  call.store(y, ravel(at, box), sum);
  call.launch(naru::to_string(shape));
}

}  // namespace

void add_sample_kernels(std::vector<KernelEntry>& table) {
  table.push_back({"Resize", "resampling", refuses_resize, lower_resize});
  table.push_back({"GridSample", "sampling", refuses_grid_sample, lower_grid_sample});
  table.push_back({"AffineGrid", "grid", refuses_types, lower_affine_grid});
}

}  // namespace naru::kernel
