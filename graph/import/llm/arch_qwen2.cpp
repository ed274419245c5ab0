// Qwen2, Qwen2.5, A.X 4: biases on queries, keys and values.
#include "graph/import/llm/architecture.h"

namespace naru::llm {
namespace {

/// Off unless asked for; then the layers from max_window_layers on see a window.
void configure(const Parameters& parameters, Config& config) {
  if (parameters.number("use_window", 0) == 0) return;
  set_windows(parameters, config, 0);
  if (parameters.list("sliding_layers")) return;
  const auto layers = static_cast<std::int64_t>(config.layers.size());
  for (std::int64_t i = parameters.integer("max_window_layers", 0, 1 << 12, 0); i < layers; ++i) {
    config.layers[static_cast<std::size_t>(i)].window = window_of(parameters);
  }
}

}  // namespace

Architecture architecture_qwen2() { return {.name = "qwen2", .configure = configure}; }

}  // namespace naru::llm
