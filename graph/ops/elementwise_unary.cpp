// Element-wise operators of one input: one table row each.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "graph/op_def.h"
#include "graph/ops/families.h"
#include "graph/ops/symbolic.h"
#include "graph/ops/type_set.h"
#include "graph/scalar.h"

namespace naru {
namespace {

/// The numeric attributes of a row, in the order of its AttrSpecs. A string attribute reads 1 when
/// it differs from its default.
struct Params {
  double a = 0;
  double b = 0;
};

using FloatFunction = double (*)(double, const Params&);
using SignedFunction = std::int64_t (*)(std::int64_t, const Params&);
using UnsignedFunction = std::uint64_t (*)(std::uint64_t, const Params&);

/// One operator. Functions exist for the wide types that `types` can have; a missing integer
/// function is the identity.
struct UnaryOp {
  const char* name;
  int version;
  const char* doc;
  TypeSet types;
  FloatFunction on_float;
  SignedFunction on_signed = nullptr;
  UnsignedFunction on_unsigned = nullptr;
  std::vector<AttrSpec> attributes = {};
  DType output = DType::Undefined;  ///< Undefined: that of the input
  Dim (*on_dim)(const Dim&) = nullptr;
  bool (*decompose)(DecomposeContext&) = nullptr;

  UnaryOp& ints(SignedFunction on_i64, UnsignedFunction on_u64 = nullptr) {
    on_signed = on_i64;
    on_unsigned = on_u64;
    return *this;
  }
  UnaryOp& attrs(std::vector<AttrSpec> specs) {
    attributes = std::move(specs);
    return *this;
  }
  UnaryOp& gives(DType dtype) {
    output = dtype;
    return *this;
  }
  /// What it does to the elements of a symbolic shape value.
  UnaryOp& dims(Dim (*function)(const Dim&)) {
    on_dim = function;
    return *this;
  }
  UnaryOp& rewrite(bool (*function)(DecomposeContext&)) {
    decompose = function;
    return *this;
  }
};

UnaryOp op(const char* name, int version, const char* doc, TypeSet types, FloatFunction function) {
  return {name, version, doc, types, function};
}

AttrSpec float_attr(const char* name, float value, const char* doc) {
  return {name, AttrKind::Float, doc, value};
}

/// Shift of a wide value back into range without the undefined behaviour of signed overflow.
std::int64_t wrap_neg(std::int64_t x) {
  return static_cast<std::int64_t>(0 - static_cast<std::uint64_t>(x));
}

double sigmoid(double x) {
  // The exponent is never positive, so that nothing overflows.
  const double e = std::exp(-std::fabs(x));
  return x >= 0 ? 1 / (1 + e) : e / (1 + e);
}

double softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x))); }

double sign(double x) {
  if (std::isnan(x)) return x;
  return x > 0 ? 1 : x < 0 ? -1 : 0;
}

double gelu(double x, bool tanh_form) {
  if (!tanh_form) return 0.5 * x * (1 + std::erf(x / std::numbers::sqrt2));
  const double inner = std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x);
  return 0.5 * x * (1 + std::tanh(inner));
}

double shrink(double x, double bias, double lambd) {
  if (x < -lambd) return x + bias;
  return x > lambd ? x - bias : 0;
}

/// As ONNX's function body: the bias is cast to the integer type, and sums wrap around.
template <typename T>
T shrink_integer(T x, const Params& p) {
  const double value = static_cast<double>(x);
  const double bias = std::fabs(p.a) < 0x1p63 ? p.a : 0;
  const auto step = static_cast<std::uint64_t>(static_cast<std::int64_t>(bias));
  if (value < -p.b) return static_cast<T>(static_cast<std::uint64_t>(x) + step);
  return value > p.b ? static_cast<T>(static_cast<std::uint64_t>(x) - step) : 0;
}

/// std::clamp that keeps NaN.
double clamp_to_unit(double x) { return x < 0 ? 0 : x > 1 ? 1 : x; }

