// Random numbers: RandomUniform, RandomNormal, Bernoulli, Multinomial and Dropout.
#include <algorithm>
#include <cmath>
#include <exception>
#include <limits>
#include <random>

#include "graph/onnx_dtype.h"
#include "graph/op_def.h"
#include "graph/ops/families.h"
#include "graph/ops/type_set.h"
#include "graph/scalar.h"

namespace naru {
namespace {

std::uint32_t fresh_seed() {
  try {
    return std::random_device{}();
  } catch (const std::exception& error) {
    fail(ErrorCode::Io, "random seed: the system gave none: {}", error.what());
  }
}

/// The node's seed as NumPy's seed() would take it, or one of the system where it has none.
std::uint32_t seed_of(const Node& node) {
  const Attribute* seed = node.find("seed");
  if (seed == nullptr) return fresh_seed();
  if (const auto* integer = std::get_if<std::int64_t>(seed)) return static_cast<std::uint32_t>(*integer);
  const double value = node.attr_float("seed");
  if (!(std::fabs(value) < 0x1p62)) return 0;
  return static_cast<std::uint32_t>(static_cast<std::int64_t>(value));
}

/// MT19937 with the distributions of NumPy's RandomState (numpy/random, legacy distributions), which
/// unlike those of <random> are the same everywhere.
class Generator {
 public:
  explicit Generator(std::uint32_t seed) : engine_(seed) {}

  /// 53 random bits in [0, 1).
  double uniform() {
    const double high = static_cast<double>(engine_() >> 5);
    const double low = static_cast<double>(engine_() >> 6);
    return (high * 67108864.0 + low) / 9007199254740992.0;
  }

  /// Mean 0, deviation 1: Marsaglia's polar method, which makes two at a time.
  double normal() {
    if (has_next_) {
      has_next_ = false;
      return next_;
    }
    double a = 0, b = 0, r = 0;
    do {
      a = 2 * uniform() - 1;
      b = 2 * uniform() - 1;
      r = a * a + b * b;
    } while (r >= 1 || r == 0);
    const double scale = std::sqrt(-2 * std::log(r) / r);
    next_ = scale * a;
    has_next_ = true;
    return scale * b;
  }

