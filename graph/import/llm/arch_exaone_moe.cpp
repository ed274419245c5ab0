// K-EXAONE: EXAONE 4's attention, norms before the blocks, experts chosen by sigmoids and a bias,
// and one that all rows take.
#include "graph/import/llm/architecture.h"

namespace naru::llm {
namespace {

void configure(const Parameters& parameters, Config& config) {
  config.experts.gating = Gating::SigmoidTopK;
  set_windows_and_ropes(parameters, config, 4);
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
