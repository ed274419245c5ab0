// EXAONE 4: norms behind the blocks, queries and keys normalised per head, and, where three of four
// layers see a window, no rotary embedding in the fourth.
#include "graph/import/llm/architecture.h"

namespace naru::llm {
namespace {

void configure(const Parameters& parameters, Config& config) {
  if (parameters.integer("window", 0, INT64_C(1) << 40, 0) == 0) return;
  set_windows(parameters, config, parameters.integer("sliding_pattern", 0, 1 << 12, 4));
  for (Layer& layer : config.layers) {
    if (layer.window == 0) layer.rope = Layer::kNoRope;
  }
}

}  // namespace

Architecture architecture_exaone4() {
  return {
      .name = "exaone4",
      .gguf_weights = {{"attention_norm", ""}, {"norm", ""}},
      .json_weights = {{"attention_norm", ""},
                       {"norm", ""},
                       {"attention_post_norm", "model.layers.{}.post_attention_layernorm"},
                       {"post_norm", "model.layers.{}.post_feedforward_layernorm"}},
      .configure = configure,
  };
}

}  // namespace naru::llm
