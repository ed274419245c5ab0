// Gemma 3: queries and keys normalised per head; five of six layers see a window and turn by a base
// of their own.
#include "graph/import/llm/gemma.h"
#include "graph/import/llm/rope.h"

namespace naru::llm {
namespace {

constexpr std::size_t kLayersOf27B = 62;

void configure(const Parameters& parameters, Config& config) {
  configure_gemma(parameters, config, kLayersOf27B);
  set_windows(parameters, config, 6);
  config.ropes.push_back(
      plain_rope(parameters.number("local_rope_theta", 10000), config.head_size));
  for (Layer& layer : config.layers) layer.rope = layer.window > 0 ? 1 : 0;
}

}  // namespace

Architecture architecture_gemma3() {
  return {.name = "gemma3",
          .json_names = {"gemma3", "gemma3_text"},
          .json_weights = gemma_json_weights(),
          .configure = configure};
}

}  // namespace naru::llm
