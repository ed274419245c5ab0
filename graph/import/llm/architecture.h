// One record per architecture of language models; each has a small file of its own.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "graph/import/llm/config.h"
#include "graph/import/llm/weights.h"

namespace naru::llm {

/// What an architecture adds to the common transformer. Which biases, norms and sinks there are is
/// read from the weights.
struct Architecture {
  std::string_view name;                          ///< in GGUF's general.architecture
  std::vector<std::string_view> json_names = {};  ///< model_type in config.json; none: as `name`
  bool interleaved_gguf = false;  ///< GGUF stores pairs of the rotary embedding as neighbours
  bool yarn_truncates = true;     ///< see RopeUse; GGUF does not state it
  std::vector<WeightName> gguf_weights = {};  ///< that differ from the common names
  std::vector<WeightName> json_weights = {};
  /// Adjusts what the common rules made of the parameters.
  void (*configure)(const Parameters&, Config&) = nullptr;
};

/// All of them, in the order of architectures.def.
std::span<const Architecture> architectures();

/// @throws Error Unsupported naming those that there are.
const Architecture& find_architecture(std::string_view name, bool gguf);

/// Names of weights before an architecture's own.
std::vector<WeightName> weight_names(const Architecture& architecture, bool gguf);

/// Layers, without those behind them that only draft further tokens.
std::int64_t layer_count(const Parameters& parameters);

/// The numbers of a model: common rules, then the architecture's. `context` > 0 limits the
/// positions.
/// @throws Error InvalidModel for numbers that do not fit each other or the limits.
Config make_config(const Architecture& architecture, const Parameters& parameters, Weights& weights,
                   std::int64_t context);

// What several architectures share.

/// The window of layers that see one; 0 when the model has none.
std::int64_t window_of(const Parameters& parameters);

/// Layers whose place in a run of `pattern` is not the last see the window; 0: none do. The model's
/// own pattern, or its list of layers, is preferred.
void set_windows(const Parameters& parameters, Config& config, std::int64_t pattern);

/// set_windows() for models whose other layers, where there is a window at all, do without rotary
/// embedding.
void set_windows_and_ropes(const Parameters& parameters, Config& config, std::int64_t pattern);

}  // namespace naru::llm
