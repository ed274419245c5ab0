// Llama 2 and 3, and what is built alike: Mistral, SmolLM2, Kanana, Mi:dm, Solar, HyperCLOVA X
// SEED.
#include "graph/import/llm/architecture.h"

namespace naru::llm {
namespace {

/// Mistral's first version saw a window in every layer; Mixtral's GGUF files call themselves llama.
void configure(const Parameters& parameters, Config& config) {
  config.experts.gating = Gating::TopKSoftmax;
  for (Layer& layer : config.layers) layer.window = window_of(parameters);
}

}  // namespace

Architecture architecture_llama() {
  return {.name = "llama",
          .json_names = {"llama", "mistral"},
          .interleaved_gguf = true,
          .configure = configure};
}

}  // namespace naru::llm
