// Byte-pair encoding: joins the neighbouring pair of lowest rank until no pair is left to join.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "runtime/text/text_model.h"

namespace naru::text {

/// What joins and in which order: by a list of merges, or by the score of the joined token.
class MergeRules {
 public:
  struct Merge {
    float rank = 0;  ///< lower first
    TokenId joined = -1;
  };
  virtual ~MergeRules() = default;
  /// The join of two neighbours; `text` is what both cover. No join: joined < 0.
  virtual Merge find(TokenId left, TokenId right, std::string_view text) const = 0;
};

/// Rules from a list in order of rank. Entries that would make a token which text may not become
/// are left out.
/// @throws Error InvalidModel for an entry that names no tokens, or whose join is no token.
std::unique_ptr<MergeRules> listed_merges(
    const Vocabulary& vocabulary, const std::vector<std::pair<std::string, std::string>>& merges,
    std::string_view continuing_prefix);

/// SentencePiece rules: a pair joins when its text is a token, the highest score first.
std::unique_ptr<MergeRules> scored_merges(const Vocabulary& vocabulary, std::vector<float> scores);

struct BpeOptions {
  bool bytes = false;                     ///< symbols are bytes, not characters
  bool whole_pieces = false;              ///< a piece that is a token needs no merges
  bool fuse_unknown = false;              ///< a run of unknown symbols is one unknown token
  TokenId unknown = -1;                   ///< stands for symbols without a token; -1: they vanish
  std::optional<ByteTokens> byte_tokens;  ///< stand for the bytes of characters without a token
  std::string continuing_prefix;          ///< before each symbol but the first
  std::string end_suffix;                 ///< after the last symbol
};

/// `vocabulary` must outlive the model.
std::unique_ptr<TextModel> make_bpe(const Vocabulary& vocabulary, std::unique_ptr<MergeRules> rules,
                                    BpeOptions options);

}  // namespace naru::text
