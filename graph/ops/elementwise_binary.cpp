// Element-wise operators of two or more inputs that broadcast: arithmetic, comparison, logic, bits.
#include <algorithm>
#include <cmath>
#include <limits>

#include "graph/op_def.h"
#include "graph/ops/broadcast.h"
#include "graph/ops/families.h"
#include "graph/ops/symbolic.h"
#include "graph/ops/type_set.h"
#include "graph/scalar.h"

namespace naru {
namespace {

/// What functions see of the node besides the elements.
struct Params {
  bool flag = false;       ///< fmod of Mod, direction LEFT of BitShift
  int bits = 64;           ///< width of an element
};

template <typename T>
using Function = T (*)(T, T, const Params&);
using SymFunction = std::optional<Dim> (*)(const Dim&, const Dim&);

enum class Inputs : std::uint8_t {
  Two,        ///< both broadcast to the output
  OntoFirst,  ///< the second broadcasts to the first
  Variadic,   ///< one or more, folded from the left
};

/// One operator; functions exist for the wide types that `types` can have.
struct BinaryOp {
  const char* name;
  int version;
  const char* doc;
  TypeSet types;
  Function<double> on_float;
  Function<std::int64_t> on_signed;
  Function<std::uint64_t> on_unsigned;
  Inputs inputs = Inputs::Two;
  std::vector<AttrSpec> attributes = {};
  DType output = DType::Undefined;  ///< Undefined: that of the inputs
  SymFunction on_dims = nullptr;
  bool divides = false;  ///< an integer zero in a later input is an error
  bool (*decompose)(DecomposeContext&) = nullptr;

