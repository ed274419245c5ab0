// fold_affine: per-channel scales and shifts by constants go into the weights and biases of the
// convolution or matrix product before or behind them.
#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "compiler/passes/passes.h"
#include "compiler/rewrite.h"
#include "graph/op_def.h"
#include "graph/scalar.h"

namespace naru {
namespace {

using Values = std::vector<double>;

/// y = scale * x + shift, one pair per channel.
struct Affine {
  Values scale;
  Values shift;
};

/// Where the channels of a value are.
struct Channels {
  std::int64_t rank = 0;
  std::int64_t axis = 0;
  std::int64_t count = 0;
};

/// One value per channel, when the constant varies along the channel axis alone and widens nothing.
std::optional<Values> per_channel(const Tensor* constant, const Channels& channels) {
  if (constant == nullptr || !is_float(constant->dtype()) || constant->rank() > channels.rank) {
    return std::nullopt;
  }
  const std::int64_t offset = channels.rank - constant->rank();
  for (std::int64_t i = 0; i < constant->rank(); ++i) {
    const std::int64_t dim = constant->shape()[i];
    if (dim != 1 && (i + offset != channels.axis || dim != channels.count)) return std::nullopt;
  }
  Values values = to_wide<double>(*constant);
  if (values.size() == 1) values.resize(static_cast<std::size_t>(channels.count), values[0]);
  return values;
}

/// Scale and shift of an inference BatchNormalization with constant statistics.
std::optional<Affine> affine_of_normalization(const Rewriter& rw, const Node& node,
                                              std::int64_t count) {
  if (node.attr_int("training_mode") != 0 || !rw.only_first_output(node)) return std::nullopt;
  std::array<Values, 4> parameters;  // scale, bias, mean, variance
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const Tensor* tensor = rw.constant(node.inputs[i + 1]);
    if (tensor == nullptr || tensor->numel() != count) return std::nullopt;
    parameters[i] = to_wide<double>(*tensor);
  }
  const auto& [scale, bias, mean, variance] = parameters;
  const double epsilon = node.attr_float("epsilon");
  Affine affine;
  for (std::size_t c = 0; c < scale.size(); ++c) {
    const double s = scale[c] / std::sqrt(variance[c] + epsilon);
    affine.scale.push_back(s);
    affine.shift.push_back(bias[c] - mean[c] * s);
  }
  return affine;
}

/// What `node` does to its first input, when that is an affine function per channel.
std::optional<Affine> affine_of(const Rewriter& rw, const Node& node, const Channels& channels) {
  const std::string& op = node.op->name;
  if (!node.op->domain.empty() || !same_shape(rw.type(node.inputs[0]), rw.type(node.outputs[0]))) {
    return std::nullopt;
  }
  if (op == "BatchNormalization") {
    return channels.axis == 1 ? affine_of_normalization(rw, node, channels.count) : std::nullopt;
  }
  if (op != "Mul" && op != "Add" && op != "Div") return std::nullopt;
  std::optional<Values> values = per_channel(rw.constant(node.inputs[1]), channels);
  if (!values) return std::nullopt;
  const auto count = static_cast<std::size_t>(channels.count);
  if (op == "Add") return Affine{Values(count, 1.0), std::move(*values)};
  if (op == "Div") {
    for (double& value : *values) value = 1 / value;
  }
  return Affine{std::move(*values), Values(count, 0.0)};
}

bool all_are(const Values& values, double wanted) {
  return std::all_of(values.begin(), values.end(), [&](double v) { return v == wanted; });
}

/// Rounds to the element type; nothing when a value leaves its range.
std::optional<Tensor> rounded(DType dtype, const Shape& shape, const Values& values) {
  Tensor tensor(dtype, shape);
  from_wide<double>(values, tensor);
  const Values back = to_wide<double>(tensor);
  const bool finite =
      std::all_of(back.begin(), back.end(), [](double v) { return std::isfinite(v); });
  return finite ? std::optional(std::move(tensor)) : std::nullopt;
}

/// A convolution or matrix product with constant weights, seen as [rows, columns, inner]: a row is
/// a channel of one side, a column one of the other side within a group of rows.
struct Anchor {
  const Node* node = nullptr;
  const Tensor* weights = nullptr;
  Channels in;
  Channels out;
  std::size_t rows = 1;
  std::size_t columns = 1;
  std::size_t inner = 1;
  std::size_t rows_per_group = 1;
  bool out_is_row = true;
  bool bias_is_input = true;  ///< a shift can become input 2