// Decompositions

/// Builds expressions over the one input of a decomposed node.
struct Builder {
  explicit Builder(DecomposeContext& context)
      : ctx(context), x(context.input(0)), dtype(context.type(context.input(0)).dtype) {}

  DecomposeContext& ctx;
  ValueId x;
  DType dtype;

  ValueId c(double value) { return ctx.scalar(dtype, value); }
  ValueId op(std::string_view name, std::vector<ValueId> inputs) {
    return ctx.add(name, std::move(inputs));
  }
  bool done(ValueId value) {
    ctx.set_output(0, value);
    return true;
  }
};

/// A decomposition needs the element type for its constants.
template <ValueId (*Build)(Builder&)>
bool decompose_with(DecomposeContext& ctx) {
  Builder builder(ctx);
  return builder.dtype != DType::Undefined && builder.done(Build(builder));
}

ValueId build_sigmoid(Builder& b) {
  return b.op("Reciprocal", {b.op("Add", {b.op("Exp", {b.op("Neg", {b.x})}), b.c(1)})});
}

ValueId build_hard_sigmoid(Builder& b) {
  const ValueId scaled = b.op("Mul", {b.x, b.c(b.ctx.node.attr_float("alpha"))});
  const ValueId shifted = b.op("Add", {scaled, b.c(b.ctx.node.attr_float("beta"))});
  return b.op("Max", {b.op("Min", {shifted, b.c(1)}), b.c(0)});
}

ValueId build_hard_swish(Builder& b) {
  const ValueId gate =
      b.ctx.add("HardSigmoid", {b.x}, {{"alpha", 1.0f / 6.0f}, {"beta", 0.5f}});
  return b.op("Mul", {b.x, gate});
}

ValueId build_relu(Builder& b) { return b.op("Max", {b.x, b.c(0)}); }

ValueId build_leaky_relu(Builder& b) {
  const ValueId scaled = b.op("Mul", {b.x, b.c(b.ctx.node.attr_float("alpha"))});
  return b.op("Where", {b.op("Less", {b.x, b.c(0)}), scaled, b.x});
}

ValueId build_thresholded_relu(Builder& b) {
  const ValueId passes = b.op("Greater", {b.x, b.c(b.ctx.node.attr_float("alpha"))});
  return b.op("Where", {passes, b.x, b.c(0)});
}

ValueId build_elu(Builder& b) {
  const ValueId grown = b.op("Sub", {b.op("Exp", {b.x}), b.c(1)});
  const ValueId scaled = b.op("Mul", {grown, b.c(b.ctx.node.attr_float("alpha"))});
  return b.op("Where", {b.op("Less", {b.x, b.c(0)}), scaled, b.x});
}

ValueId build_selu(Builder& b) {
  const ValueId elu = b.ctx.add("Elu", {b.x}, {{"alpha", b.ctx.node.attr_float("alpha")}});
  return b.op("Mul", {elu, b.c(b.ctx.node.attr_float("gamma"))});
}

ValueId build_celu(Builder& b) {
  const float alpha = b.ctx.node.attr_float("alpha");
  const ValueId inner = b.ctx.add("Elu", {b.op("Div", {b.x, b.c(alpha)})});
  return b.op("Mul", {inner, b.c(alpha)});
}

bool decompose_celu(DecomposeContext& ctx) {
  // A negative alpha would swap the branches of the inner Elu.
  return ctx.node.attr_float("alpha") > 0 && decompose_with<build_celu>(ctx);
}

ValueId build_softplus(Builder& b) {
  const ValueId decay = b.op("Exp", {b.op("Neg", {b.op("Abs", {b.x})})});
  const ValueId tail = b.op("Log", {b.op("Add", {decay, b.c(1)})});
  return b.op("Add", {b.op("Max", {b.x, b.c(0)}), tail});
}

ValueId build_softsign(Builder& b) {
  return b.op("Div", {b.x, b.op("Add", {b.op("Abs", {b.x}), b.c(1)})});
}

