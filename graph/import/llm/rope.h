// Frequencies of rotary embeddings from a model's hyper-parameters.
#pragma once

#include "graph/import/llm/config.h"

namespace naru::llm {

/// What frequencies are wanted for.
struct RopeUse {
  std::int64_t head_size = 0;
  std::int64_t context = 0;  ///< positions that will be used
  std::vector<float> divisors =
      {};  ///< of the unscaled frequencies, or none (GGUF's rope_freqs, rope_factors)
  bool yarn_truncates =
      true;  ///< YaRN's ramp begins and ends at whole pairs, unless rope_truncate says
};

/// The frequencies that the model's rope_* parameters describe: none, linear, llama3, yarn or
/// longrope scaling. @throws Error InvalidModel, or Unsupported for another kind of scaling.
Rope make_rope(const Parameters& parameters, const RopeUse& use);

/// As if there were no scaling: theta^(-2i / dims).
Rope plain_rope(double theta, std::int64_t dims);

}  // namespace naru::llm
