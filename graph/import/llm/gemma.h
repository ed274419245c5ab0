// What the Gemma architectures share.
#pragma once

#include "graph/import/llm/architecture.h"

namespace naru::llm {

/// Norms around each block, under these names in safetensors.
std::vector<WeightName> gemma_json_weights();

/// Scaled embeddings, gelu, norms that add 1 (which GGUF has added already), and the attention
/// scale, which GGUF does not state: the model of `large` layers takes that of a head's share.
void configure_gemma(const Parameters& parameters, Config& config, std::size_t large);

}  // namespace naru::llm
