// Beam search: the most probable continuations as wholes, not token by token.
#pragma once

#include <cstdint>
#include <vector>

#include "naru/generate.h"

namespace naru {

struct BeamOptions {
  int beams = 4;                 ///< kept at each step, 1 to 64
  std::int64_t max_tokens = 32;
  double length_penalty = 1;     ///< sums of logarithms are divided by the length to this power
};

/// A continuation of the prompt.
struct Beam {
  std::vector<TokenId> tokens;  ///< the end token included
  double logprob = 0;           ///< natural logarithm of its probability
  double score = 0;             ///< what it is ranked by
  bool ended = false;           ///< by the model's end token
};

/// The best `beams` continuations, the best first; the rules are those of transformers' generate() with
/// num_beams and early_stopping = False. The beams of a step run side by side and share their pages.
/// @throws Error InvalidArgument for options out of range or a prompt that leaves no room.
std::vector<Beam> beam_search(Generator& generator, const std::vector<TokenId>& prompt, const BeamOptions& options);

}  // namespace naru
