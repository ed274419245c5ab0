// Tokens that are matched in the text as they are written, before anything else is done to it.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "naru/tokenizer.h"

#include "runtime/text/byte_trie.h"
#include "runtime/text/pattern_matcher.h"

namespace naru::text {

struct AddedToken {
  std::string content;
  TokenId id = -1;
  bool special = false;      ///< a control token: matched only when the caller asks
  bool single_word = false;  ///< not inside a word
  bool strip_left = false;   ///< takes the white space before it
  bool strip_right = false;  ///< takes the white space after it
};

/// A part of a text: one added token, or text to be cut further (id -1).
struct TextPart {
  Span span;
  TokenId id = -1;
};

/// Finds added tokens, leftmost and then longest. Immutable.
class AddedTokens {
 public:
  AddedTokens() = default;
  explicit AddedTokens(std::vector<AddedToken> tokens);

  bool empty() const { return tokens_.empty(); }
  /// Control tokens count only with ParseSpecial::Yes, and not where they touch `input`.
  std::vector<TextPart> split(std::string_view text, ParseSpecial parse_special,
                              std::span<const TextRange> input = {}) const;

 private:
  /// The longest token that begins at `at`; its index or -1.
  std::int32_t longest_at(std::string_view text, std::size_t at) const;

  std::vector<AddedToken> tokens_;
  ByteTrie trie_;
};

}  // namespace naru::text
