// fuse_composites: operators that models write out in parts (Gelu, LayerNormalization, ...) become
// one.
#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <vector>

#include "compiler/passes/passes.h"
#include "compiler/patterns.h"
#include "graph/op_def.h"
#include "graph/scalar.h"

namespace naru {
namespace {

using Ints = std::vector<std::int64_t>;

bool near(double a, double b) { return std::abs(a - b) <= 5e-7 * std::abs(b); }

float scalar_of(const Rewriter& rw, ValueId id) {
  return static_cast<float>(*scalar_constant(rw, id));
}

// Activations

bool hard_sigmoid_by_six(Rewriter& rw, const Node&, const Match& m) {
  rw.replace("HardSigmoid", {m["x"]}, {{"alpha", 1.0f / 6.0f}, {"beta", 0.5f}});
  return true;
}

bool hard_sigmoid(Rewriter& rw, const Node&, const Match& m) {
  rw.replace("HardSigmoid", {m["x"]},
             {{"alpha", scalar_of(rw, m["a"])}, {"beta", scalar_of(rw, m["b"])}});
  return true;
}

bool hard_swish_of_sigmoid(Rewriter& rw, const Node&, const Match& m) {
  const Node& gate = m.node("g");
  if (!near(gate.attr_float("alpha"), 1.0 / 6.0) || !near(gate.attr_float("beta"), 0.5))
    return false;
  rw.replace("HardSwish", {m["x"]});
  return true;
}

bool swish_with_alpha(Rewriter& rw, const Node&, const Match& m) {
  rw.replace("Swish", {m["x"]}, {{"alpha", scalar_of(rw, m["a"])}});
  return true;
}

bool gelu_tanh(Rewriter& rw, const Node&, const Match& m) {
  rw.replace("Gelu", {m["x"]}, {{"approximate", std::string("tanh")}});
  return true;
}

/// max(x, a x) is LeakyRelu while 0 < a < 1.
bool leaky_relu(Rewriter& rw, const Node&, const Match& m) {
  const float alpha = scalar_of(rw, m["a"]);
  if (!(alpha > 0 && alpha < 1)) return false;
  rw.replace("LeakyRelu", {m["x"]}, {{"alpha", alpha}});
  return true;
}

// Normalizations

/// Where a reduction over trailing axes with kept dimensions starts; nothing for others.
std::optional<std::int64_t> trailing_axis(const Rewriter& rw, const Node& reduce) {
  const std::int64_t rank = rank_of(rw.type(reduce.inputs[0]));
  const std::optional<Ints> axes = int_constant(rw, reduce.inputs[1]);
  if (rank < 1 || !axes || axes->empty() || reduce.attr_int("keepdims") == 0) return std::nullopt;
  Ints sorted;
  for (std::int64_t axis : *axes) sorted.push_back(axis < 0 ? axis + rank : axis);
  std::sort(sorted.begin(), sorted.end());
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    if (sorted[i] !=
        rank - static_cast<std::int64_t>(sorted.size()) + static_cast<std::int64_t>(i)) {
      return std::nullopt;
    }
  }
  return sorted.front();
}

Tensor filled(DType dtype, Shape shape, double value) {
  Tensor tensor(dtype, std::move(shape));
  for (std::int64_t i = 0; i < tensor.numel(); ++i)
    store_f64(dtype, tensor.mutable_data(), i, value);
  return tensor;
}

/// Dimensions [axis, rank) when all are known.
std::optional<Shape> known_tail(const Type& type, std::int64_t axis) {
  Shape shape;
  for (std::int64_t i = axis; i < rank_of(type); ++i) {
    if (known_dim(type, i) < 0) return std::nullopt;
    shape.push_back(known_dim(type, i));
  }
  return shape;
}

/// A constant that broadcasts along dimensions [axis, rank) only, brought to their shape.
std::optional<Tensor> over_tail(const Rewriter& rw, const Type& type, std::int64_t axis,
                                ValueId constant) {
  const std::optional<Shape> tail = known_tail(type, axis);
  if (!tail) return std::nullopt;
  const Tensor& value = *rw.constant(constant);
  Shape own = value.shape();
  while (own.rank() > tail->rank() && own[0] == 1) own = Shape(Ints(own.begin() + 1, own.end()));
  if (own.rank() > tail->rank() || value.rank() > rank_of(type)) return std::nullopt;
  for (std::int64_t i = 1; i <= own.rank(); ++i) {
    const std::int64_t dim = own[own.rank() - i];
    if (dim != 1 && dim != (*tail)[tail->rank() - i]) return std::nullopt;
  }
  return evaluate_constant(
      "Expand", {value.reshaped(own), Tensor::from<std::int64_t>({tail->rank()}, tail->dims())});
}

/// As above for the dimensions that a normalization node runs over.
std::optional<Tensor> over_tail(const Rewriter& rw, const Node& norm, ValueId constant) {
  const Type& type = rw.type(norm.inputs[0]);
  std::int64_t axis = norm.attr_int("axis");
  if (axis < 0) axis += rank_of(type);
  return rank_of(type) < 0 ? std::nullopt : over_tail(rw, type, axis, constant);
}

bool normalization(Rewriter& rw, const Node& root, const Match& m, const char* op) {
  if (find_op(op) == nullptr) return false;
  const ValueId x = m["x"];
  const std::optional<std::int64_t> axis = trailing_axis(rw, m.node("v"));
  if (!axis || !same_shape(rw.type(x), rw.type(root.outputs[0]))) return false;
  if (m.has("m") && trailing_axis(rw, m.node("m")) != axis) return false;
  const std::optional<Shape> tail = known_tail(rw.type(x), *axis);
  if (!tail) return false;
  const float epsilon = scalar_of(rw, m["e"]);
  const ValueId ones = rw.add_constant(root.name + "/scale", filled(rw.type(x).dtype, *tail, 1));
  rw.replace(op, {x, ones}, {{"axis", *axis - rank_of(rw.type(x))}, {"epsilon", epsilon}});
  return true;
}
bool layer_normalization(Rewriter& rw, const Node& root, const Match& m) {
  return normalization(rw, root, m, "LayerNormalization");
}

/// (x - mean) * (scale / sqrt(...)): the scale comes in before the product.
bool scaled_normalization(Rewriter& rw, const Node& root, const Match& m) {
  const Node& node = m.node("v");
  const std::optional<std::int64_t> axis = trailing_axis(rw, node);
  if (!axis || trailing_axis(rw, m.node("m")) != axis ||
      !same_shape(rw.type(m["x"]), rw.type(root.outputs[0]))) {
    return false;
  }
  std::optional<Tensor> scale = over_tail(rw, rw.type(m["x"]), *axis, m["s"]);
  if (!scale) return false;
  const float epsilon = scalar_of(rw, m["e"]);
  const ValueId scale_id = rw.add_constant(root.name + "/scale", std::move(*scale));
  rw.replace("LayerNormalization", {m["x"], scale_id},
             {{"axis", *axis - rank_of(rw.type(m["x"]))}, {"epsilon", epsilon}});
  return true;
}

/// A sum over a known number of elements, times its inverse.
bool mean_of_sum(Rewriter& rw, const Node&, const Match& m) {
  const Node& sum = m.node("r");
  const Type& type = rw.type(m["x"]);
  const std::optional<Ints> axes = int_constant(rw, m["a"]);
  if (!axes || axes->empty() || !is_float(type.dtype)) return false;
  double count = 1;
  for (std::int64_t axis : *axes) {
    const std::int64_t dim = known_dim(type, axis);
    if (dim < 1) return false;
    count *= static_cast<double>(dim);
  }
  const double factor = *scalar_constant(rw, m["c"]);
  if (!near(m.has("q") ? factor : factor * count, m.has("q") ? count : 1.0)) return false;
  rw.replace("ReduceMean", {m["x"], m["a"]}, {{"keepdims", sum.attr_int("keepdims")}});
  return true;
}
bool rms_normalization(Rewriter& rw, const Node& root, const Match& m) {
  return normalization(rw, root, m, "RMSNormalization");
}

bool scale_into_normalization(Rewriter& rw, const Node& root, const Match& m) {
  const Node& norm = m.node("n");
  if (uniform_constant(rw, norm.inputs[1]) != 1.0 || norm.has_input(2)) return false;
  std::optional<Tensor> scale = over_tail(rw, norm, m["s"]);
  if (!scale) return false;
  const std::string op = norm.op->full_name();
  rw.replace(op, {norm.inputs[0], rw.add_constant(root.name + "/scale", std::move(*scale))},
             norm.attributes);
  return true;
}

bool bias_into_normalization(Rewriter& rw, const Node& root, const Match& m) {
  const Node& norm = m.node("n");
  if (norm.has_input(2)) return false;
  std::optional<Tensor> bias = over_tail(rw, norm, m["s"]);
  if (!bias) return false;
  rw.replace(
      "LayerNormalization",
      {norm.inputs[0], norm.inputs[1], rw.add_constant(root.name + "/bias", std::move(*bias))},
      norm.attributes);
  return true;
}

// Softmax

/// exp(x - max) / sum(exp(x - max)) over one axis.
bool softmax(Rewriter& rw, const Node&, const Match& m) {
  const std::optional<Ints> axes = int_constant(rw, m.node("h").inputs[1]);
  const std::optional<Ints> summed = int_constant(rw, m.node("t").inputs[1]);
  if (!axes || axes->size() != 1 || !summed || summed->size() != 1) return false;
  if (m.node("h").attr_int("keepdims") == 0 || m.node("t").attr_int("keepdims") == 0) return false;
  const std::int64_t rank = rank_of(rw.type(m["x"]));
  const auto normal = [&](std::int64_t axis) { return axis < 0 ? axis + rank : axis; };
  if (rank < 0 || normal(axes->front()) != normal(summed->front())) return false;
  rw.replace("Softmax", {m["x"]}, {{"axis", axes->front()}});
  return true;
}

/// A softmax between two transposes that undo each other runs along the other axis.
bool softmax_of_transposed(Rewriter& rw, const Node& root, const Match& m) {
  const Node& inner = m.node("p");
  if (!inner.has("perm") || !root.has("perm") || rank_of(rw.type(root.outputs[0])) < 0)
    return false;
  const Ints& first = inner.attr_ints("perm");
  const Ints& second = root.attr_ints("perm");
  for (std::size_t i = 0; i < second.size(); ++i) {
    if (first[static_cast<std::size_t>(second[i])] != static_cast<std::int64_t>(i)) return false;
  }
  std::int64_t axis = m.node("f").attr_int("axis");
  if (axis < 0) axis += static_cast<std::int64_t>(first.size());
  rw.replace("Softmax", {m["x"]}, {{"axis", first[static_cast<std::size_t>(axis)]}});
  return true;
}

// Parts that several patterns share. Cubes are products by now, squares too.
#define ERF "Erf({Div(x, 1.41421356) | Mul(x, 0.70710678)})"
#define SQUARE(x) "{Mul(" x ", " x ") | Pow(" x ", 2)}"
#define CUBE "{Mul(Mul(x, x), x) | Pow(x, 3)}"
#define TANH                                                       \
  "Tanh({Mul(Add(x, Mul(" CUBE                                     \
  ", 0.044715)), 0.7978845608)"                                    \
  " | Mul(x, Mul(Add(Mul(Mul(x, x), 0.044715), 1), 0.7978845608))" \
  " | Mul(Mul(x, 0.7978845608), Add(Mul(Mul(x, x), 0.044715), 1))" \
  " | Mul(Mul(x, Add(Mul(Mul(x, x), 0.044715), 1)), 0.7978845608)})"
#define GELU(phi)          \
  "{Mul(Mul(x, Add(" phi   \
  ", 1)), 0.5)"            \
  " | Mul(x, Mul(Add(" phi \
  ", 1), 0.5))"            \
  " | Mul(Mul(x, 0.5), Add(" phi ", 1))}"
#define ROOT "Sqrt(Add(v=ReduceMean(" SQUARE("d") ", b:c), e:s))"
#define CENTRED "d=Sub(x, m=ReduceMean(x, a:c))"
// The variance as E[x^2] - E[x]^2, kept from falling below zero by rounding.
#define FAST_VARIANCE "Sub(v=ReduceMean(" SQUARE("x") ", b:c), " SQUARE("m") ")"
#define FAST_ROOT "Sqrt(Add({Relu(" FAST_VARIANCE ") | " FAST_VARIANCE "}, e:s))"
#define PLAIN_CENTRED "Sub(x, m=ReduceMean(x, a:c))"
#define RMS_ROOT "Sqrt(Add(v=ReduceMean(" SQUARE("x") ", b:c), e:s))"

constexpr std::array kFusions{
    Fusion{"hard_sigmoid_by_six",
           "{Div(Clip(Add(x, 3), 0, 6), 6) | Mul(Clip(Add(x, 3), 0, 6), 0.16666667)}", nullptr,
           hard_sigmoid_by_six},
    Fusion{"hard_sigmoid", "Clip(Add(Mul(x, a:s), b:s), 0, 1)", nullptr, hard_sigmoid},
    Fusion{
        "hard_swish",
        "{Div(Mul(x, Clip(Add(x, 3), 0, 6)), 6) | Mul(Mul(x, Clip(Add(x, 3), 0, 6)), 0.16666667)}",
        "HardSwish"},
    Fusion{"hard_swish_of_hard_sigmoid", "Mul(x, g=HardSigmoid(x))", nullptr,
           hard_swish_of_sigmoid},
    Fusion{"sigmoid", "{Reciprocal(Add(Exp(Neg(x)), 1)) | Div(1, Add(Exp(Neg(x)), 1))}", "Sigmoid"},
    Fusion{"swish", "{Mul(x, Sigmoid(x)) | Div(x, Add(Exp(Neg(x)), 1))}", "Swish"},
    Fusion{"swish_with_alpha", "Mul(x, Sigmoid(Mul(x, a:s)))", nullptr, swish_with_alpha},
    Fusion{"mish", "Mul(x, Tanh(Softplus(x)))", "Mish"},
    Fusion{"gelu", GELU(ERF), "Gelu"},
    Fusion{"gelu_tanh", GELU(TANH), nullptr, gelu_tanh},
    Fusion{"leaky_relu", "Max(x, Mul(x, a:s))", nullptr, leaky_relu},
    Fusion{"layer_normalization",
           "{Div(" CENTRED ", " ROOT ") | Mul(" CENTRED ", {Reciprocal(" ROOT ") | Div(1, " ROOT
           ")})}",
           nullptr, layer_normalization},
    Fusion{"layer_normalization_fast_variance",
           "{Div(" PLAIN_CENTRED ", " FAST_ROOT ") | Mul(" PLAIN_CENTRED ", {Reciprocal(" FAST_ROOT
           ") | Div(1, " FAST_ROOT ")})}",
           nullptr, layer_normalization},
    Fusion{"layer_normalization_scaled_inverse",
           "Mul({" CENTRED " | " PLAIN_CENTRED "}, Mul({Reciprocal({" ROOT " | " FAST_ROOT
           "}) | Div(1, {" ROOT " | " FAST_ROOT "})}, s:c))",
           nullptr, scaled_normalization},
    Fusion{"rms_normalization",
           "{Div(x, " RMS_ROOT ") | Mul(x, {Reciprocal(" RMS_ROOT ") | Div(1, " RMS_ROOT ")})}",
           nullptr, rms_normalization},
    Fusion{"layer_normalization_scale", "Mul(n=LayerNormalization(x, w:c), s:c)", nullptr,
           scale_into_normalization},
    Fusion{"rms_normalization_scale", "Mul(n=RMSNormalization(x, w:c), s:c)", nullptr,
           scale_into_normalization},
    Fusion{"layer_normalization_bias", "Add(n=LayerNormalization(x, w:c), s:c)", nullptr,
           bias_into_normalization},
    Fusion{"mean_of_sum", "{Mul(r=ReduceSum(x, a:c), c:s) | q=Div(r=ReduceSum(x, a:c), c:s)}",
           nullptr, mean_of_sum},
    Fusion{"softmax", "Div(n=Exp(Sub(x, h=ReduceMax(x, a:c))), t=ReduceSum(n, b:c))", nullptr,
           softmax},
    Fusion{"softmax_of_transposed", "Transpose(f=Softmax(p=Transpose(x)))", nullptr,
           softmax_of_transposed},
};

bool apply_fusions(Rewriter& rw, const Node& root) {
  static const FusionTable table(kFusions);
  return table.apply(rw, root);
}

constexpr std::array kRules{Rule{"fuse_composites", "", apply_fusions}};

}  // namespace

bool fuse_composites(Graph& graph) { return rewrite(graph, kRules); }

}  // namespace naru
