// Reductions along axes: one table row each; ArgMax and ArgMin; the global pools.
#include <algorithm>
#include <cmath>
#include <limits>

#include "compiler/kernel/walk.h"

namespace naru::kernel {
namespace {

enum class Start : std::uint8_t { Zero, One, Lowest, Highest };

/// One reduction; `combine` takes the running value and an element, `finish` the total and the count.
struct ReduceRow {
  std::string_view op;
  Start start;
  Expr (*combine)(const Expr& total, const Expr& x);
  Expr (*finish)(const Expr& total, const Expr& count) = nullptr;
};

bool floats(const Expr& x) { return is_float(x.element()); }

Expr add(const Expr& total, const Expr& x) { return wrapping(Op::Add, total, x); }
Expr add_square(const Expr& total, const Expr& x) { return multiply_add(x, x, total); }
Expr add_magnitude(const Expr& total, const Expr& x) {
  if (floats(x)) return total + apply(Op::Abs, {x});
  return add(total, is_signed(x.element()) ? select(x < 0, wrapping(Op::Sub, number(x, 0), x), x) : x);
}
Expr larger(const Expr& a, const Expr& b) {
  if (a.element() == Element::Bool) return a || b;
  return floats(a) ? select(a > b || a != a, a, b) : max(a, b);
}
Expr smaller(const Expr& a, const Expr& b) {
  if (a.element() == Element::Bool) return a && b;
  return floats(a) ? select(a < b || a != a, a, b) : min(a, b);
}
Expr divide(const Expr& total, const Expr& count) { return total / cast(count, total.element()); }
Expr root(const Expr& total, const Expr&) {
  return floats(total) ? apply(Op::Sqrt, {total}) : cast(apply(Op::Sqrt, {cast(total, Element::F32)}), total.element());
}
Expr logarithm(const Expr& total, const Expr&) { return apply(Op::Log, {total}); }

constexpr ReduceRow kRows[] = {
    {"ReduceSum", Start::Zero, add},
    {"ReduceMean", Start::Zero, add, divide},
    {"ReduceMax", Start::Lowest, larger},
    {"ReduceMin", Start::Highest, smaller},
    {"ReduceProd", Start::One, [](const Expr& t, const Expr& x) { return wrapping(Op::Mul, t, x); }},
    {"ReduceL1", Start::Zero, add_magnitude},
    {"ReduceL2", Start::Zero, add_square, root},
    {"ReduceSumSquare", Start::Zero, add_square},
    {"ReduceLogSum", Start::Zero, add, logarithm},
    {"ReduceLogSumExp", Start::Zero, add, logarithm},
    {"GlobalAveragePool", Start::Zero, add, divide},
    {"GlobalMaxPool", Start::Lowest, larger},
};

Expr start_value(Start start, Element element) {
  if (start == Start::Zero) return literal(element, 0);
  if (start == Start::One) return literal(element, 1);
  const bool lowest = start == Start::Lowest;
  if (is_float(element)) return literal(element, lowest ? -INFINITY : INFINITY);
  if (element == Element::Bool) return literal(element, lowest ? 0 : 1);
  const auto bits = static_cast<int>(8 * size_of(element));
  ExprNode node;
  node.type.element = element;
  const std::uint64_t ones = ~UINT64_C(0) >> (64 - bits);
  if (!is_signed(element)) {
    node.integer = lowest ? 0 : static_cast<std::int64_t>(ones);
  } else {
    const auto largest = static_cast<std::int64_t>(ones >> 1);
    node.integer = lowest ? -largest - 1 : largest;
  }
  return Expr(std::make_shared<const ExprNode>(std::move(node)));
}

std::vector<bool> reduced_axes(const Lowering& lowering, std::int64_t rank) {
  const Node& node = lowering.node();
  std::vector<bool> reduced(static_cast<std::size_t>(rank), false);
  if (node.op->name.starts_with("Global")) {
    std::fill(reduced.begin() + 2, reduced.end(), true);
    return reduced;
  }
  std::vector<std::int64_t> axes;
  if (lowering.has_input(1)) axes = lowering.ints(1);
  if (axes.empty()) return std::vector<bool>(static_cast<std::size_t>(rank), node.attr_int_or("noop_with_empty_axes", 0) == 0);
  for (const std::int64_t axis : axes) reduced[static_cast<std::size_t>(positive_axis(axis, rank))] = true;
  return reduced;
}

/// Nested loops over a walk of one tensor, from element `base`.
void loop_nest(Call& call, const Walk& walk, std::size_t depth, const Expr& base, const std::function<void(Expr)>& body) {
  if (depth == walk.extents.size()) return body(base);
  const std::int64_t stride = walk.strides[0][depth];
  const Expr end = call.size(walk.extents[depth]);
  const Expr step = stride == 1 ? Expr(1) : call.size(stride);
  call.loop(end, [&](const Expr& i) { loop_nest(call, walk, depth + 1, call.let(base + i * step), body); });
}

/// What joins two running values: sums add, whatever they are sums of.
Expr merged(Start start, const Expr& a, const Expr& b) {
  switch (start) {
    case Start::Zero: return add(a, b);
    case Start::One: return wrapping(Op::Mul, a, b);
    case Start::Lowest: return larger(a, b);
    default: return smaller(a, b);
  }
}

/// A group of items for each output: for long reductions to few outputs, which would leave a device
/// idle and lose digits in one long sum.
void emit_grouped(Lowering& lowering, const ReduceRow& row, const Walk& kept, const Walk& inner, std::int64_t count) {
  const Rep input = lowering.input(0);
  Call call(lowering, std::string(row.op) + "_grouped");
  const Buffer x = call.read(input);
  const Buffer y = call.out(0);
  const Element element = computed(x.element);
  const std::int32_t width = std::min(lowering.target().max_group, 64);
  const Array partial = call.array(element, width, true);
  const Expr total_count = call.size(count);
  const std::vector<Expr> inner_extents = sizes(call, inner.extents);
  const auto [group, item] = call.groups(Shape(kept.extents).numel(), width);
  const std::vector<Expr> at = unravel(call, group, sizes(call, kept.extents));
  const Expr base = call.let(dot(call, at, kept.strides[0]));
  const Variable total = call.var(start_value(row.start, element));
  call.loop(item, total_count, width, [&](const Expr& i) {
    const Expr index = call.let(base + dot(call, unravel(call, i, inner_extents), inner.strides[0]));
    call.set(total, row.combine(total, call.load(x, index)));
  });
  call.store(partial, item, total);
  call.barrier();
  call.when(item == 0, [&] {
    const Variable whole = call.var(start_value(row.start, element));
    call.loop(width, [&](const Expr& i) { call.set(whole, merged(row.start, whole, call.load(partial, i))); });
    call.store(y, dot(call, at, kept.strides[1]), row.finish != nullptr ? row.finish(whole, total_count) : Expr(whole));
  });
  call.launch(naru::to_string(input.shape) + " -> " + naru::to_string(lowering.output_shape(0)));
}

void lower_reduce(Lowering& lowering) {
  const Node& node = lowering.node();
  const auto& row = *std::find_if(std::begin(kRows), std::end(kRows), [&](const ReduceRow& r) { return r.op == node.op->name; });
  const Rep input = lowering.input(0);
  const std::vector<bool> reduced = reduced_axes(lowering, input.shape.rank());
  Walk kept{{}, {{}, {}}};
  Walk inner{{}, {{}}};
  const std::vector<std::int64_t> strides = input.shape.strides();
  for (std::size_t d = 0; d < strides.size(); ++d) {
    const std::int64_t extent = input.shape[static_cast<std::int64_t>(d)];
    Walk& walk = reduced[d] ? inner : kept;
    walk.extents.push_back(extent);
    walk.strides[0].push_back(strides[d]);
  }
  kept.strides[1] = Shape(kept.extents).strides();
  const std::int64_t count = Shape(inner.extents).numel();
  kept.collapse();
  inner.collapse();
  constexpr std::int64_t kLong = 4096;
  constexpr std::int64_t kFew = 64;
  const bool groups = count >= kLong && Shape(kept.extents).numel() <= kFew && input.dtype != DType::Bool;
  if (groups && row.op != "ReduceLogSumExp") return emit_grouped(lowering, row, kept, inner, count);
  Call call(lowering, std::string(row.op));
  const Buffer x = call.read(input);
  const Buffer y = call.out(0);
  const Points points = walk_points(call, kept);
  const Element element = computed(x.element);
  Expr shift;
  if (row.op == "ReduceLogSumExp") {
    const Variable largest = call.var(start_value(Start::Lowest, element));
    loop_nest(call, inner, 0, points.index[0], [&](const Expr& i) { call.set(largest, larger(largest, call.load(x, i))); });
    // The shift stays finite, so that rows of infinities do not become NaN.
    const double limit = element == Element::F64 ? std::numeric_limits<double>::max() : std::numeric_limits<float>::max();
    shift = call.let(select(Expr(largest) > literal(element, limit), literal(element, limit),
                            select(Expr(largest) < literal(element, -limit), literal(element, -limit), largest)));
  }
  const Variable total = call.var(start_value(row.start, element));
  loop_nest(call, inner, 0, points.index[0], [&](const Expr& i) {
    Expr value = call.load(x, i);
    if (shift.node() != nullptr) value = apply(Op::Exp, {value - shift});
    call.set(total, row.combine(total, value));
  });
  Expr result = row.finish != nullptr ? row.finish(total, call.size(count)) : Expr(total);
  if (shift.node() != nullptr) result = result + shift;
  call.store(y, points.index[1], result);
  call.launch(naru::to_string(input.shape) + " -> " + naru::to_string(lowering.output_shape(0)));
}

// ArgMax and ArgMin

void lower_arg(Lowering& lowering) {
  const Node& node = lowering.node();
  const Rep input = lowering.input(0);
  const std::int64_t axis = positive_axis(node.attr_int_or("axis", 0), input.shape.rank());
  const bool largest = node.op->name == "ArgMax";
  const bool last = node.attr_int_or("select_last_index", 0) != 0;
  const std::int64_t inner_size = input.shape.numel(axis + 1, input.shape.rank());
  Call call(lowering, node.op->name + (last ? "_last" : ""));
  const Buffer x = call.read(input);
  const Buffer y = call.out(0);
  const Expr inner = call.size(inner_size);
  const Expr length = call.size(input.shape[axis]);
  const auto at = call.points({input.shape.numel(0, axis), inner_size});
  const Expr base = call.let(at[0] * length * inner + at[1]);
  const Variable best = call.var(call.load(x, base));
  const Variable where = call.var(Expr(0));
  call.loop(1, length, 1, [&](const Expr& i) {
    const Expr value = call.load(x, base + i * inner);
    const Expr better = largest ? value > best : value < best;
    call.when(last ? better || value == best : better, [&] {
      call.set(best, value);
      call.set(where, i);
    });
  });
  call.store(y, at[0] * inner + at[1], cast(where, Element::I64));
  call.launch(naru::to_string(input.shape));
}

}  // namespace

void add_reduce_kernels(std::vector<KernelEntry>& table) {
  for (const ReduceRow& row : kRows) table.push_back({row.op, "reduction", refuses_unless_constant<1>, lower_reduce});
  for (const char* op : {"ArgMax", "ArgMin"}) table.push_back({op, "reduction", refuses_types, lower_arg});
}

}  // namespace naru::kernel
