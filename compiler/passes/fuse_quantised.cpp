// fuse_quantised: dequantise, convolve or multiply, quantise becomes a product of integers.
#include <cmath>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "compiler/passes/passes.h"
#include "compiler/rewrite.h"
#include "graph/op_def.h"
#include "graph/scalar.h"

namespace naru {
namespace {

bool is_byte(DType dtype) { return dtype == DType::U8 || dtype == DType::I8; }

/// A value with its scale and zero point, which may be absent.
struct Quantised {
  ValueId value = kNoValue, scale = kNoValue, zero = kNoValue;
};

/// How many parameters there are: 1 for one of any rank, the length of a vector, -1 when unknown.
std::int64_t parameter_count(const Type& type) {
  const std::int64_t rank = rank_of(type);
  return rank == 0 ? 1 : rank == 1 ? known_dim(type, 0) : -1;
}

/// The DequantizeLinear before `id`, of `dtype`s that `fits` accepts, with f32 scales, not in blocks.
std::optional<Quantised> dequantised(const Rewriter& rw, ValueId id, bool (*fits)(DType), std::int64_t vector_axis) {
  const Node* node = id == kNoValue ? nullptr : rw.producer(id, "DequantizeLinear");
  if (node == nullptr || node->attr_int("block_size") != 0) return std::nullopt;
  const Type& type = rw.type(node->inputs[0]);
  const Type& scale = rw.type(node->inputs[1]);
  if (!fits(type.dtype) || scale.dtype != DType::F32) return std::nullopt;
  const std::int64_t count = parameter_count(scale);
  std::int64_t axis = node->attr_int("axis");
  if (axis < 0) axis += rank_of(type);
  if (count != 1 && (vector_axis < 0 || count < 0 || axis != vector_axis)) return std::nullopt;
  return Quantised{node->inputs[0], node->inputs[1], node->has_input(2) ? node->inputs[2] : kNoValue};
}

/// The zero point, made where it is absent: as many zeros as there are scales.
ValueId zero_of(Rewriter& rw, const Quantised& quantised, const std::string& name) {
  if (quantised.zero != kNoValue) return quantised.zero;
  const Type scale = rw.type(quantised.scale);
  Tensor zeros(rw.type(quantised.value).dtype, rank_of(scale) == 0 ? Shape{} : Shape{known_dim(scale, 0)});
  from_wide<double>(std::vector<double>(static_cast<std::size_t>(zeros.numel()), 0.0), zeros);
  return rw.add_constant(name, std::move(zeros));
}

bool is_int32(DType dtype) { return dtype == DType::I32; }

/// The integers of a bias whose scale is that of the sums; nullopt for any other.
std::optional<ValueId> integer_bias(const Rewriter& rw, ValueId id, const Quantised& x, const Quantised& w) {
  const std::optional<Quantised> bias = dequantised(rw, id, is_int32, 0);
  if (!bias) return std::nullopt;
  const Tensor *own = rw.constant(bias->scale), *x_scale = rw.constant(x.scale), *w_scale = rw.constant(w.scale);
  if (own == nullptr || x_scale == nullptr || w_scale == nullptr) return std::nullopt;
  if (bias->zero != kNoValue && uniform_constant(rw, bias->zero) != 0.0) return std::nullopt;
  const std::vector<double> b = to_wide<double>(*own), s = to_wide<double>(*w_scale);
  const double factor = to_wide<double>(*x_scale)[0];
  for (std::size_t i = 0; i < std::max(b.size(), s.size()); ++i) {
    const double expected = factor * s[s.size() == 1 ? 0 : i];
    if (b.size() != 1 && b.size() != std::max(b.size(), s.size())) return std::nullopt;
    if (std::abs(b[b.size() == 1 ? 0 : i] - expected) > 1e-6 * std::abs(expected)) return std::nullopt;
  }
  return bias->value;
}

/// The value before a Relu that saturation makes needless: where 0 is the lowest number of the result.
ValueId before_relu(const Rewriter& rw, ValueId value, ValueId y_zero) {
  const Node* relu = rw.producer(value, "Relu");
  const Tensor* zero = rw.constant(y_zero);
  if (relu == nullptr || zero == nullptr || !rw.single_use(value)) return value;
  const double lowest = zero->dtype() == DType::I8 ? -128 : 0;
  return scalar_constant(rw, y_zero) == lowest ? relu->inputs[0] : value;
}

/// A kind of product and what it becomes.
struct Kind {
  const char* from;
  const char* to;
  std::int64_t w_axis;  ///< along which the weights may have one scale each
  bool has_bias;
};
constexpr Kind kKinds[] = {{"Conv", "QLinearConv", 0, true}, {"MatMul", "QLinearMatMul", 1, false}};

bool fuse(Rewriter& rw, const Node& root) {
  if (root.attr_int("block_size") != 0 || !root.has_input(2) || !is_byte(rw.type(root.outputs[0]).dtype)) return false;
  const ValueId y_scale = root.inputs[1], y_zero = root.inputs[2];
  if (rw.type(y_scale).dtype != DType::F32 || parameter_count(rw.type(y_scale)) != 1) return false;
  const ValueId value = before_relu(rw, root.inputs[0], y_zero);
  for (const Kind& kind : kKinds) {
    const Node* node = rw.producer(value, kind.from);
    if (node == nullptr || !rw.single_use(value)) continue;
    // A scale per column is one of a matrix.
    const std::int64_t w_axis = kind.has_bias || rank_of(rw.type(node->inputs[1])) == 2 ? kind.w_axis : -1;
    const auto x = dequantised(rw, node->inputs[0], is_byte, -1);
    const auto w = dequantised(rw, node->inputs[1], is_byte, w_axis);
    if (!x || !w) return false;
    std::optional<ValueId> bias;
    if (kind.has_bias && node->has_input(2)) {
      bias = integer_bias(rw, node->inputs[2], *x, *w);
      if (!bias) return false;
    }
    Attributes attributes = node->attributes;
    const ValueId x_zero = zero_of(rw, *x, root.name + "/x_zero"), w_zero = zero_of(rw, *w, root.name + "/w_zero");
    std::vector<ValueId> inputs = {x->value, x->scale, x_zero, w->value, w->scale, w_zero, y_scale, y_zero};
    if (bias) inputs.push_back(*bias);
    rw.replace(kind.to, std::move(inputs), std::move(attributes));
    return true;
  }
  return false;
}

constexpr Rule kRules[] = {{"integer_product", "QuantizeLinear", fuse}};

}  // namespace

bool fuse_quantised(Graph& graph) { return rewrite(graph, kRules); }

}  // namespace naru
