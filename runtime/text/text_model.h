// The models that cut a piece of normalised text into tokens.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "naru/tokenizer.h"

#include "runtime/text/vocabulary.h"

namespace naru::text {

/// Cuts pieces of text into tokens. Immutable; many threads may use one.
class TextModel {
 public:
  virtual ~TextModel() = default;
  /// Appends the ids of `piece`, well-formed UTF-8 without special tokens.
  virtual void encode(std::string_view piece, std::vector<TokenId>& ids) const = 0;
};

/// The tokens <0x00> to <0xFF> that stand for bytes; -1 where there is none.
using ByteTokens = std::array<TokenId, 256>;

/// Appends the byte tokens of `bytes`; false, and nothing, when one of them is missing.
inline bool append_byte_tokens(const ByteTokens& tokens, std::string_view bytes,
                               std::vector<TokenId>& ids) {
  for (const char byte : bytes) {
    if (tokens[static_cast<unsigned char>(byte)] < 0) return false;
  }
  for (const char byte : bytes) ids.push_back(tokens[static_cast<unsigned char>(byte)]);
  return true;
}

}  // namespace naru::text
