// Tensors made of little: constants, ranges, identities, shapes, window functions, seeded random numbers;
// running sums; top k.
#include <algorithm>

#include "compiler/kernel/walk.h"
#include "graph/evaluate.h"

namespace naru::kernel {
namespace {

/// Operators that ask for no more than the shape and type of their input.
bool by_shape_alone(const Node& node) {
  constexpr std::string_view kOps[] = {"EyeLike", "RandomNormalLike", "RandomUniformLike", "Shape", "Size"};
  return std::find(std::begin(kOps), std::end(kOps), node.op->name) != std::end(kOps);
}

/// The value of a node whose inputs are all constant or do not matter: it is data of the program.
void lower_known(Lowering& lowering) {
  const Node& node = lowering.node();
  std::vector<Datum> inputs;
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    const Tensor* value = lowering.constant(i);
    inputs.emplace_back(!node.has_input(i) ? Tensor() : value != nullptr ? *value : Tensor(lowering.dtype(i), lowering.shape(i)));
  }
  const std::vector<Datum> results = evaluate_node(node, inputs);
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (lowering.has_output(i)) lowering.set_output(i, lowering.literal(results[i].tensor));
  }
}

std::string refuses_known(const NodeView& view, const Target& target) {
  if (view.node.op->nondeterministic && !view.node.has("seed")) return "each run draws other numbers";
  if (!by_shape_alone(view.node)) {
    for (std::size_t i = 0; i < view.input_count(); ++i) {
      if (std::string reason = refuses_variable(view, {i}); !reason.empty()) return reason;
    }
  }
  for (std::size_t i = 0; i < view.output_count(); ++i) {
    if (!view.has_output(i)) continue;
    if (std::string reason = refuses_type(view.output_dtype(i), target); !reason.empty()) return reason;
  }
  return view.node.captures.empty() ? "" : "it runs sub-graphs";
}

/// A value repeated over the output, whose shape is all that the input says.
void lower_filled(Lowering& lowering) {
  const std::vector<std::int64_t> dims = lowering.output_shape(0).dims();
  const Tensor shape = Tensor::from<std::int64_t>(Shape{static_cast<std::int64_t>(dims.size())}, std::span<const std::int64_t>(dims));
  const std::vector<Datum> inputs = {shape};
  lowering.set_output(0, lowering.literal(evaluate_node(lowering.node(), inputs)[0].tensor));
}

std::string refuses_filled(const NodeView& view, const Target& target) { return refuses_type(view.output_dtype(0), target); }

// Running sums and products

void lower_cumulative(Lowering& lowering) {
  const Node& node = lowering.node();
  const Rep input = lowering.input(0);
  const bool multiplies = node.op->name == "CumProd";
  const bool exclusive = node.attr_int("exclusive") != 0;
  const bool reverse = node.attr_int("reverse") != 0;
  const std::int64_t rank = input.shape.rank();
  const std::vector<std::int64_t> dims = input.shape.dims();
  const std::vector<std::int64_t> strides = input.shape.strides();
  Call call(lowering, fmt::format("{}{}{}", node.op->name, exclusive ? "_exclusive" : "", reverse ? "_reverse" : ""));
  const Buffer x = call.read(input);
  const Buffer axis_value = call.in(1);
  const Buffer y = call.out(0);
  const std::vector<Expr> extents = sizes(call, dims);
  const std::vector<Expr> steps = sizes(call, strides);
  const Expr count = call.size(rank);
  const std::int64_t elements = input.numel();
  const auto at = call.points(std::vector<Expr>{call.size(elements)}, std::vector<std::int64_t>{elements});
  // The axis is data: an item works when it stands at the start of a line along it.
  const Expr axis = call.checked_index(call.load(axis_value, 0), count);
  Expr length(1);
  Expr step(1);
  for (std::size_t d = 0; d < dims.size(); ++d) {
    length = select(axis == static_cast<int>(d), extents[d], length);
    step = select(axis == static_cast<int>(d), steps[d], step);
  }
  length = call.let(length);
  step = call.let(step);
  call.when(at[0] / step % length == 0, [&] {
    const Variable running = call.var(literal(computed(x.element), multiplies ? 1 : 0));
    call.loop(length, [&](const Expr& i) {
      const Expr place = call.let(at[0] + (reverse ? length - 1 - i : i) * step);
      // Inside a line by construction; the clamp says so to the bounds analysis.
      const Expr index = call.let(max(min(place, call.size(elements) - 1), 0));
      const Expr next = call.let(wrapping(multiplies ? Op::Mul : Op::Add, running, call.load(x, index)));
      call.store(y, index, exclusive ? Expr(running) : next);
      call.set(running, next);
    });
  });
  call.launch(naru::to_string(input.shape));
}