ValueId build_mish(Builder& b) {
  return b.op("Mul", {b.x, b.op("Tanh", {b.op("Softplus", {b.x})})});
}

ValueId build_swish(Builder& b) {
  const ValueId scaled = b.op("Mul", {b.x, b.c(b.ctx.node.attr_float("alpha"))});
  return b.op("Mul", {b.x, b.op("Sigmoid", {scaled})});
}

ValueId build_gelu(Builder& b) {
  const ValueId half = b.op("Mul", {b.x, b.c(0.5)});
  ValueId gate;
  if (b.ctx.node.attr_string("approximate") == "tanh") {
    const ValueId square = b.op("Mul", {b.x, b.x});
    const ValueId poly = b.op("Add", {b.op("Mul", {square, b.c(0.044715)}), b.c(1)});
    const ValueId inner = b.op("Mul", {b.op("Mul", {b.x, poly}), b.c(std::sqrt(2 / std::numbers::pi))});
    gate = b.op("Tanh", {inner});
  } else {
    gate = b.op("Erf", {b.op("Mul", {b.x, b.c(1 / std::numbers::sqrt2)})});
  }
  return b.op("Mul", {half, b.op("Add", {gate, b.c(1)})});
}

ValueId build_shrink(Builder& b) {
  const double lambd = b.ctx.node.attr_float("lambd");
  const ValueId bias = b.c(b.ctx.node.attr_float("bias"));
  const ValueId low = b.op("Less", {b.x, b.c(-lambd)});
  const ValueId high = b.op("Greater", {b.x, b.c(lambd)});
  const ValueId above = b.op("Where", {high, b.op("Sub", {b.x, bias}), b.c(0)});
  return b.op("Where", {low, b.op("Add", {b.x, bias}), above});
}

bool decompose_shrink(DecomposeContext& ctx) {
  // Integers compare against the fractional lambd, which a constant of their type cannot hold.
  return is_float(ctx.type(ctx.input(0)).dtype) && decompose_with<build_shrink>(ctx);
}

ValueId build_sinh(Builder& b) {
  const ValueId e = b.op("Exp", {b.x});
  return b.op("Mul", {b.op("Sub", {e, b.op("Reciprocal", {e})}), b.c(0.5)});
}

ValueId build_cosh(Builder& b) {
  const ValueId e = b.op("Exp", {b.op("Abs", {b.x})});
  return b.op("Mul", {b.op("Add", {e, b.op("Reciprocal", {e})}), b.c(0.5)});
}

ValueId build_tan(Builder& b) { return b.op("Div", {b.op("Sin", {b.x}), b.op("Cos", {b.x})}); }

ValueId build_reciprocal(Builder& b) { return b.op("Div", {b.c(1), b.x}); }

ValueId build_is_nan(Builder& b) { return b.op("Not", {b.op("Equal", {b.x, b.x})}); }

bool decompose_is_nan(DecomposeContext& ctx) {
  return kFloats.contains(ctx.type(ctx.input(0)).dtype) && decompose_with<build_is_nan>(ctx);
}

// The table

using P = const Params&;
constexpr TypeSet kSigned = kFloats | kSignedInts;

