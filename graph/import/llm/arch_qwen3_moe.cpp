// Qwen3-MoE: Qwen3 with experts whose weights sum to 1.
#include "graph/import/llm/architecture.h"

namespace naru::llm {
namespace {

/// GGUF does not state it.
void configure(const Parameters& parameters, Config& config) {
  config.experts.normalise =
      parameters.number("expert_normalise", parameters.is_gguf() ? 1 : 0) != 0;
}

}  // namespace

Architecture architecture_qwen3_moe() {
  return {.name = "qwen3moe", .json_names = {"qwen3_moe"}, .configure = configure};
}

}  // namespace naru::llm
