// K-EXAONE: EXAONE 4's attention, norms before the blocks, experts chosen by sigmoids and a bias, and
// one that all rows take.
#include "graph/import/llm/architecture.h"

namespace naru::llm {
namespace {

void configure(const Parameters& parameters, Config& config) {
  config.experts.gating = Gating::SigmoidTopK;
  if (parameters.integer("window", 0, INT64_C(1) << 40, 0) == 0) return;
  set_windows(parameters, config, parameters.integer("sliding_pattern", 0, 1 << 12, 4));
  for (Layer& layer : config.layers) {
    if (layer.window == 0) layer.rope = Layer::kNoRope;
  }
}

}  // namespace

Architecture architecture_exaone_moe() {
  return {
      .name = "exaone-moe",
      .json_names = {"exaone_moe"},
      .json_weights = {{"shared.gate", "model.layers.{}.mlp.shared_experts.gate_proj"},
                       {"shared.up", "model.layers.{}.mlp.shared_experts.up_proj"},
                       {"shared.down", "model.layers.{}.mlp.shared_experts.down_proj"}},
      .configure = configure,
  };
}

}  // namespace naru::llm