const std::vector<UnaryOp>& unary_ops() {
  static const std::vector<UnaryOp> table = {
      op("Abs", 13, "The magnitude of each element.", kNumbers,
         [](double x, P) { return std::fabs(x); })
          .ints([](std::int64_t x, P) { return x < 0 ? wrap_neg(x) : x; })
          .dims([](const Dim& x) { return max(x, -x); }),
      op("Neg", 13, "Each element with its sign flipped.", kSigned, [](double x, P) { return -x; })
          .ints([](std::int64_t x, P) { return wrap_neg(x); })
          .dims([](const Dim& x) { return -x; }),
      op("Sign", 13, "-1, 0 or 1 by the sign of each element.", kNumbers,
         [](double x, P) { return sign(x); })
          .ints([](std::int64_t x, P) -> std::int64_t { return (x > 0) - (x < 0); },
                [](std::uint64_t x, P) -> std::uint64_t { return x > 0; }),
      op("Ceil", 13, "Rounds up to an integer.", kFloats, [](double x, P) { return std::ceil(x); }),
      op("Floor", 13, "Rounds down to an integer.", kFloats,
         [](double x, P) { return std::floor(x); }),
      op("Round", 22, "Rounds to the nearest integer, halves to even.", kFloats,
         [](double x, P) { return std::nearbyint(x); }),
      op("Exp", 13, "e to the power of each element.", kFloats,
         [](double x, P) { return std::exp(x); }),
      op("Log", 13, "The natural logarithm.", kFloats, [](double x, P) { return std::log(x); }),
      op("Sqrt", 13, "The square root; NaN below zero.", kFloats,
         [](double x, P) { return std::sqrt(x); }),
      op("Reciprocal", 13, "1 / x.", kFloats, [](double x, P) { return 1 / x; })
          .rewrite(decompose_with<build_reciprocal>),
      op("Sin", 22, "The sine of radians.", kFloats, [](double x, P) { return std::sin(x); }),
      op("Cos", 22, "The cosine of radians.", kFloats, [](double x, P) { return std::cos(x); }),
      op("Tan", 22, "The tangent of radians.", kFloats, [](double x, P) { return std::tan(x); })
          .rewrite(decompose_with<build_tan>),
      op("Asin", 22, "The inverse sine.", kFloats, [](double x, P) { return std::asin(x); }),
      op("Acos", 22, "The inverse cosine.", kFloats, [](double x, P) { return std::acos(x); }),
      op("Atan", 22, "The inverse tangent.", kFloats, [](double x, P) { return std::atan(x); }),
      op("Sinh", 22, "The hyperbolic sine.", kFloats, [](double x, P) { return std::sinh(x); })
          .rewrite(decompose_with<build_sinh>),
      op("Cosh", 22, "The hyperbolic cosine.", kFloats, [](double x, P) { return std::cosh(x); })
          .rewrite(decompose_with<build_cosh>),
      op("Tanh", 13, "The hyperbolic tangent.", kFloats, [](double x, P) { return std::tanh(x); }),
      op("Asinh", 22, "The inverse hyperbolic sine.", kFloats,
         [](double x, P) { return std::asinh(x); }),
      op("Acosh", 22, "The inverse hyperbolic cosine.", kFloats,
         [](double x, P) { return std::acosh(x); }),
      op("Atanh", 22, "The inverse hyperbolic tangent.", kFloats,
         [](double x, P) { return std::atanh(x); }),
      op("Erf", 13, "The error function.", kFloats, [](double x, P) { return std::erf(x); }),
      op("Sigmoid", 13, "1 / (1 + exp(-x)).", kFloats, [](double x, P) { return sigmoid(x); })
          .rewrite(decompose_with<build_sigmoid>),
      op("Relu", 14, "max(x, 0).", kSigned, [](double x, P) { return x < 0 ? 0.0 : x; })
          .ints([](std::int64_t x, P) { return std::max<std::int64_t>(x, 0); })
          .dims([](const Dim& x) { return max(x, Dim(0)); })
          .rewrite(decompose_with<build_relu>),
      op("LeakyRelu", 16, "x, or alpha * x below zero.", kFloats,
         [](double x, P p) { return x < 0 ? p.a * x : x; })
          .attrs({float_attr("alpha", 0.01f, "slope below zero")})
          .rewrite(decompose_with<build_leaky_relu>),
      op("ThresholdedRelu", 22, "x above alpha, else 0.", kFloats,
         [](double x, P p) { return x > p.a ? x : 0.0; })
          .attrs({float_attr("alpha", 1.0f, "threshold")})
          .rewrite(decompose_with<build_thresholded_relu>),
      op("Elu", 22, "x, or alpha * (exp(x) - 1) below zero.", kFloats,
         [](double x, P p) { return x < 0 ? p.a * std::expm1(x) : x; })
          .attrs({float_attr("alpha", 1.0f, "scale below zero")})
          .rewrite(decompose_with<build_elu>),
      op("Selu", 22, "gamma * (x, or alpha * (exp(x) - 1) up to zero).", kFloats,
         [](double x, P p) { return p.b * (x > 0 ? x : p.a * std::expm1(x)); })
          .attrs({float_attr("alpha", 1.67326319217681884765625f, "scale below zero"),
                  float_attr("gamma", 1.05070102214813232421875f, "scale of the whole")})
          .rewrite(decompose_with<build_selu>),
      op("Celu", 28, "max(0, x) + min(0, alpha * (exp(x / alpha) - 1)).", kFloats,
         [](double x, P p) { return x > 0 ? x : p.a * std::expm1(x / p.a); })
          .attrs({float_attr("alpha", 1.0f, "scale of input and output below zero")})
          .rewrite(decompose_celu),
      op("Gelu", 20, "x * Phi(x), exact or in its tanh form.", kFloats,
         [](double x, P p) { return gelu(x, p.a != 0); })
          .attrs({{"approximate", AttrKind::String, "none or tanh", std::string("none")}})
          .rewrite(decompose_with<build_gelu>),
      op("HardSigmoid", 22, "max(0, min(1, alpha * x + beta)).", kFloats,
         [](double x, P p) { return clamp_to_unit(p.a * x + p.b); })
          .attrs({float_attr("alpha", 0.2f, "slope"), float_attr("beta", 0.5f, "offset")})
          .rewrite(decompose_with<build_hard_sigmoid>),
      op("HardSwish", 22, "x * max(0, min(1, x / 6 + 0.5)).", kFloats,
         [](double x, P) { return x * clamp_to_unit(x / 6 + 0.5); })
          .rewrite(decompose_with<build_hard_swish>),
      op("Mish", 22, "x * tanh(softplus(x)).", kFloats,
         [](double x, P) { return x * std::tanh(softplus(x)); })
          .rewrite(decompose_with<build_mish>),
      op("Softplus", 22, "log(1 + exp(x)).", kFloats, [](double x, P) { return softplus(x); })
          .rewrite(decompose_with<build_softplus>),
      op("Softsign", 22, "x / (1 + |x|).", kFloats,
         [](double x, P) { return x / (1 + std::fabs(x)); })
          .rewrite(decompose_with<build_softsign>),
      op("Swish", 24, "x * sigmoid(alpha * x).", kFloats,
         [](double x, P p) { return x * sigmoid(p.a * x); })
          .attrs({float_attr("alpha", 1.0f, "scale inside the sigmoid")})
          .rewrite(decompose_with<build_swish>),
      op("Shrink", 9, "x + bias below -lambd, x - bias above lambd, else 0.", kNumbers,
         [](double x, P p) { return shrink(x, p.a, p.b); })
          .ints([](std::int64_t x, P p) { return shrink_integer(x, p); },
                [](std::uint64_t x, P p) { return shrink_integer(x, p); })
          .attrs({float_attr("bias", 0.0f, "taken off the magnitude"),
                  float_attr("lambd", 0.5f, "half width of the dead zone")})
          .rewrite(decompose_shrink),
      op("IsNaN", 20, "True where an element is NaN.", kFloats | kFloat8s,
         [](double x, P) -> double { return std::isnan(x); })
          .gives(DType::Bool)
          .rewrite(decompose_is_nan),
      op("IsInf", 20, "True where an element is infinite.", kFloats | kFloat8s,
         [](double x, P p) -> double { return std::isinf(x) && (x < 0 ? p.a : p.b) != 0; })
          .attrs({{"detect_negative", AttrKind::Int, "count -inf", std::int64_t{1}},
                  {"detect_positive", AttrKind::Int, "count +inf", std::int64_t{1}}})
          .gives(DType::Bool),
      op("Not", 1, "Logical negation.", kBool, nullptr)
          .ints(nullptr, [](std::uint64_t x, P) -> std::uint64_t { return x == 0; })
          .dims([](const Dim& x) { return Dim(1) - x; }),
      op("BitwiseNot", 18, "Flips every bit.", kInts, nullptr)
          .ints([](std::int64_t x, P) { return ~x; }, [](std::uint64_t x, P) { return ~x; })
          .dims([](const Dim& x) { return Dim(-1) - x; }),
  };
  return table;
}