// TopK

void lower_top_k(Lowering& lowering) {
  const Node& node = lowering.node();
  const Rep input = lowering.input(0);
  const Shape& shape = input.shape;
  const std::int64_t axis = positive_axis(node.attr_int("axis"), shape.rank());
  const bool largest = node.attr_int("largest") != 0;
  const std::int64_t inner_size = shape.numel(axis + 1, shape.rank());
  const std::int64_t k = lowering.ints(1)[0];
  Call call(lowering, largest ? "top_k_largest" : "top_k_smallest");
  const Buffer x = call.read(input);
  const Rep values = lowering.has_output(0) ? lowering.output(0) : lowering.scratch(input.dtype, lowering.output_shape(1));
  const Rep indices = lowering.has_output(1) ? lowering.output(1) : lowering.scratch(DType::I64, lowering.output_shape(0));
  const Buffer y = call.write(values);
  const Buffer where = call.write(indices);
  const Expr length = call.size(shape[axis]);
  const Expr count = call.size(k);
  const std::vector<std::int64_t> extents = {shape.numel(0, axis), inner_size};
  const std::vector<Expr> box = sizes(call, extents);
  const auto at = call.points(box, extents);
  const Expr base = call.let(at[0] * length * box[1] + at[1]);
  const Expr to = call.let(at[0] * count * box[1] + at[1]);
  const bool floats = is_float(computed(x.element));
  // NaN counts as larger than all numbers.
  const auto before = [&](const Expr& a, const Expr& b) {
    const Expr better = largest ? a > b : a < b;
    if (!floats) return better;
    return largest ? better || (a != a && b == b) : better || (a == a && b != b);
  };
  const Variable last = call.var(call.load(x, base));
  const Variable last_at = call.var(Expr(-1));
  // Each round takes the best of what comes after the one before, equals in their order.
  call.loop(count, [&](const Expr& round) {
    const Variable best = call.var(Expr(last));
    const Variable best_at = call.var(Expr(-1));
    call.loop(length, [&](const Expr& i) {
      const Expr value = call.load(x, base + i * box[1]);
      const Expr same = !before(last, value) && !before(value, last);
      const Expr left = Expr(last_at) < 0 || before(last, value) || (same && i > Expr(last_at));
      call.when(call.let(left) && (Expr(best_at) < 0 || before(value, best)), [&] {
        call.set(best, value);
        call.set(best_at, i);
      });
    });
    call.set(last, best);
    call.set(last_at, best_at);
    const Expr place = call.let(to + round * box[1]);
    call.store(y, place, best);
    call.store(where, place, cast(best_at, Element::I64));
  });
  call.launch(naru::to_string(shape));
}

void lower_bit_cast(Lowering& lowering) {
  const Rep input = lowering.input(0);
  lowering.view_as_output(0, input);
}

}  // namespace

void add_generate_kernels(std::vector<KernelEntry>& table) {
  for (const char* op : {"Constant", "EyeLike", "Range", "Shape", "Size", "MelWeightMatrix", "HannWindow", "HammingWindow",
                         "BlackmanWindow", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}) {
    table.push_back({op, "data of the program", refuses_known, lower_known});
  }
  table.push_back({"ConstantOfShape", "data of the program", refuses_filled, lower_filled});
  for (const char* op : {"CumSum", "CumProd"}) table.push_back({op, "running value", refuses_types, lower_cumulative});
  table.push_back({"TopK", "selection", refuses_unless_constant<1>, lower_top_k});
  table.push_back({"BitCast", "view", refuses_types, lower_bit_cast});
}

}  // namespace naru::kernel
