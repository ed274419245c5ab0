// The unigram model: the way through a text whose tokens have the highest sum of log-probabilities.
#pragma once

#include <optional>

#include "runtime/text/text_model.h"

namespace naru::text {

struct UnigramOptions {
  TokenId unknown = -1;                   ///< stands for a run of characters without a token
  std::optional<ByteTokens> byte_tokens;  ///< stand for the bytes of such characters instead
  bool fuse_unknown = true;
  bool single_precision = false;  ///< sums are f32, which decides between ways of equal score
};

/// `scores`: one for each id of the vocabulary.
std::unique_ptr<TextModel> make_unigram(const Vocabulary& vocabulary, std::vector<double> scores,
                                        UnigramOptions options);

}  // namespace naru::text
