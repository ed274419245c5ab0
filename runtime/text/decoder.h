// What each token adds to a text: the decoders of tokenizer.json, worked out once per token.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/text/json.h"

namespace naru::text {

/// How the bytes of a token follow from how it is written.
struct Decoder {
  bool byte_level = false;   ///< letters stand for bytes
  bool byte_tokens = false;  ///< <0x41> stands for the byte 0x41
  std::vector<std::pair<std::string, std::string>> replacements;
  std::optional<std::string> word_piece_prefix;  ///< continues a word; other tokens begin one
  bool clean_up = false;                         ///< no space before marks, WordPiece's way
  std::string end_suffix;                        ///< ends a word; becomes a space
  std::size_t strip_start = 0;                   ///< spaces taken from the beginning of a text

  std::string token_bytes(std::string_view token) const;
};

/// The "decoder" of a tokenizer.json, which may be null.
/// @throws Error InvalidModel, Unsupported.
Decoder parse_decoder(const Json& json);

/// The bytes that a token of a byte-level vocabulary is written for; none when it has letters
/// beyond that alphabet.
std::optional<std::string> bytes_of_letters(std::string_view token);

/// The byte that "<0xHH>" stands for.
std::optional<unsigned char> byte_of_token(std::string_view token);

}  // namespace naru::text