  std::size_t out_of(std::size_t row, std::size_t column) const {
    return out_is_row ? row : row / rows_per_group * columns + column;
  }
  std::size_t in_of(std::size_t row, std::size_t column) const {
    return out_is_row ? row / rows_per_group * columns + column : row;
  }
};

std::optional<Anchor> convolution_anchor(const Rewriter& rw, const Node& node) {
  const Tensor& weights = *rw.constant(node.inputs[1]);
  const std::int64_t rank = weights.rank();
  const std::int64_t groups = node.attr_int_or("group", 1);
  if (rank < 3 || groups < 1 || weights.shape()[0] % groups != 0) return std::nullopt;
  const std::int64_t rows = weights.shape()[0], columns = weights.shape()[1];
  Anchor anchor{&node, &weights, {rank, 1, columns * groups}, {rank, 1, rows}};
  anchor.rows = static_cast<std::size_t>(rows);
  anchor.columns = static_cast<std::size_t>(columns);
  anchor.inner = static_cast<std::size_t>(weights.shape().numel(2, rank));
  anchor.rows_per_group = static_cast<std::size_t>(rows / groups);
  anchor.out_is_row = node.op->name == "Conv";
  if (!anchor.out_is_row) std::swap(anchor.in.count, anchor.out.count);
  return anchor;
}

std::optional<Anchor> product_anchor(const Rewriter& rw, const Node& node) {
  const Tensor& weights = *rw.constant(node.inputs[1]);
  const std::int64_t in_rank = rank_of(rw.type(node.inputs[0]));
  if (weights.rank() != 2 || in_rank < 2) return std::nullopt;
  Anchor anchor{&node,
                &weights,
                {in_rank, in_rank - 1, weights.shape()[0]},
                {in_rank, in_rank - 1, weights.shape()[1]}};
  anchor.rows = static_cast<std::size_t>(weights.shape()[0]);
  anchor.columns = static_cast<std::size_t>(weights.shape()[1]);
  anchor.rows_per_group = anchor.rows;
  anchor.out_is_row = node.attr_int_or("transB", 0) != 0;
  if (anchor.out_is_row) std::swap(anchor.in.count, anchor.out.count);
  if (node.attr_int_or("transA", 0) != 0) anchor.in.axis = in_rank - 2;
  anchor.bias_is_input = node.op->domain == "naru";
  return anchor;
}

/// The weights, each scaled by what `factor(row, column)` gives; nothing when one leaves its range.
template <typename Factor>
std::optional<Tensor> scaled(const Anchor& anchor, Factor factor) {
  const Tensor& weights = *anchor.weights;
  Tensor result(weights.dtype(), weights.shape());
  bool finite = true;
  const auto each = [&](auto&& multiply) {
    std::int64_t i = 0;
    for (std::size_t row = 0; row < anchor.rows; ++row) {
      for (std::size_t column = 0; column < anchor.columns; ++column) {
        const double by = factor(row, column);
        for (std::size_t k = 0; k < anchor.inner; ++k, ++i)
          finite &= std::isfinite(multiply(i, by));
      }
    }
  };
  if (weights.dtype() == DType::F32) {  // millions of them: no dispatch by type inside
    const float* from = weights.as<float>().data();
    float* to = result.as_mutable<float>().data();
    each([&](std::int64_t i, double by) { return to[i] = static_cast<float>(from[i] * by); });
  } else {
    each([&](std::int64_t i, double by) {
      store_f64(weights.dtype(), result.mutable_data(), i,
                load_f64(weights.dtype(), weights.data(), i) * by);
      return load_f64(weights.dtype(), result.data(), i);
    });
  }
  return finite ? std::optional(std::move(result)) : std::nullopt;
}

/// What the anchor makes of one constant per input channel, per output channel.
Values image_of(const Anchor& anchor, const Values& constants) {
  Values image(static_cast<std::size_t>(anchor.out.count), 0.0);
  std::int64_t i = 0;
  for (std::size_t row = 0; row < anchor.rows; ++row) {
    for (std::size_t column = 0; column < anchor.columns; ++column) {
      double sum = 0;
      for (std::size_t k = 0; k < anchor.inner; ++k, ++i)
        sum += load_f64(anchor.weights->dtype(), anchor.weights->data(), i);
      image[anchor.out_of(row, column)] += sum * constants[anchor.in_of(row, column)];
    }
  }
  return image;
}

/// The node as something with constant weights and nothing behind its bias.
std::optional<Anchor> anchor_of(const Rewriter& rw, const Node* node) {
  if (node == nullptr) return std::nullopt;
  const std::string op = node->op->full_name();
  const bool convolution = op == "Conv" || op == "ConvTranspose";
  const bool product = op == "MatMul" || op == "naru.FusedMatMul";
  if (!convolution && !product) return std::nullopt;
  const Tensor* weights = rw.constant(node->inputs[1]);
  if (weights == nullptr || !is_float(weights->dtype()) || weights->numel() == 0)
    return std::nullopt;
  if (op == "naru.FusedMatMul" && !node->attr_strings("post_ops").empty()) return std::nullopt;
  return convolution ? convolution_anchor(rw, *node) : product_anchor(rw, *node);
}

/// The bias per output channel, zeros when there is none; nothing when it is no constant vector.
std::optional<Values> bias_of(const Rewriter& rw, const Anchor& anchor) {
  if (!anchor.node->has_input(2)) return Values(static_cast<std::size_t>(anchor.out.count), 0.0);
  const Tensor* bias = rw.constant(anchor.node->inputs[2]);
  // A convolution's bias is a vector; seen as the last axis it reads like that of a product.
  return per_channel(bias, {anchor.out.rank, anchor.out.rank - 1, anchor.out.count});
}

/// Replaces the root by the anchor with these weights, its own when absent, and this bias.
bool replace_anchor(Rewriter& rw, const Node& root, const Anchor& anchor, ValueId input,
                    std::optional<Tensor> weights, const Values& bias) {
  const bool with_bias = anchor.node->has_input(2) || !all_are(bias, 0.0);
  std::optional<Tensor> new_bias;
  if (with_bias) new_bias = rounded(anchor.weights->dtype(), {anchor.out.count}, bias);
  if (with_bias != new_bias.has_value()) return false;
  const Node& old = *anchor.node;
  const bool as_fused = with_bias && !anchor.bias_is_input;
  std::vector<ValueId> inputs{input, old.inputs[1]};
  if (weights) inputs[1] = rw.add_constant(rw.value(old.inputs[1]).name, std::move(*weights));
  if (new_bias) inputs.push_back(rw.add_constant(root.name + "/bias", std::move(*new_bias)));
  rw.replace(as_fused ? "naru.FusedMatMul" : old.op->full_name(), std::move(inputs),
             old.attributes);
  return true;
}

/// affine(anchor(x)): the weights of each output channel are scaled, the bias scaled and shifted.
bool fold_behind(Rewriter& rw, const Node& root) {
  const ValueId result = root.inputs[0];
  const std::optional<Anchor> anchor = anchor_of(rw, rw.producer(result));
  if (!anchor || !rw.single_use(result)) return false;
  const std::optional<Affine> affine = affine_of(rw, root, anchor->out);
  std::optional<Values> bias = affine ? bias_of(rw, *anchor) : std::nullopt;
  if (!affine || !bias) return false;
  for (std::size_t c = 0; c < bias->size(); ++c)
    (*bias)[c] = (*bias)[c] * affine->scale[c] + affine->shift[c];
  std::optional<Tensor> weights;
  if (!all_are(affine->scale, 1.0)) {
    weights = scaled(
        *anchor, [&](std::size_t r, std::size_t c) { return affine->scale[anchor->out_of(r, c)]; });
    if (!weights) return false;
  }
  return replace_anchor(rw, root, *anchor, anchor->node->inputs[0], std::move(weights), *bias);
}

/// True when every output sees all weights: no padding that a shift would have to pass through.
bool sees_all_weights(const Node& node) {
  if (node.op->name == "ConvTranspose") return false;
  if (node.op->name != "Conv") return true;
  const std::string mode = node.attr_string_or("auto_pad", "NOTSET");
  const std::vector<std::int64_t> pads = node.attr_ints_or("pads", {});
  return mode == "VALID" ||
         (mode == "NOTSET" &&
          std::all_of(pads.begin(), pads.end(), [](std::int64_t p) { return p == 0; }));
}

/// anchor(affine(x)): the weights of each input channel are scaled, the bias gains what they make
/// of the shift.
bool fold_before(Rewriter& rw, const Node& root) {
  const std::optional<Anchor> anchor = anchor_of(rw, &root);
  const Node* inner = rw.producer(root.inputs[0]);
  if (!anchor || inner == nullptr || !rw.single_use(root.inputs[0])) return false;
  if (inner->op->name == "BatchNormalization") return false;  // becomes Mul and Add first
  const std::optional<Affine> affine = affine_of(rw, *inner, anchor->in);
  if (!affine || (!all_are(affine->shift, 0.0) && !sees_all_weights(root))) return false;
  std::optional<Values> bias = bias_of(rw, *anchor);
  if (!bias) return false;
  const double alpha = root.op->name == "FusedMatMul" ? root.attr_float("alpha") : 1.0;
  if (!all_are(affine->shift, 0.0)) {
    const Values image = image_of(*anchor, affine->shift);
    for (std::size_t c = 0; c < image.size(); ++c) (*bias)[c] += alpha * image[c];
  }
  std::optional<Tensor> weights = scaled(
      *anchor, [&](std::size_t r, std::size_t c) { return affine->scale[anchor->in_of(r, c)]; });
  if (!weights) return false;
  return replace_anchor(rw, root, *anchor, inner->inputs[0], std::move(weights), *bias);
}

/// A convolution with weights known only at run time can still take a constant bias.
bool bias_into_convolution(Rewriter& rw, const Node& root) {
  const Node* conv = rw.producer(root.inputs[0]);
  if (conv == nullptr || !rw.single_use(root.inputs[0]) || conv->has_input(2) ||
      !conv->op->domain.empty())
    return false;
  if (conv->op->name != "Conv" && conv->op->name != "ConvTranspose") return false;
  const Type& type = rw.type(root.inputs[0]);
  const Channels channels{rank_of(type), 1, known_dim(type, 1)};
  if (channels.count < 1 || !same_shape(type, rw.type(root.outputs[0]))) return false;
  const std::optional<Values> bias = per_channel(rw.constant(root.inputs[1]), channels);
  if (!bias) return false;
  std::optional<Tensor> tensor = rounded(type.dtype, {channels.count}, *bias);
  if (!tensor) return false;
  const Node old = *conv;
  rw.replace(
      old.op->full_name(),
      {old.inputs[0], old.inputs[1], rw.add_constant(root.name + "/bias", std::move(*tensor))},
      old.attributes);
  return true;
}

/// A normalization that no convolution takes: x * scale + shift. Narrow types keep it, which rounds
/// once.
bool normalization_to_affine(Rewriter& rw, const Node& root) {
  const Type& type = rw.type(root.inputs[0]);
  const std::int64_t rank = rank_of(type), count = known_dim(type, 1);
  if (rank < 2 || count < 1 || (type.dtype != DType::F32 && type.dtype != DType::F64)) return false;
  const std::optional<Affine> affine = affine_of_normalization(rw, root, count);
  if (!affine) return false;
  Shape shape{count};
  for (std::int64_t axis = 2; axis < rank; ++axis) shape.push_back(1);
  std::optional<Tensor> scale = rounded(type.dtype, shape, affine->scale);
  std::optional<Tensor> shift = rounded(type.dtype, shape, affine->shift);
  if (!scale || !shift) return false;
  const ValueId scale_id = rw.add_constant(root.name + "/scale", std::move(*scale));
  const ValueId shift_id = rw.add_constant(root.name + "/shift", std::move(*shift));
  rw.replace("Add", {rw.add("Mul", {root.inputs[0], scale_id}), shift_id});
  return true;
}

/// (x * s + a) * m is x * (s * m) + a * m.
bool merge_affine(Rewriter& rw, const Node& root) {
  const Node* sum = rw.producer(root.inputs[0], "Add");
  const Node* product = sum == nullptr ? nullptr : rw.producer(sum->inputs[0], "Mul");
  if (product == nullptr || !rw.single_use(root.inputs[0]) || !rw.single_use(sum->inputs[0]))
    return false;
  const Tensor* m = rw.constant(root.inputs[1]);
  const Tensor* a = rw.constant(sum->inputs[1]);
  const Tensor* s = rw.constant(product->inputs[1]);
  if (m == nullptr || a == nullptr || s == nullptr || !is_float(m->dtype())) return false;
  Tensor scale = evaluate_constant("Mul", {*s, *m});
  Tensor shift = evaluate_constant("Mul", {*a, *m});
  if (scale.numel() > std::max(s->numel(), m->numel()) ||
      shift.numel() > std::max(a->numel(), m->numel()))
    return false;
  if (!rounded(scale.dtype(), scale.shape(), to_wide<double>(scale)) ||
      !rounded(shift.dtype(), shift.shape(), to_wide<double>(shift))) {
    return false;
  }
  const ValueId x = product->inputs[0];
  const ValueId scale_id = rw.add_constant(root.name + "/scale", std::move(scale));
  const ValueId shift_id = rw.add_constant(root.name + "/shift", std::move(shift));
  rw.replace("Add", {rw.add("Mul", {x, scale_id}), shift_id});
  return true;
}

constexpr std::array kRules{
    Rule{"fold_mul_behind", "Mul", fold_behind},
    Rule{"fold_div_behind", "Div", fold_behind},
    Rule{"fold_add_behind", "Add", fold_behind},
    Rule{"fold_normalization_behind", "BatchNormalization", fold_behind},
    Rule{"fold_before_conv", "Conv", fold_before},
    Rule{"fold_before_conv_transpose", "ConvTranspose", fold_before},
    Rule{"fold_before_matmul", "MatMul", fold_before},
    Rule{"fold_before_fused_matmul", "naru.FusedMatMul", fold_before},
    Rule{"bias_into_convolution", "Add", bias_into_convolution},
    Rule{"normalization_to_affine", "BatchNormalization", normalization_to_affine},
    Rule{"merge_affine", "Mul", merge_affine},
};

}  // namespace

bool fold_affine(Graph& graph) { return rewrite(graph, kRules); }

}  // namespace naru