const UnaryOp& row_of(const Node& node) {
  const auto& table = unary_ops();
  const auto found = std::find_if(table.begin(), table.end(),
                                  [&](const UnaryOp& row) { return node.op->name == row.name; });
  NARU_CHECK(found != table.end(), "no unary operator " + node.op->name);
  return *found;
}

Params params_of(const UnaryOp& row, const Node& node) {
  double values[2] = {0, 0};
  for (std::size_t i = 0; i < row.attributes.size(); ++i) {
    const AttrSpec& spec = row.attributes[i];
    switch (spec.kind) {
      case AttrKind::Float: values[i] = node.attr_float(spec.name); break;
      case AttrKind::Int: values[i] = static_cast<double>(node.attr_int(spec.name)); break;
      default: values[i] = node.attr_string(spec.name) != std::get<std::string>(*spec.default_value); break;
    }
  }
  return {values[0], values[1]};
}

void infer_unary(InferContext& ctx) {
  const UnaryOp& row = row_of(ctx.node);
  const DType dtype = require_common_type(ctx, 0, 1, row.types);
  if (ctx.node.has("approximate")) {
    const std::string& form = ctx.node.attr_string("approximate");
    ctx.require(form == "none" || form == "tanh", "approximate: got '{}', expected none or tanh", form);
  }
  const DType output = row.output != DType::Undefined ? row.output : dtype;
  if (const SymShape* shape = ctx.shape(0)) {
    ctx.set_output(0, output, *shape);
  } else {
    ctx.set_output(0, output);
  }
  if (row.on_dim == nullptr || is_float(dtype)) return;
  const Params params = params_of(row, ctx.node);
  propagate_elements(ctx, [&](std::span<const Dim> inputs) -> std::optional<Dim> {
    const Dim& x = inputs[0];
    if (x.is_known() && row.on_signed != nullptr) return Dim(row.on_signed(x.value(), params));
    return row.on_dim(x);
  });
}

