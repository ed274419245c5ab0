// Mixtral in safetensors (its GGUF files call themselves llama): experts behind a softmax over
// those chosen.
#include "graph/import/llm/architecture.h"

namespace naru::llm {
namespace {

void configure(const Parameters& parameters, Config& config) {
  config.experts.gating = Gating::TopKSoftmax;
  for (Layer& layer : config.layers) layer.window = window_of(parameters);
}

}  // namespace

Architecture architecture_mixtral() {
  return {
      .name = "mixtral",
      .json_weights = {{"router", "model.layers.{}.block_sparse_moe.gate"},
                       {"experts.gate", "model.layers.{}.block_sparse_moe.experts.{expert}.w1"},
                       {"experts.up", "model.layers.{}.block_sparse_moe.experts.{expert}.w3"},
                       {"experts.down", "model.layers.{}.block_sparse_moe.experts.{expert}.w2"}},
      .configure = configure,
  };
}

}  // namespace naru::llm
