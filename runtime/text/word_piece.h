// WordPiece: the longest token first, from the beginning of each word.
#pragma once

#include <string>

#include "runtime/text/text_model.h"

namespace naru::text {

struct WordPieceOptions {
  TokenId unknown = -1;  ///< stands for a word that no tokens make up
  std::string continuing_prefix = "##";
  std::int64_t max_characters = 100;  ///< longer words are unknown
  bool whole_words = false;           ///< a word is one token or unknown
};

/// `vocabulary` must outlive the model.
std::unique_ptr<TextModel> make_word_piece(const Vocabulary& vocabulary, WordPieceOptions options);

}  // namespace naru::text
