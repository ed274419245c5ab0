// Phi-3 and Phi-4: one matrix for queries, keys and values, one for gate and up; long rotary
// factors.
#include "graph/import/llm/architecture.h"

namespace naru::llm {
namespace {

void configure(const Parameters& parameters, Config& config) {
  for (Layer& layer : config.layers) layer.window = window_of(parameters);
}

}  // namespace

Architecture architecture_phi3() {
  return {.name = "phi3",
          .gguf_weights = {{"up", ""}, {"gate_up", "blk.{}.ffn_up"}},
          .configure = configure};
}

}  // namespace naru::llm
