// Gemma's common rules.
#include "graph/import/llm/gemma.h"

#include <cmath>

namespace naru::llm {

std::vector<WeightName> gemma_json_weights() {
  return {{"attention_post_norm", "model.layers.{}.post_attention_layernorm"},
          {"norm", "model.layers.{}.pre_feedforward_layernorm"},
          {"post_norm", "model.layers.{}.post_feedforward_layernorm"}};
}

void configure_gemma(const Parameters& parameters, Config& config, std::size_t large) {
  config.embedding_scale = std::sqrt(static_cast<double>(config.hidden));
  config.activation = Activation::GeluTanh;
  config.norm_offset = parameters.is_gguf() ? 0 : 1;
  const bool shared = config.layers.size() == large;
  const double scalar =
      static_cast<double>(shared ? config.hidden / config.heads : config.head_size);
  config.attention_scale = 1 / std::sqrt(parameters.number("query_scalar", scalar));
}

}  // namespace naru::llm