  BinaryOp& takes(Inputs which) {
    inputs = which;
    return *this;
  }
  BinaryOp& attrs(std::vector<AttrSpec> specs) {
    attributes = std::move(specs);
    return *this;
  }
  BinaryOp& gives(DType dtype) {
    output = dtype;
    return *this;
  }
  /// What it does to symbolic shape elements, of which at least one is no number.
  BinaryOp& dims(SymFunction function) {
    on_dims = function;
    return *this;
  }
  BinaryOp& dividing() {
    divides = true;
    return *this;
  }
  BinaryOp& rewrite(bool (*function)(DecomposeContext&)) {
    decompose = function;
    return *this;
  }
};

BinaryOp op(const char* name, int version, const char* doc, TypeSet types, Function<double> on_float,
            Function<std::int64_t> on_signed, Function<std::uint64_t> on_unsigned) {
  return {name, version, doc, types, on_float, on_signed, on_unsigned};
}

// Integer arithmetic modulo 2^64: narrower types keep the low bits when stored.

using I = std::int64_t;
using U = std::uint64_t;
using P = const Params&;

I add(I a, I b) { return static_cast<I>(static_cast<U>(a) + static_cast<U>(b)); }
I subtract(I a, I b) { return static_cast<I>(static_cast<U>(a) - static_cast<U>(b)); }
I multiply(I a, I b) { return static_cast<I>(static_cast<U>(a) * static_cast<U>(b)); }
// Divisors are not zero here; -1 is apart because the smallest i64 has no negative.
I divide(I a, I b) { return b == -1 ? subtract(0, a) : a / b; }
I remainder(I a, I b) { return b == -1 ? 0 : a % b; }

I modulo(I a, I b, P p) {
  const I rest = remainder(a, b);
  return !p.flag && rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

double modulo(double a, double b, P p) {
  const double rest = std::fmod(a, b);
  if (p.flag || std::isnan(rest)) return rest;
  if (rest == 0) return std::copysign(0.0, b);
  return (rest < 0) != (b < 0) ? rest + b : rest;
}

double maximum(double a, double b) { return a > b || std::isnan(a) ? a : b; }
double minimum(double a, double b) { return a < b || std::isnan(a) ? a : b; }

bool shifts_out(U amount, P p) { return amount >= static_cast<U>(p.bits); }

I shift(I x, I amount, P p) {
  // A negative amount is a huge unsigned one.
  if (p.flag) return shifts_out(static_cast<U>(amount), p) ? 0 : static_cast<I>(static_cast<U>(x) << amount);
  return shifts_out(static_cast<U>(amount), p) ? (x < 0 ? -1 : 0) : x >> amount;
}

U shift(U x, U amount, P p) {
  if (shifts_out(amount, p)) return 0;
  return p.flag ? x << amount : x >> amount;
}

// Symbolic shape elements

std::optional<Dim> dim_divide(const Dim& a, const Dim& b) {
  // Division truncates in ONNX; on sizes, which are not negative, that is the floor.
  if (!b.is_nonnegative() || b == Dim(0)) return std::nullopt;
  return floor_div(a, b);
}

std::optional<Dim> dim_modulo(const Dim& a, const Dim& b) {
  if (!a.is_nonnegative() || !(b - 1).is_nonnegative()) return std::nullopt;
  return a - floor_div(a, b) * b;
}

std::optional<Dim> as_dim(std::optional<bool> truth) {
  if (!truth) return std::nullopt;
  return Dim(*truth ? 1 : 0);
}

std::optional<Dim> negated(std::optional<bool> truth) {
  if (!truth) return std::nullopt;
  return Dim(*truth ? 0 : 1);
}

// Decompositions

bool decompose_fold(DecomposeContext& ctx, std::string_view pair_op) {
  ValueId folded = ctx.input(0);
  for (std::size_t i = 1; i < ctx.input_count(); ++i) {
    folded = ctx.add(pair_op, {folded, ctx.input(i)});
  }
  ctx.set_output(0, ctx.input_count() == 1 ? ctx.add("Identity", {folded}) : folded);
  return true;
}

bool decompose_sum(DecomposeContext& ctx) { return decompose_fold(ctx, "Add"); }

bool decompose_max(DecomposeContext& ctx) {
  return ctx.input_count() != 2 && decompose_fold(ctx, "Max");
}

bool decompose_min(DecomposeContext& ctx) {
  return ctx.input_count() != 2 && decompose_fold(ctx, "Min");
}

bool decompose_mean(DecomposeContext& ctx) {
  const DType dtype = ctx.type(ctx.input(0)).dtype;
  if (dtype == DType::Undefined) return false;
  ValueId sum = ctx.input(0);
  for (std::size_t i = 1; i < ctx.input_count(); ++i) sum = ctx.add("Add", {sum, ctx.input(i)});
  const ValueId count = ctx.scalar(dtype, static_cast<double>(ctx.input_count()));
  ctx.set_output(0, ctx.add("Div", {sum, count}));
  return true;
}

bool decompose_or_equal(DecomposeContext& ctx, std::string_view strict) {
  // Not(Greater) would be true for NaN.
  const ValueId strictly = ctx.add(strict, {ctx.input(0), ctx.input(1)});
  const ValueId equal = ctx.add("Equal", {ctx.input(0), ctx.input(1)});
  ctx.set_output(0, ctx.add("Or", {strictly, equal}));
  return true;
}

bool decompose_less_or_equal(DecomposeContext& ctx) { return decompose_or_equal(ctx, "Less"); }
bool decompose_greater_or_equal(DecomposeContext& ctx) { return decompose_or_equal(ctx, "Greater"); }

bool decompose_xor(DecomposeContext& ctx) {
  ctx.set_output(0, ctx.add("Not", {ctx.add("Equal", {ctx.input(0), ctx.input(1)})}));
  return true;
}

bool decompose_prelu(DecomposeContext& ctx) {
  const DType dtype = ctx.type(ctx.input(0)).dtype;
  if (dtype == DType::Undefined) return false;
  const ValueId scaled = ctx.add("Mul", {ctx.input(0), ctx.input(1)});
  const ValueId below = ctx.add("Less", {ctx.input(0), ctx.scalar(dtype, 0)});
  ctx.set_output(0, ctx.add("Where", {below, scaled, ctx.input(0)}));
  return true;
}

// The table

constexpr TypeSet kEqualTypes = kNumbers | kBool | TypeSet{DType::String};
constexpr TypeSet kPReluTypes = kFloats | TypeSet{DType::I64, DType::I32, DType::U64, DType::U32};

std::vector<BinaryOp> arithmetic_ops() {
  return {
      op("Add", 14, "The sum, wrapping around for integers.", kNumbers,
         [](double a, double b, P) { return a + b; }, [](I a, I b, P) { return add(a, b); },
         [](U a, U b, P) { return a + b; })
          .dims([](const Dim& a, const Dim& b) -> std::optional<Dim> { return a + b; }),
      op("Sub", 14, "The difference, wrapping around for integers.", kNumbers,
         [](double a, double b, P) { return a - b; }, [](I a, I b, P) { return subtract(a, b); },
         [](U a, U b, P) { return a - b; })
          .dims([](const Dim& a, const Dim& b) -> std::optional<Dim> { return a - b; }),
      op("Mul", 14, "The product, wrapping around for integers.", kNumbers,
         [](double a, double b, P) { return a * b; }, [](I a, I b, P) { return multiply(a, b); },
         [](U a, U b, P) { return a * b; })
          .dims([](const Dim& a, const Dim& b) -> std::optional<Dim> { return a * b; }),
      op("Div", 14, "The quotient; integers truncate toward zero, an integer divisor 0 is an error.",
         kNumbers, [](double a, double b, P) { return a / b; },
         [](I a, I b, P) { return divide(a, b); }, [](U a, U b, P) { return a / b; })
          .dividing()
          .dims(dim_divide),
      op("Mod", 28, "The remainder of the floored, or with fmod=1 the truncated, quotient.", kNumbers,
         [](double a, double b, P p) { return modulo(a, b, p); },
         [](I a, I b, P p) { return modulo(a, b, p); }, [](U a, U b, P) { return a % b; })
          .attrs({{"fmod", AttrKind::Int, "1: the sign is that of A, as C's fmod", I{0}}})
          .dividing()
          .dims(dim_modulo),
      op("PRelu", 16, "X, or slope * X below zero.", kPReluTypes,
         [](double x, double slope, P) { return x < 0 ? slope * x : x; },
         [](I x, I slope, P) { return x < 0 ? multiply(slope, x) : x; },
         [](U x, U, P) { return x; })
          .takes(Inputs::OntoFirst)
          .rewrite(decompose_prelu),
      op("Max", 13, "The largest of the inputs; NaN wins.", kNumbers,
         [](double a, double b, P) { return maximum(a, b); },
         [](I a, I b, P) { return std::max(a, b); }, [](U a, U b, P) { return std::max(a, b); })
          .takes(Inputs::Variadic)
          .dims([](const Dim& a, const Dim& b) -> std::optional<Dim> { return max(a, b); })
          .rewrite(decompose_max),
      op("Min", 13, "The smallest of the inputs; NaN wins.", kNumbers,
         [](double a, double b, P) { return minimum(a, b); },
         [](I a, I b, P) { return std::min(a, b); }, [](U a, U b, P) { return std::min(a, b); })
          .takes(Inputs::Variadic)
          .dims([](const Dim& a, const Dim& b) -> std::optional<Dim> { return min(a, b); })
          .rewrite(decompose_min),
      op("Sum", 13, "The sum of the inputs.", kFloats, [](double a, double b, P) { return a + b; },
         nullptr, nullptr)
          .takes(Inputs::Variadic)
          .rewrite(decompose_sum),
      op("Mean", 13, "The mean of the inputs.", kFloats, [](double a, double b, P) { return a + b; },
         nullptr, nullptr)
          .takes(Inputs::Variadic)
          .rewrite(decompose_mean),
  };
}

std::vector<BinaryOp> comparison_ops() {
  return {
      op("Equal", 19, "True where A == B.", kEqualTypes,
         [](double a, double b, P) -> double { return a == b; }, [](I a, I b, P) -> I { return a == b; },
         [](U a, U b, P) -> U { return a == b; })
          .gives(DType::Bool)
          .dims([](const Dim& a, const Dim& b) { return as_dim(proves_equal(a, b)); }),
      op("Less", 13, "True where A < B.", kNumbers,
         [](double a, double b, P) -> double { return a < b; }, [](I a, I b, P) -> I { return a < b; },
         [](U a, U b, P) -> U { return a < b; })
          .gives(DType::Bool)
          .dims([](const Dim& a, const Dim& b) { return as_dim(proves_less(a, b)); }),
      op("Greater", 13, "True where A > B.", kNumbers,
         [](double a, double b, P) -> double { return a > b; }, [](I a, I b, P) -> I { return a > b; },
         [](U a, U b, P) -> U { return a > b; })
          .gives(DType::Bool)
          .dims([](const Dim& a, const Dim& b) { return as_dim(proves_less(b, a)); }),
      op("LessOrEqual", 16, "True where A <= B.", kNumbers,
         [](double a, double b, P) -> double { return a <= b; }, [](I a, I b, P) -> I { return a <= b; },
         [](U a, U b, P) -> U { return a <= b; })
          .gives(DType::Bool)
          .dims([](const Dim& a, const Dim& b) { return negated(proves_less(b, a)); })
          .rewrite(decompose_less_or_equal),
      op("GreaterOrEqual", 16, "True where A >= B.", kNumbers,
         [](double a, double b, P) -> double { return a >= b; }, [](I a, I b, P) -> I { return a >= b; },
         [](U a, U b, P) -> U { return a >= b; })
          .gives(DType::Bool)
          .dims([](const Dim& a, const Dim& b) { return negated(proves_less(a, b)); })
          .rewrite(decompose_greater_or_equal),
  };
}

std::vector<BinaryOp> logic_ops() {
  return {
      op("And", 7, "Logical and.", kBool, nullptr, nullptr, [](U a, U b, P) { return a & b; }),
      op("Or", 7, "Logical or.", kBool, nullptr, nullptr, [](U a, U b, P) { return a | b; }),
      op("Xor", 7, "Logical exclusive or.", kBool, nullptr, nullptr, [](U a, U b, P) { return a ^ b; })
          .rewrite(decompose_xor),
      op("BitwiseAnd", 18, "And of every bit.", kInts, nullptr, [](I a, I b, P) { return a & b; },
         [](U a, U b, P) { return a & b; }),
      op("BitwiseOr", 18, "Or of every bit.", kInts, nullptr, [](I a, I b, P) { return a | b; },
         [](U a, U b, P) { return a | b; }),
      op("BitwiseXor", 18, "Exclusive or of every bit.", kInts, nullptr,
         [](I a, I b, P) { return a ^ b; }, [](U a, U b, P) { return a ^ b; }),
      op("BitShift", 28, "X shifted by Y bits; right shifts of signed types keep the sign.", kInts,
         nullptr, [](I a, I b, P p) { return shift(a, b, p); }, [](U a, U b, P p) { return shift(a, b, p); })
          .attrs({{"direction", AttrKind::String, "LEFT or RIGHT", std::nullopt, true}}),
  };
}

const std::vector<BinaryOp>& binary_ops() {
  static const std::vector<BinaryOp> table = [] {
    std::vector<BinaryOp> all = arithmetic_ops();
    for (const auto& family : {comparison_ops(), logic_ops()}) {
      all.insert(all.end(), family.begin(), family.end());
    }
    return all;
  }();
  return table;
}

const BinaryOp& row_of(const Node& node) {
  const auto& table = binary_ops();
  const auto found = std::find_if(table.begin(), table.end(),
                                  [&](const BinaryOp& row) { return node.op->name == row.name; });
  NARU_CHECK(found != table.end(), "no binary operator " + node.op->name);
  return *found;
}

Params params_of(const Node& node, DType dtype) {
  const bool flag = node.has("direction") ? node.attr_string("direction") == "LEFT"
                                          : node.attr_int_or("fmod", 0) != 0;
  return {flag, element_bits(dtype)};
}

// Inference

void infer_shape(InferContext& ctx, const BinaryOp& row, DType dtype) {
  if (row.inputs != Inputs::OntoFirst) return infer_broadcast(ctx, 0, ctx.input_count(), dtype);
  if (ctx.shape(0) == nullptr) return ctx.set_output(0, dtype);
  ctx.set_output(0, dtype, *ctx.shape(0));
  const auto first = known_shape(*ctx.shape(0));
  const auto second = ctx.shape(1) == nullptr ? std::nullopt : known_shape(*ctx.shape(1));
  if (!first || !second) return;
  const Shape shapes[] = {*first, *second};
  ctx.require(broadcast_shapes(std::span<const Shape>(shapes)) == *first,
              "input 1: got shape {}, expected one that broadcasts to {}", to_string(*second),
              to_string(*first));
}

std::optional<Dim> fold_elements(const BinaryOp& row, const Params& params, std::span<const Dim> inputs) {
  Dim folded = inputs[0];
  for (const Dim& next : inputs.subspan(1)) {
    if (folded.is_known() && next.is_known()) {
      const bool bad = row.divides && next.value() == 0;
      if (bad) return std::nullopt;  // the run reports it
      folded = row.on_signed != nullptr
                   ? Dim(row.on_signed(folded.value(), next.value(), params))
                   : Dim(static_cast<I>(row.on_unsigned(static_cast<U>(folded.value()),
                                                        static_cast<U>(next.value()), params)));
      continue;
    }
    if (row.on_dims == nullptr) return std::nullopt;
    const std::optional<Dim> result = row.on_dims(folded, next);
    if (!result) return std::nullopt;
    folded = *result;
  }
  return folded;
}

void infer_binary(InferContext& ctx) {
  const BinaryOp& row = row_of(ctx.node);
  const std::size_t count = ctx.input_count();
  ctx.require(count >= 1, "got no input, expected at least one");
  const DType dtype = require_common_type(ctx, 0, count, row.types);
  if (ctx.node.has("direction")) {
    const std::string& direction = ctx.node.attr_string("direction");
    ctx.require(direction == "LEFT" || direction == "RIGHT",
                "direction: got '{}', expected LEFT or RIGHT", direction);
  }
  infer_shape(ctx, row, row.output != DType::Undefined ? row.output : dtype);
  if (dtype == DType::Undefined || is_float(dtype)) return;
  const Params params = params_of(ctx.node, dtype);
  propagate_elements(ctx, [&](std::span<const Dim> inputs) { return fold_elements(row, params, inputs); });
}

// Reference

/// The elements of `tensor` as they repeat over `shape`.
template <typename T>
std::vector<T> spread(const Tensor& tensor, const Shape& shape) {
  std::vector<T> values = to_wide<T>(tensor);
  if (tensor.shape() == shape) return values;
  std::vector<T> result(static_cast<std::size_t>(shape.numel()));
  for_each_broadcast<1>(shape, {&tensor.shape()}, [&](std::int64_t at, const auto& from) {
    result[static_cast<std::size_t>(at)] = values[static_cast<std::size_t>(from[0])];
  });
  return result;
}

template <typename T>
void fold(ReferenceContext& ctx, const BinaryOp& row, Function<T> function) {
  const Params params = params_of(ctx.node, ctx.input(0).dtype());
  Tensor& output = ctx.output(0);
  std::vector<T> result = spread<T>(ctx.input(0), output.shape());
  for (std::size_t i = 1; i < ctx.input_count(); ++i) {
    const std::vector<T> next = to_wide<T>(ctx.input(i));
    if (row.divides && !std::is_same_v<T, double> && !result.empty()) {
      ctx.require(std::find(next.begin(), next.end(), T{0}) == next.end(),
                  "input {}: got an integer divisor 0, expected none", i);
    }
    for_each_broadcast<1>(output.shape(), {&ctx.input(i).shape()}, [&](std::int64_t at, const auto& from) {
      T& element = result[static_cast<std::size_t>(at)];
      element = function(element, next[static_cast<std::size_t>(from[0])], params);
    });
  }
  if (ctx.node.op->name == "Mean") {
    for (T& element : result) element = static_cast<T>(element / static_cast<T>(ctx.input_count()));
  }
  from_wide<T>(result, output);
}

void equal_strings(ReferenceContext& ctx) {
  const auto a = ctx.input(0).strings();
  const auto b = ctx.input(1).strings();
  Tensor& output = ctx.output(0);
  const auto result = output.as_mutable<bool>();
  for_each_broadcast<2>(output.shape(), {&ctx.input(0).shape(), &ctx.input(1).shape()},
                        [&](std::int64_t at, const auto& from) {
                          result[static_cast<std::size_t>(at)] = a[static_cast<std::size_t>(from[0])] ==
                                                                 b[static_cast<std::size_t>(from[1])];
                        });
}

void reference_binary(ReferenceContext& ctx) {
  const BinaryOp& row = row_of(ctx.node);
  const DType dtype = ctx.input(0).dtype();
  if (dtype == DType::String) return equal_strings(ctx);
  switch (wide_of(dtype)) {
    case Wide::F64: return fold<double>(ctx, row, row.on_float);
    case Wide::I64: return fold<std::int64_t>(ctx, row, row.on_signed);
    case Wide::U64: return fold<std::uint64_t>(ctx, row, row.on_unsigned);
  }
}

// Pow: the one operator here whose inputs may differ in type.

constexpr TypeSet kPowBases = kFloats | TypeSet{DType::I64, DType::I32};

void infer_pow(InferContext& ctx) {
  require_type(ctx, 0, kPowBases);
  require_type(ctx, 1, kNumbers);
  infer_broadcast(ctx, 0, 2, ctx.dtype(0));
}

/// base^exponent modulo 2^64; a negative exponent truncates the fraction that results.
I integer_power(const ReferenceContext& ctx, I base, I exponent) {
  if (exponent < 0) {
    ctx.require(base != 0, "got the integer 0 to the power of {}, expected a base other than 0", exponent);
    if (base == 1) return 1;
    return base == -1 ? (exponent % 2 == 0 ? 1 : -1) : 0;
  }
  I result = 1;
  for (U left = static_cast<U>(exponent); left != 0; left >>= 1) {
    if ((left & 1) != 0) result = multiply(result, base);
    base = multiply(base, base);
  }
  return result;
}

void reference_pow(ReferenceContext& ctx) {
  const Tensor& base = ctx.input(0);
  const Tensor& exponent = ctx.input(1);
  Tensor& output = ctx.output(0);
  const auto count = static_cast<std::size_t>(output.numel());
  const auto compute = [&](auto wide, auto&& power) {
    using T = decltype(wide);
    const std::vector<T> x = to_wide<T>(base);
    const std::vector<T> y = to_wide<T>(exponent);
    std::vector<T> result(count);
    for_each_broadcast<2>(output.shape(), {&base.shape(), &exponent.shape()},
                          [&](std::int64_t at, const auto& from) {
                            result[static_cast<std::size_t>(at)] =
                                power(x[static_cast<std::size_t>(from[0])], y[static_cast<std::size_t>(from[1])]);
                          });
    from_wide<T>(result, output);
  };
  if (is_float(base.dtype()) || is_float(exponent.dtype())) {
    compute(double{}, [](double x, double y) { return std::pow(x, y); });
  } else {
    compute(I{}, [&](I x, I y) { return integer_power(ctx, x, y); });
  }
}

OpDef pow_def() {
  return {
      .name = "Pow",
      .domain = "",
      .since_version = 15,
      .doc = "X to the power of Y, in the type of X.",
      .source = "ONNX Pow-15",
      .inputs = {{"X", to_string(kPowBases)}, {"Y", to_string(kNumbers)}},
      .outputs = {{"Z", "as X"}},
      .infer = infer_pow,
      .reference = reference_pow,
  };
}

std::vector<FormalParam> inputs_of(const BinaryOp& row) {
  const std::string types = to_string(row.types);
  if (row.inputs == Inputs::Variadic) return {{"data_0", types, Arity::Variadic}};
  return {{"A", types}, {"B", row.inputs == Inputs::OntoFirst ? "as A, broadcasts to it" : "as A"}};
}

}  // namespace

void define_elementwise_binary(std::vector<OpDef>& ops) {
  for (const BinaryOp& row : binary_ops()) {
    ops.push_back({
        .name = row.name,
        .domain = "",
        .since_version = row.version,
        .doc = row.doc,
        .source = fmt::format("ONNX {}-{}", row.name, row.version),
        .inputs = inputs_of(row),
        .outputs = {{"C", row.output == DType::Undefined ? "as the inputs" : std::string(to_string(row.output))}},
        .attributes = row.attributes,
        .infer = infer_binary,
        .reference = reference_binary,
        .decompose = row.decompose,
    });
  }
  ops.push_back(pow_def());
}

}  // namespace naru
