// SmolLM3: Llama without a rotary embedding in every fourth layer.
#include "graph/fail.h"
#include "graph/import/llm/architecture.h"

namespace naru::llm {
namespace {

void configure(const Parameters& parameters, Config& config) {
  const auto turned = parameters.list("rope_layers");
  if (turned && turned->size() != config.layers.size()) {
    fail(ErrorCode::InvalidModel, "no_rope_layers: got {}, expected {}", turned->size(),
         config.layers.size());
  }
  for (std::size_t i = 0; i < config.layers.size(); ++i) {
    const bool rope = turned ? (*turned)[i] != 0 : (i + 1) % 4 != 0;
    if (!rope) config.layers[i].rope = Layer::kNoRope;
  }
}

}  // namespace

Architecture architecture_smollm3() {
  return {.name = "smollm3", .interleaved_gguf = true, .configure = configure};
}

}  // namespace naru::llm