 private:
  std::mt19937 engine_;
  bool has_next_ = false;
  double next_ = 0;
};

// RandomUniform and RandomNormal, from a shape or like a tensor

DType requested_type(InferContext& ctx, DType otherwise, TypeSet types) {
  const DType dtype = ctx.node.has("dtype") ? dtype_from_onnx(ctx.node.attr_int("dtype")) : otherwise;
  ctx.require(dtype == DType::Undefined || types.contains(dtype),
              "dtype: got element type {}, expected {}", to_string(dtype), to_string(types));
  return dtype;
}

void infer_from_shape(InferContext& ctx) {
  SymShape shape;
  for (std::int64_t dim : ctx.node.attr_ints("shape")) {
    ctx.require(dim >= 0, "shape: got dimension {}, expected at least 0", dim);
    shape.emplace_back(dim);
  }
  ctx.set_output(0, requested_type(ctx, DType::F32, kFloats), std::move(shape));
}

/// The input's shape with the type that `dtype` names, or else the input's.
template <const TypeSet& Types>
void infer_like(InferContext& ctx) {
  const DType dtype = requested_type(ctx, ctx.dtype(0), Types);
  if (const SymShape* shape = ctx.shape(0)) {
    ctx.set_output(0, dtype, *shape);
  } else {
    ctx.set_output(0, dtype);
  }
}

template <typename Draw>
void fill_with(ReferenceContext& ctx, Draw&& draw) {
  Generator generator(seed_of(ctx.node));
  Tensor& output = ctx.output(0);
  for (std::int64_t i = 0; i < output.numel(); ++i) {
    store_f64(output.dtype(), output.mutable_data(), i, draw(generator));
  }
}

void reference_uniform(ReferenceContext& ctx) {
  const double low = ctx.node.attr_float("low");
  const double range = ctx.node.attr_float("high") - low;
  fill_with(ctx, [&](Generator& generator) { return low + range * generator.uniform(); });
}

void reference_normal(ReferenceContext& ctx) {
  const double mean = ctx.node.attr_float("mean");
  const double scale = ctx.node.attr_float("scale");
  fill_with(ctx, [&](Generator& generator) { return mean + scale * generator.normal(); });
}

// Bernoulli

constexpr TypeSet kBernoulliTypes = kNumbers | kBool;

void infer_bernoulli(InferContext& ctx) {
  require_type(ctx, 0, kFloats);
  infer_like<kBernoulliTypes>(ctx);
}

void reference_bernoulli(ReferenceContext& ctx) {
  Generator generator(seed_of(ctx.node));
  const std::vector<double> probabilities = to_wide<double>(ctx.input(0));
  std::vector<double> result(probabilities.size());
  for (std::size_t i = 0; i < result.size(); ++i) {
    const double p = probabilities[i];
    ctx.require(p >= 0 && p <= 1, "input 0: got probability {}, expected one in [0, 1]", p);
    result[i] = generator.uniform() < p;
  }
  from_wide<double>(result, ctx.output(0));
}

bool decompose_bernoulli(DecomposeContext& ctx) {
  const DType from = ctx.type(ctx.input(0)).dtype;
  const DType to = ctx.output_type(0).dtype;
  if (from == DType::Undefined || to == DType::Undefined) return false;
  Attributes attributes;
  if (ctx.node.has("seed")) attributes["seed"] = ctx.node.attr_float("seed");
  const ValueId drawn = ctx.add("RandomUniformLike", {ctx.input(0)}, std::move(attributes));
  const ValueId below = ctx.add("Less", {drawn, ctx.input(0)});
  ctx.set_output(0, ctx.add("Cast", {below}, {{"to", onnx_code(to)}}));
  return true;
}

// Multinomial

void infer_multinomial(InferContext& ctx) {
  require_type(ctx, 0, kFloats);
  const DType dtype = requested_type(ctx, DType::I32, {DType::I64, DType::I32});
  const std::int64_t samples = ctx.node.attr_int("sample_size");
  ctx.require(samples >= 0, "sample_size: got {}, expected at least 0", samples);
  const SymShape* shape = ctx.shape(0);
  ctx.require(shape == nullptr || shape->size() == 2, "input 0: got rank {}, expected 2",
              shape == nullptr ? 0 : shape->size());
  ctx.set_output(0, dtype, {shape == nullptr ? ctx.fresh_dim() : (*shape)[0], samples});
}

/// Running sums of exp(x - max): the unnormalised distribution function of one row.
std::vector<double> distribution(const ReferenceContext& ctx, std::span<const double> logits) {
  double largest = -std::numeric_limits<double>::infinity();
  for (double x : logits) largest = std::max(largest, x);
  std::vector<double> result;
  double total = 0;
  for (double x : logits) result.push_back(total += std::exp(x - largest));
  ctx.require(total > 0 && std::isfinite(total), "input 0: got no finite log-probability in a row");
  return result;
}

void reference_multinomial(ReferenceContext& ctx) {
  Generator generator(seed_of(ctx.node));
  const std::vector<double> logits = to_wide<double>(ctx.input(0));
  const auto classes = static_cast<std::size_t>(ctx.input(0).shape()[1]);
  Tensor& output = ctx.output(0);
  const std::int64_t samples = output.shape()[1];
  for (std::int64_t row = 0; row < output.shape()[0] && samples > 0; ++row) {
    const std::size_t first = static_cast<std::size_t>(row) * classes;
    const std::vector<double> sums = distribution(ctx, std::span(logits).subspan(first, classes));
    for (std::int64_t i = 0; i < samples; ++i) {
      const double drawn = generator.uniform() * sums.back();
      const auto found = std::upper_bound(sums.begin(), sums.end(), drawn) - sums.begin();
      // Rounding may reach the end; the last class with weight is meant then.
      const auto last = std::lower_bound(sums.begin(), sums.end(), sums.back()) - sums.begin();
      store_i64(output.dtype(), output.mutable_data(), row * samples + i, std::min(found, last));
    }
  }
}

// Dropout

constexpr TypeSet kDropoutTypes = kFloats | kFloat8s;

void infer_dropout(InferContext& ctx) {
  require_type(ctx, 0, kDropoutTypes);
  if (ctx.has_input(1)) require_type(ctx, 1, kDropoutTypes);
  if (ctx.has_input(2)) require_type(ctx, 2, kBool);
  for (std::size_t i = 1; i < 3; ++i) {
    if (!ctx.has_input(i) || ctx.shape(i) == nullptr) continue;
    const auto shape = known_shape(*ctx.shape(i));
    ctx.require(!shape || shape->numel() == 1, "input {}: got shape {}, expected a scalar", i,
                to_string(*ctx.shape(i)));
  }
  ctx.set_output(0, ctx.input(0));
  if (const SymShape* shape = ctx.shape(0)) {
    ctx.set_output(1, DType::Bool, *shape);
  } else {
    ctx.set_output(1, DType::Bool);
  }
}

void reference_dropout(ReferenceContext& ctx) {
  const bool training = ctx.has_input(2) && to_wide<std::uint64_t>(ctx.input(2))[0] != 0;
  const double ratio = ctx.has_input(1) ? to_wide<double>(ctx.input(1))[0] : 0.5;
  ctx.require(!training || (ratio >= 0 && ratio < 1), "ratio: got {}, expected [0, 1)", ratio);
  const auto count = static_cast<std::size_t>(ctx.input(0).numel());
  std::vector<std::uint64_t> kept(count, 1);
  if (!training || ratio == 0) {
    ctx.set_output(0, ctx.input(0));
  } else {
    Generator generator(seed_of(ctx.node));
    std::vector<double> values = to_wide<double>(ctx.input(0));
    for (std::size_t i = 0; i < count; ++i) {
      kept[i] = generator.uniform() >= ratio;
      values[i] = kept[i] != 0 ? values[i] / (1 - ratio) : 0;
    }
    from_wide<double>(values, ctx.output(0));
  }
  if (ctx.has_output(1)) from_wide<std::uint64_t>(kept, ctx.output(1));
}

/// Outside training it is the identity, and the mask is all true.
void decompose_inference(DecomposeContext& ctx) {
  ctx.set_output(0, ctx.add("Identity", {ctx.input(0)}));
  if (!ctx.node.has_output(1)) return;
  const ValueId shape = ctx.add("Shape", {ctx.input(0)});
  const Attribute one = Tensor::from<bool>({1}, {true});
  ctx.set_output(1, ctx.add("ConstantOfShape", {shape}, {{"value", one}}));
}

/// With a seed that a RandomUniform can take, the numbers are the same in every run.
bool decompose_training(DecomposeContext& ctx) {
  const DType dtype = ctx.type(ctx.input(0)).dtype;
  const Attribute* seed = ctx.node.find("seed");
  if (seed == nullptr || !kFloats.contains(dtype)) return false;
  const std::int64_t number = std::get<std::int64_t>(*seed);
  const auto rounded = static_cast<float>(number);
  if (std::fabs(rounded) >= 0x1p62F || static_cast<std::int64_t>(rounded) != number) return false;
  const auto scalar = [&](std::size_t i) { return ctx.add("Reshape", {ctx.input(i), ctx.ints({})}); };
  const ValueId training = scalar(2);
  const ValueId drawn = ctx.add("RandomUniformLike", {ctx.input(0)}, {{"dtype", onnx_code(DType::F64)}, {"seed", rounded}});
  const ValueId ratio = ctx.has_input(1) ? ctx.add("Cast", {scalar(1)}, {{"to", onnx_code(DType::F64)}}) : ctx.scalar(DType::F64, 0.5);
  const ValueId dropped = ctx.add("And", {training, ctx.add("Less", {drawn, ratio})});
  const ValueId share = ctx.add("Cast", {ctx.add("Sub", {ctx.scalar(DType::F64, 1), ratio})}, {{"to", onnx_code(dtype)}});
  const ValueId divisor = ctx.add("Where", {training, share, ctx.scalar(dtype, 1)});
  ctx.set_output(0, ctx.add("Where", {dropped, ctx.scalar(dtype, 0), ctx.add("Div", {ctx.input(0), divisor})}));
  if (ctx.node.has_output(1)) ctx.set_output(1, ctx.add("Not", {dropped}));
  return true;
}

bool decompose_dropout(DecomposeContext& ctx) {
  const Tensor* training = ctx.has_input(2) ? ctx.constant(2) : nullptr;
  const bool known = !ctx.has_input(2) || training != nullptr;
  const bool trains = training != nullptr && to_wide<std::uint64_t>(*training)[0] != 0;
  if (!known || trains) return decompose_training(ctx);
  decompose_inference(ctx);
  return true;
}

// Definitions

AttrSpec seed_attribute() {
  return {"seed", AttrKind::Float, "start of the generator; without it each run differs"};
}

std::vector<AttrSpec> uniform_attributes() {
  return {{"low", AttrKind::Float, "lower bound", 0.0f}, {"high", AttrKind::Float, "upper bound", 1.0f},
          seed_attribute()};
}

std::vector<AttrSpec> normal_attributes() {
  return {{"mean", AttrKind::Float, "mean", 0.0f},
          {"scale", AttrKind::Float, "standard deviation", 1.0f}, seed_attribute()};
}

OpDef random_def(const char* name, const char* doc, std::vector<AttrSpec> attributes,
                 void (*infer)(InferContext&), void (*reference)(ReferenceContext&)) {
  OpDef def{
      .name = name,
      .domain = "",
      .since_version = 22,
      .doc = doc,
      .source = fmt::format("ONNX {}-22", name),
      .inputs = {},
      .outputs = {{"output", "see dtype"}},
      .attributes = std::move(attributes),
      .infer = infer,
      .reference = reference,
      .nondeterministic = true,
  };
  def.attributes.push_back({"dtype", AttrKind::Int, "ONNX code of the output's element type"});
  return def;
}

OpDef from_shape_def(OpDef def) {
  def.attributes.back().default_value = onnx_code(DType::F32);
  def.attributes.push_back({"shape", AttrKind::Ints, "shape of the output", std::nullopt, true});
  return def;
}

OpDef from_input_def(OpDef def, const char* input_doc) {
  def.inputs = {{"input", input_doc}};
  return def;
}

OpDef dropout_def() {
  return {
      .name = "Dropout",
      .domain = "",
      .since_version = 22,
      .doc = "In training, zeroes elements at random and scales the rest; else passes them through.",
      .source = "ONNX Dropout-22",
      .inputs = {{"data", to_string(kDropoutTypes)},
                 {"ratio", "float scalar in [0, 1), 0.5 when absent", Arity::Optional},
                 {"training_mode", "bool scalar, false when absent", Arity::Optional}},
      .outputs = {{"output", "as data"}, {"mask", "bool, true where kept", Arity::Optional}},
      .attributes = {{"seed", AttrKind::Int, "start of the generator; without it each run differs"}},
      .infer = infer_dropout,
      .reference = reference_dropout,
      .decompose = decompose_dropout,
      .nondeterministic = true,
  };
}

}  // namespace

void define_random(std::vector<OpDef>& ops) {
  const char* uniform_doc = "Uniform random numbers in [low, high).";
  const char* normal_doc = "Normally distributed random numbers.";
  ops.push_back(from_shape_def(random_def("RandomUniform", uniform_doc, uniform_attributes(),
                                          infer_from_shape, reference_uniform)));
  ops.push_back(from_shape_def(random_def("RandomNormal", normal_doc, normal_attributes(),
                                          infer_from_shape, reference_normal)));
  ops.push_back(from_input_def(random_def("RandomUniformLike", uniform_doc, uniform_attributes(),
                                          infer_like<kFloats>, reference_uniform),
                               "any type; only its shape and type count"));
  ops.push_back(from_input_def(random_def("RandomNormalLike", normal_doc, normal_attributes(),
                                          infer_like<kFloats>, reference_normal),
                               "any type; only its shape and type count"));
  ops.push_back(from_input_def(random_def("Bernoulli", "1 with the given probability, else 0.",
                                          {seed_attribute()}, infer_bernoulli, reference_bernoulli),
                               "probabilities, f64|f32|f16|bf16"));
  ops.back().decompose = decompose_bernoulli;
  ops.push_back(from_input_def(
      random_def("Multinomial", "Draws classes by unnormalised log-probabilities.",
                 {seed_attribute(), {"sample_size", AttrKind::Int, "draws per row", std::int64_t{1}}},
                 infer_multinomial, reference_multinomial),
      "[batch, classes], f64|f32|f16|bf16"));
  ops.push_back(dropout_def());
}

}  // namespace naru