template <typename T, typename Function>
void apply(const Tensor& input, Tensor& output, Function function, const Params& params) {
  std::vector<T> values = to_wide<T>(input);
  if (function != nullptr) {
    for (T& value : values) value = function(value, params);
  }
  from_wide<T>(values, output);
}

void reference_unary(ReferenceContext& ctx) {
  const UnaryOp& row = row_of(ctx.node);
  const Params params = params_of(row, ctx.node);
  const Tensor& input = ctx.input(0);
  Tensor& output = ctx.output(0);
  switch (wide_of(input.dtype())) {
    case Wide::F64: return apply<double>(input, output, row.on_float, params);
    case Wide::I64: return apply<std::int64_t>(input, output, row.on_signed, params);
    case Wide::U64: return apply<std::uint64_t>(input, output, row.on_unsigned, params);
  }
}

}  // namespace

void define_elementwise_unary(std::vector<OpDef>& ops) {
  for (const UnaryOp& row : unary_ops()) {
    ops.push_back({
        .name = row.name,
        .domain = "",
        .since_version = row.version,
        .doc = row.doc,
        .source = fmt::format("ONNX {}-{}", row.name, row.version),
        .inputs = {{"X", to_string(row.types)}},
        .outputs = {{"Y", row.output == DType::Undefined ? "as X" : std::string(to_string(row.output))}},
        .attributes = row.attributes,
        .infer = infer_unary,
        .reference = reference_unary,
        .decompose = row.decompose,
    });
  }
}

}  // namespace naru
