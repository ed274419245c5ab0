// gpt-oss: sinks beside the scores, a window in every other layer, biases everywhere, and experts
// with a clamped activation.
#include "graph/import/llm/architecture.h"

namespace naru::llm {
namespace {

void configure(const Parameters& parameters, Config& config) {
  config.experts.gating = Gating::TopKSoftmax;
  config.experts.alpha = parameters.number("expert_alpha", 1.702);
  config.experts.limit = parameters.number("expert_limit", 7);
  config.experts.up_offset = 1;
  set_windows(parameters, config, 2);
}

}  // namespace

Architecture architecture_gpt_oss() {
  return {
      .name = "gpt-oss",
      .json_names = {"gpt_oss"},
      .yarn_truncates = false,
      .gguf_weights = {{"norm", "blk.{}.post_attention_norm"}, {"attention_post_norm", ""}},
      .json_weights = {{"sinks", "model.layers.{}.self_attn.sinks"},
                       {"router", "model.layers.{}.mlp.router"},
                       {"experts.gate", "model.layers.{}.mlp.experts.gate"},
                       {"experts.up", "model.layers.{}.mlp.experts.up"},
                       {"experts.down", "model.layers.{}.mlp.experts.down"}},
      .configure = configure,
  };
}

}  // namespace naru::llm
