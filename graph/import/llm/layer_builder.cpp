// Nodes of transformer layers.
#include "graph/import/llm/layer_builder.h"

#include "graph/block/block_format.h"
#include "graph/fail.h"
#include "graph/onnx_dtype.h"

namespace naru::llm {

std::string LayerBuilder::full_name(std::string_view name) const {
  return layer_ == Weights::kNoLayer ? std::string(name) : fmt::format("layer{}.{}", layer_, name);
}

std::vector<ValueId> LayerBuilder::add_multi(std::string_view op, std::vector<ValueId> inputs,
                                             std::size_t outputs, Attributes attributes,
                                             std::string_view name) {
  const std::string node_name = full_name(name.empty() ? op : name);
  return graph.add_node(op, std::move(inputs), outputs, std::move(attributes), node_name).outputs;
}

ValueId LayerBuilder::add(std::string_view op, std::vector<ValueId> inputs, Attributes attributes,
                          std::string_view name) {
  return add_multi(op, std::move(inputs), 1, std::move(attributes), name).front();
}

ValueId LayerBuilder::ints(std::vector<std::int64_t> values) {
  return graph.add_constant(
      "ints", Tensor::from<std::int64_t>({static_cast<std::int64_t>(values.size())}, values));
}

ValueId LayerBuilder::cast(ValueId x, DType to) {
  return add("Cast", {x}, {{"to", onnx_code(to)}});
}

ValueId LayerBuilder::unsqueeze(ValueId x, std::vector<std::int64_t> axes) {
  return add("Unsqueeze", {x, ints(std::move(axes))});
}

ValueId LayerBuilder::scaled(ValueId x, double factor) {
  if (factor == 1) return x;
  return add("Mul", {x, graph.add_constant("factor", Tensor::scalar(static_cast<float>(factor)))});
}

std::vector<ValueId> LayerBuilder::split(ValueId x, std::vector<std::int64_t> sizes) {
  const std::size_t parts = sizes.size();
  return add_multi("Split", {x, ints(std::move(sizes))}, parts, {{"axis", std::int64_t{-1}}});
}

ValueId LayerBuilder::named(ValueId x, std::string name) {
  graph.value(x).name = std::move(name);
  graph.reindex();
  return x;
}

ValueId LayerBuilder::constant(std::string_view name, Tensor value, const Shape& expected) {
  if (value.shape() != expected) {
    fail(ErrorCode::InvalidModel, "weight {}: got {}, expected shape {}", full_name(name),
         to_string(value), to_string(expected));
  }
  return graph.add_constant(full_name(name), std::move(value));
}

std::optional<ValueId> LayerBuilder::vector(std::string_view weight, std::int64_t size,
                                            std::string_view part) {
  const std::optional<Tensor> found = weights.find(weight, layer_, part);
  if (!found) return std::nullopt;
  return constant(fmt::format("{}.{}", weight, part), dequantize(*found), {size});
}

ValueId LayerBuilder::product(ValueId x, ValueId w, std::string_view name) {
  return add("naru.FusedMatMul", {x, w}, {{"transB", std::int64_t{1}}}, name);
}

ValueId LayerBuilder::linear(ValueId x, std::string_view weight, std::int64_t outputs,
                             std::int64_t inputs) {
  const ValueId w = constant(weight, weights.take(weight, layer_), {outputs, inputs});
  std::vector<ValueId> operands{x, w};
  if (const std::optional<ValueId> bias = vector(weight, outputs, "bias"))
    operands.push_back(*bias);
  const ValueId y =
      add("naru.FusedMatMul", std::move(operands), {{"transB", std::int64_t{1}}}, weight);
  return adapted(y, x, weight, outputs, inputs);
}

/// y + (x * a^T) * b^T for each adapter.
ValueId LayerBuilder::adapted(ValueId y, ValueId x, std::string_view weight, std::int64_t outputs,
                              std::int64_t inputs) {
  for (LowRank& low : weights.low_ranks(weight, layer_)) {
    const std::int64_t rank = low.a.shape()[0];
    const std::string name = fmt::format("{}.lora", weight);
    const ValueId a = constant(name + "_a", std::move(low.a), {rank, inputs});
    const ValueId b = constant(name + "_b", std::move(low.b), {outputs, rank});
    y = add("Add", {y, product(product(x, a, name + "_a"), b, name + "_b")}, {}, name);
  }
  return y;
}

ValueId LayerBuilder::expert_matrices(std::string_view weight, std::int64_t outputs,
                                      std::int64_t inputs) {
  std::optional<Tensor> all = weights.find_experts(weight, layer_, config.experts.count);
  if (!all) fail(ErrorCode::InvalidModel, "weight {}: is missing", full_name(weight));
  return constant(weight, std::move(*all), {config.experts.count, outputs, inputs});
}

ValueId LayerBuilder::expert_biases(std::string_view weight, std::int64_t outputs) {
  const std::optional<Tensor> all =
      weights.find_experts(weight, layer_, config.experts.count, "bias");
  if (!all) return kNoValue;
  return constant(fmt::format("{}.bias", weight), dequantize(*all),
                  {config.experts.count, outputs});
}

Tensor LayerBuilder::norm_scale(std::string_view weight) {
  Tensor scale = dequantize(weights.take(weight, layer_));
  if (config.norm_offset == 0) return scale;
  scale = scale.clone();
  for (float& value : scale.as_mutable<float>()) value += static_cast<float>(config.norm_offset);
  return scale;
}

ValueId LayerBuilder::norm_by(ValueId x, ValueId scale, std::string_view name) {
  return add("RMSNormalization", {x, scale},
             {{"axis", std::int64_t{-1}}, {"epsilon", static_cast<float>(config.norm_epsilon)}},
             name);
}

ValueId LayerBuilder::norm(ValueId x, std::string_view weight) {
  if (!has(weight)) return x;
  return norm_by(x, constant(weight, norm_scale(weight), {config.hidden}), weight);
}

ValueId LayerBuilder::head_norm(ValueId x, std::string_view weight, std::int64_t heads) {
  if (!has(weight)) return x;
  Tensor scale = norm_scale(weight);
  const std::int64_t packed = heads * config.head_size;
  if (scale.numel() == packed)
    return norm_by(x, constant(weight, std::move(scale), {packed}), weight);
  const ValueId split = add("Reshape", {x, ints({0, heads, config.head_size})});
  const ValueId normed =
      norm_by(split, constant(weight, std::move(scale), {config.head_size}), weight);
  return add("Reshape", {normed, ints({0, packed})});
}

}  // namespace naru::llm
