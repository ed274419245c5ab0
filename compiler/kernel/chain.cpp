// Chains: the table of element-wise operators as expressions, and epilogues.
#include "compiler/kernel/chain.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "compiler/kernel/walk.h"
#include "graph/ops/post_ops.h"

namespace naru::kernel {
namespace {

using Args = ElementArgs&;

template <Op op>
Expr unary(Args a) { return apply(op, {a[0]}); }

template <Op op>
Expr binary(Args a) { return apply(op, {a[0], a[1]}); }

template <Op op>
Expr wrapped(Args a) {
  Expr value = a[0];
  for (std::size_t i = 1; i < a.x.size(); ++i) value = wrapping(op, value, a[i]);
  return value;
}

bool floats(const Expr& x) { return is_float(x.element()); }

/// The larger of two, a NaN before numbers.
Expr larger(const Expr& a, const Expr& b) {
  return floats(a) ? select(a > b || a != a, a, b) : max(a, b);
}
Expr smaller(const Expr& a, const Expr& b) {
  return floats(a) ? select(a < b || a != a, a, b) : min(a, b);
}

Expr magnitude(Args a) {
  if (floats(a[0])) return apply(Op::Abs, {a[0]});
  return is_signed(a[0].element()) ? select(a[0] < 0, wrapping(Op::Sub, a.number(0), a[0]), a[0]) : a[0];
}

Expr negated(Args a) { return floats(a[0]) ? -a[0] : wrapping(Op::Sub, a.number(0), a[0]); }

Expr sign(Args a) {
  const Expr one = a.number(1);
  const Expr zero = a.number(0);
  if (!floats(a[0]) && !is_signed(a[0].element())) return select(a[0] > 0, one, zero);
  const Expr below = select(a[0] < 0, a.number(-1), floats(a[0]) ? a[0] : zero);
  return select(a[0] > 0, one, below);
}

Expr sigmoid_of(const Expr& x) { return number(x, 1) / (apply(Op::Exp, {-x}) + 1); }
Expr softplus_of(const Expr& x) {
  const Expr tail = apply(Op::Log1p, {apply(Op::Exp, {-apply(Op::Abs, {x})})});
  return apply(Op::Max, {x, number(x, 0)}) + tail;
}
Expr unit_clamped(const Expr& x) { return select(x < 0, number(x, 0), select(x > 1, number(x, 1), x)); }

Expr relu(Args a) { return select(a[0] < 0, a.number(0), a[0]); }
Expr elu_of(const Expr& x, const Expr& alpha) { return select(x < 0, alpha * apply(Op::Expm1, {x}), x); }

Expr gelu(Args a) {
  const Expr& x = a[0];
  const Expr half = x * a.number(0.5);
  const Expr inner = a.number(std::sqrt(2 / std::numbers::pi)) * (x + a.number(0.044715) * x * x * x);
  const Expr by_tanh = apply(Op::Tanh, {inner});
  const Expr by_erf = apply(Op::Erf, {x * a.number(1 / std::numbers::sqrt2)});
  // alpha is 1 for the tanh form, and known when the kernel is made.
  return half * ((a.alpha.node()->real != 0 ? by_tanh : by_erf) + 1);
}

Expr clip(Args a) {
  Expr value = a[0];
  if (a.x.size() == 1) {  // a step of a chain
    value = a.let(select(value < a.alpha, a.alpha, value));
    return select(value > a.beta, a.beta, value);
  }
  return value;
}

Expr divided(Args a) {
  if (floats(a[0])) return a[0] / a[1];
  a.call.require(a[1] != 0, "an integer divisor 0");
  const Expr divisor = a.let(select(a[1] == 0, a.number(1), a[1]));
  if (!is_signed(a[0].element())) return a[0] / divisor;
  const Expr minus = divisor == -1;  // the smallest number has no positive counterpart
  return select(minus, wrapping(Op::Sub, a.number(0), a[0]), a[0] / a.let(select(minus, a.number(1), divisor)));
}

Expr modulo(Args a) {
  const bool truncated = a.alpha.node()->real != 0;
  if (floats(a[0])) {
    const Expr rest = a.let(apply(Op::Fmod, {a[0], a[1]}));
    if (truncated) return rest;
    return select(rest != 0 && (rest < 0) != (a[1] < 0), rest + a[1], rest);
  }
  a.call.require(a[1] != 0, "an integer divisor 0");
  const Expr one = a.number(1);
  const Expr divisor = a.let(select(a[1] == 0 || (is_signed(a[1].element()) ? a[1] == -1 : a[1] == 0), one, a[1]));
  const Expr rest = a.let(a[0] % divisor);
  if (truncated || !is_signed(a[0].element())) return rest;
  return select(rest != 0 && (rest < 0) != (divisor < 0), rest + divisor, rest);
}

template <Expr (*combine)(const Expr&, const Expr&)>
Expr folded(Args a) {
  Expr value = a[0];
  for (std::size_t i = 1; i < a.x.size(); ++i) value = a.let(combine(value, a[i]));
  return value;
}

Expr mean(Args a) { return wrapped<Op::Add>(a) / a.number(static_cast<double>(a.x.size())); }

Expr prelu(Args a) {
  if (!floats(a[0]) && !is_signed(a[0].element())) return a[0];
  return select(a[0] < 0, wrapping(Op::Mul, a[1], a[0]), a[0]);
}

Expr shifted(Args a) {
  const Element element = a[0].element();
  const Expr bits = number(a[1], static_cast<double>(8 * size_of(element)));
  const Expr outside = is_signed(element) ? a[1] < 0 || a[1] >= bits : a[1] >= bits;
  const Expr amount = a.let(select(outside, number(a[1], 0), a[1]));
  if (a.alpha.node()->real != 0) {
    const Element raw = is_signed(element) ? static_cast<Element>(static_cast<int>(element) + 4) : element;
    const Expr moved = bit_cast(apply(Op::ShiftLeft, {bit_cast(a[0], raw), bit_cast(amount, raw)}), element);
    return select(outside, a.number(0), moved);
  }
  const Expr empty = is_signed(element) ? select(a[0] < 0, a.number(-1), a.number(0)) : a.number(0);
  return select(outside, empty, apply(Op::ShiftRight, {a[0], amount}));
}

/// base to the power of a whole exponent, modulo 2^n.
Expr integer_power(Args a, const Expr& exponent) {
  const Variable result = a.call.var(a.number(1));
  const Variable base = a.call.var(a[0]);
  const Variable left = a.call.var(exponent);
  a.call.loop(64, [&](const Expr&) {
    a.call.when(left > 0, [&] {
      a.call.when(Expr(left) % 2 == 1, [&] { a.call.set(result, wrapping(Op::Mul, result, base)); });
      a.call.set(base, wrapping(Op::Mul, base, base));
      a.call.set(left, Expr(left) / 2);
    });
  });
  const Expr odd = exponent % 2 != 0;
  const Expr inverse = select(a[0] == 1, a.number(1), select(a[0] == -1, select(odd, a.number(-1), a.number(1)), a.number(0)));
  return is_signed(exponent.element()) ? select(exponent < 0, inverse, result) : Expr(result);
}

Expr power(Args a) {
  const Element base = a[0].element();
  if (floats(a[0])) return apply(Op::Pow, {a[0], a.let(cast(a[1], base))});
  if (!floats(a[1])) return integer_power(a, a[1]);
  const Element wide = a[1].element();
  return cast(apply(Op::Pow, {cast(a[0], wide), a[1]}), base);
}

Expr shrink(Args a) {
  const Element wide = floats(a[0]) ? a[0].element() : Element::F32;
  const Expr value = a.let(cast(a[0], wide));
  const Expr step = cast(cast(a.alpha, wide), a[0].element());
  const Expr above = select(value > a.beta, wrapping(Op::Sub, a[0], step), a.number(0));
  return select(value < -a.beta, wrapping(Op::Add, a[0], step), above);
}

Expr is_infinite(Args a) {
  const Expr infinity = a.number(INFINITY);
  const Expr no = literal(Element::Bool, 0);
  const Expr below = a.alpha.node()->real != 0 ? a[0] == -infinity : no;
  return below || (a.beta.node()->real != 0 ? a[0] == infinity : no);
}

Expr bits_flipped(Args a) { return cast(apply(Op::BitNot, {a[0]}), a[0].element()); }

constexpr ElementOp kOps[] = {
    {"Abs", magnitude},
    {"Neg", negated},
    {"Sign", sign},
    {"Ceil", unary<Op::Ceil>},
    {"Floor", unary<Op::Floor>},
    {"Round", unary<Op::Round>},
    {"Exp", unary<Op::Exp>},
    {"Log", unary<Op::Log>},
    {"Sqrt", unary<Op::Sqrt>},
    {"Reciprocal", [](Args a) { return a.number(1) / a[0]; }},
    {"Sin", unary<Op::Sin>},
    {"Cos", unary<Op::Cos>},
    {"Tan", unary<Op::Tan>},
    {"Asin", unary<Op::Asin>},
    {"Acos", unary<Op::Acos>},
    {"Atan", unary<Op::Atan>},
    {"Sinh", unary<Op::Sinh>},
    {"Cosh", unary<Op::Cosh>},
    {"Tanh", unary<Op::Tanh>},
    {"Asinh", unary<Op::Asinh>},
    {"Acosh", unary<Op::Acosh>},
    {"Atanh", unary<Op::Atanh>},
    {"Erf", unary<Op::Erf>},
    {"Sigmoid", [](Args a) { return sigmoid_of(a[0]); }},
    {"Relu", relu},
    {"LeakyRelu", [](Args a) { return select(a[0] < 0, a.alpha * a[0], a[0]); }, "alpha"},
    {"ThresholdedRelu", [](Args a) { return select(a[0] > a.alpha, a[0], a.number(0)); }, "alpha"},
    {"Elu", [](Args a) { return elu_of(a[0], a.alpha); }, "alpha"},
    {"Selu", [](Args a) { return a.beta * elu_of(a[0], a.alpha); }, "alpha", "gamma"},
    {"Celu", [](Args a) { return select(a[0] > 0, a[0], a.alpha * apply(Op::Expm1, {a[0] / a.alpha})); }, "alpha"},
    {"Gelu", gelu, "approximate"},
    {"HardSigmoid", [](Args a) { return unit_clamped(a.let(a.alpha * a[0] + a.beta)); }, "alpha", "beta"},
    {"HardSwish", [](Args a) { return a[0] * unit_clamped(a.let(a[0] / a.number(6) + a.number(0.5))); }},
    {"Mish", [](Args a) { return a[0] * apply(Op::Tanh, {softplus_of(a[0])}); }},
    {"Softplus", [](Args a) { return softplus_of(a[0]); }},
    {"Softsign", [](Args a) { return a[0] / (apply(Op::Abs, {a[0]}) + 1); }},
    {"Swish", [](Args a) { return a[0] * sigmoid_of(a.alpha * a[0]); }, "alpha"},
    {"Shrink", shrink, "bias", "lambd"},
    {"IsNaN", [](Args a) { return a[0] != a[0]; }},
    {"IsInf", is_infinite, "detect_negative", "detect_positive"},
    {"Not", unary<Op::Not>},
    {"BitwiseNot", bits_flipped},
    {"Add", wrapped<Op::Add>},
    {"Sub", wrapped<Op::Sub>},
    {"Mul", wrapped<Op::Mul>},
    {"Div", divided},
    {"Mod", modulo, "fmod"},
    {"Pow", power},
    {"PRelu", prelu},
    {"Max", folded<larger>},
    {"Min", folded<smaller>},
    {"Sum", wrapped<Op::Add>},
    {"Mean", mean},
    {"Clip", clip},
    {"Equal", binary<Op::Equal>},
    {"Less", binary<Op::Less>},
    {"Greater", [](Args a) { return a[0] > a[1]; }},
    {"LessOrEqual", binary<Op::LessEqual>},
    {"GreaterOrEqual", [](Args a) { return a[0] >= a[1]; }},
    {"And", binary<Op::And>},
    {"Or", binary<Op::Or>},
    {"Xor", binary<Op::NotEqual>},
    {"BitwiseAnd", binary<Op::BitAnd>},
    {"BitwiseOr", binary<Op::BitOr>},
    {"BitwiseXor", binary<Op::BitXor>},
    {"BitShift", shifted, "direction"},
    {"Where", [](Args a) { return select(a[0], a[1], a[2]); }},
};

}  // namespace

std::span<const ElementOp> element_ops() { return kOps; }

const ElementOp* find_element_op(std::string_view op) {
  const auto found = std::find_if(std::begin(kOps), std::end(kOps), [&](const ElementOp& row) { return row.op == op; });
  return found == std::end(kOps) ? nullptr : found;
}

Expr apply_element(Call& call, std::string_view op, std::vector<Expr> operands, double alpha, double beta) {
  const ElementOp* row = find_element_op(op);
  NARU_CHECK(row != nullptr, "no element-wise operator " + std::string(op));
  const Element element = is_float(operands[0].element()) ? operands[0].element() : Element::F32;
  ElementArgs args{call, std::move(operands), literal(element, alpha), literal(element, beta)};
  return call.let(row->function(args));
}

namespace {

/// The shape with dimensions from `first` on as one.
Shape merged_shape(const Shape& shape, std::int64_t first) {
  std::vector<std::int64_t> dims(shape.begin(), shape.begin() + first);
  if (first < shape.rank()) dims.push_back(shape.numel(first, shape.rank()));
  return Shape(dims);
}

}  // namespace

bool Chain::merges(const Lowering& lowering, const Shape& output, std::int64_t merge_from) {
  const Node& node = lowering.node();
  if (!node.has("post_ops")) return true;
  for (std::size_t i = first_operand(node); i < node.inputs.size(); ++i) {
    const Shape own = with_rank(lowering.shape(i), output.rank());
    bool same = true, single = true;
    for (std::int64_t d = merge_from; d < output.rank(); ++d) {
      same = same && own[d] == output[d];
      single = single && own[d] == 1;
    }
    if (!same && !single) return false;
  }
  return true;
}

Chain::Chain(Lowering& lowering, Call& call, const Shape& output, std::int64_t merge_from) {
  const Node& node = lowering.node();
  if (!node.has("post_ops")) return;
  const Shape walked = merged_shape(output, merge_from);
  std::size_t operand = first_operand(node);
  for (const PostStep& step : post_steps(node)) {
    Step made{step.op->name, step.alpha, step.beta, std::nullopt, {}};
    if (step.op->binary) {
      const Rep rep = lowering.input(operand++);
      made.operand = call.read(rep);
      const Shape own = merged_shape(with_rank(rep.shape, output.rank()), merge_from);
      for (const std::int64_t stride : broadcast_strides(own, walked)) {
        made.strides.push_back(stride <= 1 ? Expr(stride) : call.size(stride));
      }
    }
    steps_.push_back(std::move(made));
  }
}

bool Chain::takes_vectors() const {
  return std::all_of(steps_.begin(), steps_.end(), [](const Step& step) {
    return !step.operand || (step.operand->element == Element::F32 && step.strides.back().known().has_value());
  });
}

Expr Chain::apply(Call& call, Expr value, const std::vector<Expr>& at) const {
  for (const Step& step : steps_) {
    std::vector<Expr> operands = {value};
    if (step.operand) {
      Expr index(0);
      for (std::size_t d = 0; d < at.size(); ++d) index = index + at[d] * step.strides[d];
      const bool repeats = step.strides.empty() || step.strides.back().known() == 0;
      operands.push_back(call.load(*step.operand, index, repeats ? 1 : value.type().lanes));
    }
    value = apply_element(call, step.op, std::move(operands), step.alpha, step.beta);
  }
  return value;
}

}  // namespace naru::kernel
