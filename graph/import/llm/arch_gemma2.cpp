// Gemma 2: capped scores and logits, a window in every other layer.
#include "graph/import/llm/gemma.h"

namespace naru::llm {
namespace {

constexpr std::size_t kLayersOf27B = 46;

void configure(const Parameters& parameters, Config& config) {
  configure_gemma(parameters, config, kLayersOf27B);
  set_windows(parameters, config, 2);
}

}  // namespace

Architecture architecture_gemma2() {
  return {.name = "gemma2", .json_weights = gemma_json_weights(), .configure = configure};
}

}  // namespace naru::llm
