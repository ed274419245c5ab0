// Recipes of operators that take elements one by one, and of reductions over axes.
#include "graph/onnx_dtype.h"
#include "tests/differential/recipes.h"

namespace naru::fuzz {
namespace {

using Ints = std::vector<std::int64_t>;

constexpr TypeSet kSmallFloats = kFloat8s | TypeSet{DType::F4E2M1, DType::F6E2M3, DType::F6E3M2, DType::F8E8M0};
constexpr TypeSet kAll = kNumbers | kBool | kSmallFloats |
                         TypeSet{DType::I4, DType::U4, DType::I2, DType::U2, DType::String, DType::Complex64, DType::Complex128};

/// Floats as they come, at zero and beyond the usual.
float boundary_float(GraphBuilder& b, float otherwise) {
  return b.choose.one_in(3) ? b.choose.of({0.0f, 1.0f, -1.0f, 0.5f, 2.0f, 6.0f, 1e-3f}) : otherwise;
}

/// The operator's attributes that have a default, some of them changed.
Attributes varied_attributes(GraphBuilder& b, const OpDef& op) {
  Attributes attributes;
  for (const AttrSpec& spec : op.attributes) {
    if (!spec.default_value || !b.choose.one_in(2)) continue;
    if (const auto* number = std::get_if<float>(&*spec.default_value)) attributes[spec.name] = boundary_float(b, *number);
    if (std::holds_alternative<std::int64_t>(*spec.default_value)) attributes[spec.name] = b.choose.between(-1, 2);
  }
  if (op.name == "Celu" && attributes.contains("alpha")) attributes["alpha"] = 0.75f;  // it divides by alpha
  if (op.name == "Gelu" && b.choose.one_in(2)) attributes["approximate"] = std::string("tanh");
  if (op.name == "Mod") attributes["fmod"] = b.choose.between(0, 1);
  if (op.name == "BitShift") attributes["direction"] = std::string(b.choose.of({"LEFT", "RIGHT"}));
  return attributes;
}

/// A type that the operator may take, mostly one that values have.
ValueId operand_for(GraphBuilder& b, std::string_view op) {
  if (op.starts_with("Bitwise") || op == "BitShift") return b.any(kInts);
  if (op == "And" || op == "Or" || op == "Xor" || op == "Not") return b.any(kBool);
  return b.any(op == "Identity" || op == "Shape" || op == "Size" || op == "Equal" ? kAll : kNumbers);
}

bool unary(GraphBuilder& b, std::string_view op) {
  return b.add(op, {operand_for(b, op)}, varied_attributes(b, op_def(op)));
}

/// A shape that broadcasts with `shape`: some axes 1, some in front missing.
Shape broadcast_partner(GraphBuilder& b, const Shape& shape) {
  if (b.choose.one_in(3)) return shape;
  Shape partner;
  const std::int64_t first = b.choose.between(0, shape.rank());
  for (std::int64_t i = first; i < shape.rank(); ++i) partner.push_back(b.choose.one_in(3) ? 1 : shape[i]);
  return partner;
}

ValueId partner_of(GraphBuilder& b, ValueId x) {
  if (b.choose.one_in(3)) {
    const ValueId other = b.any(TypeSet{b.dtype(x)});
    if (b.shape(other) == b.shape(x)) return other;
  }
  return b.operand(b.dtype(x), broadcast_partner(b, b.shape(x)), {.special = b.choose.one_in(6)});
}

bool binary(GraphBuilder& b, std::string_view op) {
  const ValueId x = operand_for(b, op), y = partner_of(b, x);
  const bool swap = b.choose.one_in(2) && op != "PRelu";
  std::vector<ValueId> inputs = swap ? std::vector<ValueId>{y, x} : std::vector<ValueId>{x, y};
  return b.add(op, std::move(inputs), varied_attributes(b, op_def(op)));
}

bool shift(GraphBuilder& b, std::string_view op) {
  const ValueId x = b.any(kUnsignedInts);
  Tensor amount = b.random_tensor(b.dtype(x), b.shape(x), {0, 2.6});
  return b.add(op, {x, b.constant(std::move(amount))}, varied_attributes(b, op_def(op)));
}

bool variadic(GraphBuilder& b, std::string_view op) {
  std::vector<ValueId> inputs{b.any(kNumbers)};
  for (std::int64_t i = b.choose.between(0, 3); i > 0; --i) inputs.push_back(partner_of(b, inputs[0]));
  return b.add(op, std::move(inputs));
}

bool where(GraphBuilder& b, std::string_view op) {
  const ValueId x = b.any(kAll);
  const ValueId condition = b.operand(DType::Bool, broadcast_partner(b, b.shape(x)));
  return b.add(op, {condition, x, partner_of(b, x)});
}

bool clip(GraphBuilder& b, std::string_view op) {
  const ValueId x = b.any(kNumbers);
  const auto bound = [&](double low, double high) {
    return b.choose.one_in(4) ? kNoValue : b.operand(b.dtype(x), {}, {low, high});
  };
  return b.add(op, {x, bound(-1, 0.2), bound(0, 1)});
}

bool cast(GraphBuilder& b, std::string_view op) {
  // Out of the target's range the result is not defined: values that most types hold.
  const ValueId x = b.any(kNumbers | kBool | kSmallFloats | TypeSet{DType::I4, DType::U4, DType::I2, DType::U2});
  const DType to = b.choose.of({DType::F32, DType::F64, DType::F16, DType::BF16, DType::I64, DType::I32, DType::I8,
                                DType::Bool, DType::F8E4M3FN, DType::F8E5M2, DType::F4E2M1, DType::F6E2M3, DType::I16});
  if (is_float(b.dtype(x)) && is_integer(to)) {
    if (!b.add("Clip", {x, b.constant(DType::F32, {}, {-2, -1}), b.constant(DType::F32, {}, {1, 2})})) return false;
    return b.add(op, {b.results()[0]}, {{"to", onnx_code(to)}});
  }
  return b.add(op, {x}, {{"to", onnx_code(to)}});
}

bool cast_like(GraphBuilder& b, std::string_view op) {
  const ValueId x = b.any(kNumbers | kBool);
  return b.add(op, {x, b.any(kFloats)});
}

Ints some_axes(GraphBuilder& b, std::int64_t rank) {
  Ints axes;
  for (std::int64_t i = 0; i < rank; ++i) {
    if (b.choose.one_in(2)) axes.push_back(b.choose.one_in(2) ? i - rank : i);
  }
  return axes;
}

bool reduce(GraphBuilder& b, std::string_view op) {
  const ValueId x = b.any(kNumbers | kBool);
  std::vector<ValueId> inputs{x};
  if (!b.choose.one_in(4)) inputs.push_back(b.ints(some_axes(b, b.shape(x).rank())));
  return b.add(op, std::move(inputs), varied_attributes(b, op_def(op)));
}

bool along_axis(GraphBuilder& b, std::string_view op) {
  const ValueId x = b.any(kNumbers, 1);
  Attributes attributes = varied_attributes(b, op_def(op));
  attributes["axis"] = b.axis(b.shape(x).rank());
  return b.add(op, {x}, std::move(attributes));
}

bool cumulative(GraphBuilder& b, std::string_view op) {
  const ValueId x = b.any(kWideNumbers, 1);
  return b.add(op, {x, b.constant(Tensor::scalar<std::int64_t>(b.axis(b.shape(x).rank())))},
               {{"exclusive", b.choose.between(0, 1)}, {"reverse", b.choose.between(0, 1)}});
}

bool swiglu(GraphBuilder& b, std::string_view op) {
  const ValueId x = b.any(kFloats);
  return b.add(op, {x, b.operand(b.dtype(x), b.shape(x))}, varied_attributes(b, op_def(op)));
}

}  // namespace

void add_elementwise_recipes(std::vector<RecipeEntry>& table) {
  for (const char* op : {"Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Ceil", "Celu", "Cos", "Cosh", "Elu",
                         "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish", "Identity", "IsInf", "IsNaN",
                         "LeakyRelu", "Log", "Mish", "Neg", "Not", "Reciprocal", "Relu", "Round", "Selu", "Shape",
                         "Shrink", "Sigmoid", "Sign", "Sin", "Sinh", "Size", "Softplus", "Softsign", "Sqrt", "Swish",
                         "Tan", "Tanh", "ThresholdedRelu", "BitwiseNot"}) {
    table.push_back({op, unary});
  }
  for (const char* op : {"Add", "And", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Div", "Equal", "Greater",
                         "GreaterOrEqual", "Less", "LessOrEqual", "Mod", "Mul", "Or", "Pow", "PRelu", "Sub", "Xor"}) {
    table.push_back({op, binary});
  }
  for (const char* op : {"Max", "Mean", "Min", "Sum"}) table.push_back({op, variadic});
  for (const char* op : {"ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean",
                         "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare"}) {
    table.push_back({op, reduce});
  }
  for (const char* op : {"ArgMax", "ArgMin", "Hardmax", "LogSoftmax", "Softmax"}) table.push_back({op, along_axis});
  table.insert(table.end(), {{"BitShift", shift}, {"Cast", cast}, {"CastLike", cast_like}, {"Clip", clip},
                             {"CumSum", cumulative}, {"CumProd", cumulative}, {"SwiGLU", swiglu}, {"Where", where}});
}

}  // namespace naru::fuzz
