// Frequencies of rotary embeddings from a model's hyper-parameters.
#pragma once

#include "graph/import/llm/config.h"

namespace naru::llm {

/// The frequencies that the model's rope_* parameters describe: none, linear, llama3, yarn or
/// longrope scaling, for up to `context` positions. `divisors`, when not empty, divide the unscaled frequencies (GGUF's rope_freqs
/// and rope_factors). @throws Error InvalidModel, or Unsupported for another kind of scaling.
Rope make_rope(const Parameters& parameters, std::int64_t head_size, std::int64_t context,
               const std::vector<float>& divisors);

/// As if there were no scaling: theta^(-2i / dims).
Rope plain_rope(double theta, std::int64_t dims);

}  // namespace naru::llm
