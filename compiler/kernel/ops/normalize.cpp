// Softmax and normalisations: statistics of lines of elements, then one pass over each line.
#include <algorithm>
#include <cmath>

#include "compiler/kernel/walk.h"

namespace naru::kernel {
namespace {

/// Lines of a tensor along one axis, or from one axis on.
struct Lines {
  std::int64_t outer = 1;
  std::int64_t length = 1;
  std::int64_t inner = 1;
};

Lines lines_along(const Shape& shape, std::int64_t axis) {
  axis = positive_axis(axis, shape.rank());
  if (shape.rank() == 0) return {};
  return {shape.numel(0, axis), shape[axis], shape.numel(axis + 1, shape.rank())};
}

/// A loop over one line per item.
struct LineLoop {
  Call& call;
  Expr base, length, inner, outer_at, inner_at;

  LineLoop(Call& call_, const Lines& lines) : call(call_) {
    length = call.size(lines.length);
    inner = lines.inner == 1 ? Expr(1) : call.size(lines.inner);
    const auto at = call.points({lines.outer, lines.inner});
    outer_at = at[0];
    inner_at = at[1];
    base = call.let(lines.inner == 1 ? at[0] * length : at[0] * length * inner + at[1]);
  }

  void each(const std::function<void(Expr at, Expr i)>& body) const {
    call.loop(length, [&](const Expr& i) { body(call.let(base + i * inner), i); });
  }
  /// The sum of what `value` gives for each element.
  Expr sum(const std::function<Expr(Expr at)>& value) const {
    const Variable total = call.var(literal(element_of_sum, 0));
    each([&](const Expr& at, const Expr&) { call.set(total, Expr(total) + value(at)); });
    return total;
  }
  Element element_of_sum = Element::F32;
};

// Softmax, LogSoftmax, Hardmax

enum class Soft : std::uint8_t { Plain, Log, Hard };

template <Soft form>
void lower_soft(Lowering& lowering) {
  const Rep input = lowering.input(0);
  Call call(lowering, form == Soft::Plain ? "softmax" : form == Soft::Log ? "log_softmax" : "hardmax");
  const Buffer x = call.read(input);
  const Buffer y = call.out(0);
  LineLoop line(call, lines_along(input.shape, lowering.node().attr_int_or("axis", -1)));
  line.element_of_sum = computed(x.element);
  const Variable largest = call.var(call.load(x, line.base));
  const Variable where = call.var(Expr(0));
  line.each([&](const Expr& at, const Expr& i) {
    const Expr value = call.load(x, at);
    if (form == Soft::Hard) {
      call.when(value > largest, [&] {
        call.set(largest, value);
        call.set(where, i);
      });
    } else {
      call.set(largest, apply(Op::Max, {largest, value}));
    }
  });
  if (form == Soft::Hard) {
    line.each([&](const Expr& at, const Expr& i) {
      call.store(y, at, cast(select(i == Expr(where), Expr(1), Expr(0)), y.element));
    });
  } else if (form == Soft::Plain && y.element == x.element && y.element != Element::F16 && y.element != Element::BF16) {
    // The exponentials are kept in the output between the passes.
    const Expr total = line.sum([&](const Expr& at) {
      const Expr power = call.let(apply(Op::Exp, {call.load(x, at) - largest}));
      call.store(y, at, power);
      return power;
    });
    const Expr scale = call.let(number(total, 1) / total);
    line.each([&](const Expr& at, const Expr&) { call.store(y, at, call.load(y, at) * scale); });
  } else {
    const Expr total = line.sum([&](const Expr& at) { return apply(Op::Exp, {call.load(x, at) - largest}); });
    const Expr shift = call.let(apply(Op::Log, {total}));
    line.each([&](const Expr& at, const Expr&) {
      const Expr value = call.load(x, at) - largest;
      call.store(y, at, form == Soft::Log ? value - shift : apply(Op::Exp, {value}) / total);
    });
  }
  call.launch(naru::to_string(input.shape));
}

// Layer and RMS normalisation

/// Mean and 1 / deviation of the line; with `centred` false the mean is taken as 0.
std::pair<Expr, Expr> moments(const LineLoop& line, const std::function<Expr(Expr)>& value, double epsilon, bool centred) {
  const Expr count = cast(line.length, line.element_of_sum);
  Expr mean = literal(line.element_of_sum, 0);
  if (centred) mean = line.call.let(line.sum(value) / count);
  const Expr squares = line.sum([&](const Expr& at) {
    const Expr difference = line.call.let(value(at) - mean);
    return difference * difference;
  });
  const Expr variance = squares / count + line.call.real(line.element_of_sum, epsilon);
  return {mean, line.call.let(literal(line.element_of_sum, 1) / apply(Op::Sqrt, {variance}))};
}

template <bool centred>
void lower_rows(Lowering& lowering) {
  const Node& node = lowering.node();
  const Rep input = lowering.input(0);
  const std::int64_t rank = input.shape.rank();
  const std::int64_t axis = positive_axis(node.attr_int_or("axis", -1), rank);
  Call call(lowering, centred ? "layer_norm" : "rms_norm");
  const Buffer x = call.read(input);
  const Buffer y = call.out(0);
  // A parameter is walked as [rows, elements of a row]: one that varies over both is spread first.
  struct Parameter {
    Buffer buffer;
    Expr row_stride;
    Expr stride;
  };
  std::vector<Parameter> parameters;
  for (const std::size_t i : {std::size_t{1}, std::size_t{2}}) {
    if (!lowering.has_input(i)) continue;
    const Rep rep = lowering.input(i);
    const bool whole = rep.numel() == input.numel();
    const bool one = rep.numel() == 1;
    parameters.push_back({call.read(rep), whole && !one ? call.size(input.shape.numel(axis, rank)) : Expr(0), one ? Expr(0) : Expr(1)});
  }
  LineLoop line(call, {input.shape.numel(0, axis), input.shape.numel(axis, rank), 1});
  line.element_of_sum = computed(x.element);
  const auto [mean, factor] = moments(line, [&](const Expr& at) { return call.load(x, at); }, node.attr_float("epsilon"), centred);
  line.each([&, mean = mean, factor = factor](const Expr& at, const Expr& i) {
    Expr value = (call.load(x, at) - mean) * factor;
    for (std::size_t p = 0; p < parameters.size(); ++p) {
      const Parameter& parameter = parameters[p];
      const Expr weight = cast(call.load(parameter.buffer, line.outer_at * parameter.row_stride + i * parameter.stride), value.element());
      value = p == 0 ? value * weight : value + weight;
    }
    call.store(y, at, cast(value, y.element));
  });
  for (const std::size_t i : {std::size_t{1}, std::size_t{2}}) {
    if (!lowering.has_output(i)) continue;
    const Buffer statistics = call.out(i);
    call.store(statistics, line.outer_at, cast(i == 1 ? mean : factor, statistics.element));
  }
  call.launch(naru::to_string(input.shape));
}

std::string refuses_rows(const NodeView& view, const Target& target) {
  if (std::string reason = refuses_types(view, target); !reason.empty()) return reason;
  if (!view.has_input(0) || !view.type(0).is_static()) return "";
  const Shape x = view.shape(0);
  const std::int64_t axis = positive_axis(view.node.attr_int_or("axis", -1), x.rank());
  const std::int64_t row = x.numel(axis, x.rank());
  for (std::size_t i = 1; i < view.input_count(); ++i) {
    if (!view.has_input(i) || !view.type(i).is_static()) continue;
    const std::int64_t count = view.shape(i).numel();
    if (count != 1 && count != row && count != x.numel()) return "a parameter that repeats inside a row";
  }
  return "";
}

// Batch, instance and group normalisation

void lower_batch(Lowering& lowering) {
  const Node& node = lowering.node();
  const Rep input = lowering.input(0);
  const Shape& shape = input.shape;
  const std::int64_t channels = shape.rank() > 1 ? shape[1] : 1;
  const std::int64_t inner = shape.rank() > 2 ? shape.numel(2, shape.rank()) : 1;
  Call call(lowering, "batch_norm");
  const Buffer x = call.read(input);
  const Buffer y = call.out(0);
  std::vector<Buffer> parameters;
  for (std::size_t i = 1; i <= 4; ++i) parameters.push_back(call.in(i));
  const Expr epsilon = call.real(x.element, node.attr_float("epsilon"));
  const std::vector<Expr> extents = sizes(call, std::vector<std::int64_t>{shape[0], channels, inner});
  const auto at = call.points(extents, std::vector<std::int64_t>{shape[0], channels, inner});
  const auto parameter = [&](std::size_t i) { return cast(call.load(parameters[i], at[1]), computed(x.element)); };
  const Expr factor = call.let(parameter(0) / apply(Op::Sqrt, {parameter(3) + epsilon}));
  const Expr index = call.let(ravel(at, extents));
  call.store(y, index, (call.load(x, index) - parameter(2)) * factor + parameter(1));
  call.launch(naru::to_string(shape));
}

std::string refuses_batch(const NodeView& view, const Target& target) {
  if (view.node.attr_int_or("training_mode", 0) != 0) return "training mode";
  return refuses_types(view, target);
}

template <bool grouped>
void lower_groups(Lowering& lowering) {
  const Node& node = lowering.node();
  const Rep input = lowering.input(0);
  const Shape& shape = input.shape;
  const std::int64_t groups = grouped ? node.attr_int("num_groups") : shape[1];
  const std::int64_t per_group = shape[1] / groups;
  const std::int64_t plane = shape.numel(2, shape.rank());
  Call call(lowering, grouped ? "group_norm" : "instance_norm");
  const Buffer x = call.read(input);
  const Buffer y = call.out(0);
  const Buffer scale = call.in(1);
  const Buffer bias = call.in(2);
  const Expr plane_size = call.size(plane);
  const Expr group_count = call.size(groups);
  const Expr channels = call.size(per_group);
  LineLoop line(call, {shape[0] * groups, per_group * plane, 1});
  line.element_of_sum = computed(x.element);
  const auto [mean, factor] = moments(line, [&](const Expr& at) { return call.load(x, at); }, node.attr_float("epsilon"), true);
  const Expr first = call.let(line.outer_at % group_count * channels);
  line.each([&, mean = mean, factor = factor](const Expr& at, const Expr& i) {
    const Expr channel = call.let(first + i / plane_size);
    const Expr weight = cast(call.load(scale, channel), computed(x.element));
    call.store(y, at, (call.load(x, at) - mean) * factor * weight + cast(call.load(bias, channel), computed(x.element)));
  });
  call.launch(naru::to_string(shape));
}

// LpNormalization and LRN

void lower_lp(Lowering& lowering) {
  const Rep input = lowering.input(0);
  const bool squares = lowering.node().attr_int("p") == 2;
  Call call(lowering, squares ? "l2_norm" : "l1_norm");
  const Buffer x = call.read(input);
  const Buffer y = call.out(0);
  LineLoop line(call, lines_along(input.shape, lowering.node().attr_int("axis")));
  line.element_of_sum = computed(x.element);
  Expr norm = line.sum([&](const Expr& at) {
    const Expr value = call.load(x, at);
    return squares ? value * value : apply(Op::Abs, {value});
  });
  if (squares) norm = call.let(apply(Op::Sqrt, {norm}));
  // A zero vector stays zero.
  const Expr divisor = call.let(select(norm == 0, number(norm, 1), norm));
  line.each([&](const Expr& at, const Expr&) { call.store(y, at, call.load(x, at) / divisor); });
  call.launch(naru::to_string(input.shape));
}

void lower_lrn(Lowering& lowering) {
  const Node& node = lowering.node();
  const Rep input = lowering.input(0);
  const Shape& shape = input.shape;
  const std::int64_t size = node.attr_int("size");
  const std::vector<std::int64_t> dims = {shape[0], shape[1], shape.numel(2, shape.rank())};
  Call call(lowering, "lrn");
  const Buffer x = call.read(input);
  const Buffer y = call.out(0);
  const Element element = computed(x.element);
  const Expr before = call.size((size - 1) / 2);
  const Expr after = call.size(size - 1 - (size - 1) / 2);
  const Expr alpha = call.real(element, node.attr_float("alpha") / static_cast<double>(size));
  const Expr beta = call.real(element, node.attr_float("beta"));
  const Expr bias = call.real(element, node.attr_float("bias"));
  const std::vector<Expr> extents = sizes(call, dims);
  const auto at = call.points(extents, dims);
  const Variable squares = call.var(literal(element, 0));
  const Expr first = call.let(max(at[1] - before, 0));
  const Expr end = call.let(min(at[1] + after + 1, extents[1]));
  call.loop(first, end, 1, [&](const Expr& channel) {
    const Expr value = call.load(x, ravel({at[0], channel, at[2]}, extents));
    call.set(squares, multiply_add(value, value, squares));
  });
  const Expr index = call.let(ravel(at, extents));
  call.store(y, index, call.load(x, index) / apply(Op::Pow, {bias + alpha * squares, beta}));
  call.launch(naru::to_string(shape));
}

}  // namespace

void add_normalize_kernels(std::vector<KernelEntry>& table) {
  table.push_back({"Softmax", "softmax", refuses_types, lower_soft<Soft::Plain>});
  table.push_back({"LogSoftmax", "softmax", refuses_types, lower_soft<Soft::Log>});
  table.push_back({"Hardmax", "softmax", refuses_types, lower_soft<Soft::Hard>});
  table.push_back({"LayerNormalization", "normalisation", refuses_rows, lower_rows<true>});
  table.push_back({"RMSNormalization", "normalisation", refuses_rows, lower_rows<false>});
  table.push_back({"BatchNormalization", "normalisation", refuses_batch, lower_batch});
  table.push_back({"InstanceNormalization", "normalisation", refuses_types, lower_groups<false>});
  table.push_back({"GroupNormalization", "normalisation", refuses_types, lower_groups<true>});
  table.push_back({"LpNormalization", "normalisation", refuses_types, lower_lp});
  table.push_back({"LRN", "normalisation", refuses_types, lower_lrn});
}

}  // namespace naru::kernel
