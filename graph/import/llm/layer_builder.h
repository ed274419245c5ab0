// Adding the pieces of transformer layers to a graph, with their weights by name.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.h"
#include "graph/import/llm/config.h"
#include "graph/import/llm/weights.h"

namespace naru::llm {

/// Appends nodes. Names of weights are those of the layer that was entered last.
class LayerBuilder {
 public:
  LayerBuilder(const Config& own_config, Weights& own_weights)
      : config(own_config), weights(own_weights) {}

  const Config& config;
  Weights& weights;
  Graph graph;

  void enter_layer(std::int64_t layer) { layer_ = layer; }

  ValueId add(std::string_view op, std::vector<ValueId> inputs, Attributes attributes = {},
              std::string_view name = {});
  std::vector<ValueId> add_multi(std::string_view op, std::vector<ValueId> inputs,
                                 std::size_t outputs, Attributes attributes = {},
                                 std::string_view name = {});
  ValueId ints(std::vector<std::int64_t> values);
  ValueId cast(ValueId x, DType to);
  ValueId unsqueeze(ValueId x, std::vector<std::int64_t> axes);
  /// x times a constant; x itself for 1.
  ValueId scaled(ValueId x, double factor);
  /// Parts of the last axis.
  std::vector<ValueId> split(ValueId x, std::vector<std::int64_t> sizes);
  /// Renames a value.
  ValueId named(ValueId x, std::string name);

  std::optional<Tensor> find(std::string_view weight) { return weights.find(weight, layer_); }
  bool has(std::string_view weight) { return find(weight).has_value(); }
  /// A constant of the given shape. @throws Error InvalidModel for another one.
  ValueId constant(std::string_view name, Tensor value, const Shape& expected);
  /// A weight of `size` elements as f32 vector; nullopt when there is none.
  std::optional<ValueId> vector(std::string_view weight, std::int64_t size,
                                std::string_view part = "weight");

  /// x * w^T, the bias when there is one, and what adapters add.
  ValueId linear(ValueId x, std::string_view weight, std::int64_t outputs, std::int64_t inputs);
  /// The matrices of all experts, [experts, outputs, inputs]. @throws Error InvalidModel without
  /// them.
  ValueId expert_matrices(std::string_view weight, std::int64_t outputs, std::int64_t inputs);
  /// Their biases [experts, outputs], or kNoValue.
  ValueId expert_biases(std::string_view weight, std::int64_t outputs);
  /// x * w^T for a constant.
  ValueId product(ValueId x, ValueId w, std::string_view name);
  /// Root-mean-square norm over the last axis; x itself where the weights have none of the name.
  ValueId norm(ValueId x, std::string_view weight);
  /// The same over each head of [tokens, heads * head_size], or over all of them, as the weight
  /// says.
  ValueId head_norm(ValueId x, std::string_view weight, std::int64_t heads);

 private:
  std::string full_name(std::string_view name) const;
  ValueId adapted(ValueId y, ValueId x, std::string_view weight, std::int64_t outputs,
                  std::int64_t inputs);
  ValueId norm_by(ValueId x, ValueId scale, std::string_view name);
  Tensor norm_scale(std::string_view weight);

  std::int64_t layer_ = Weights::kNoLayer;
};

}  // namespace naru::llm
