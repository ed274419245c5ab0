// SentencePiece's precompiled character map: a double-array trie from texts to replacements.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace naru::text {

class CharsMap {
 public:
  /// Reads the binary form. @throws Error InvalidModel for a malformed one.
  explicit CharsMap(std::string_view blob);

  /// Whole grapheme clusters of up to 5 bytes first, then single characters: the way of the Hugging
  /// Face library.
  std::string apply_to_graphemes(std::string_view text) const;

  /// The longest match at each place: the way of SentencePiece.
  std::string apply_longest(std::string_view text) const;

 private:
  struct Match {
    std::size_t size = 0;  ///< bytes matched; 0: none
    std::string_view replacement;
  };

  /// The shortest (`longest`: the longest) key that `text` begins with.
  Match match(std::string_view text, bool longest) const;
  std::string_view replacement(std::uint32_t offset) const;

  std::vector<std::uint32_t> units_;
  std::string strings_;
};

/// Decodes base64 with its padding. @throws Error InvalidModel for other text.
std::string decode_base64(std::string_view text);

}  // namespace naru::text
