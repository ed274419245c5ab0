// EXAONE 4: norms behind the blocks, queries and keys normalised per head, and, where three of four
// layers see a window, no rotary embedding in the fourth.
#include "graph/import/llm/architecture.h"

namespace naru::llm {
namespace {

void configure(const Parameters& parameters, Config& config) {
  set_windows_and_ropes(parameters, config, 4);
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
