// What a Tokenizer is made of, whichever file it came from.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "naru/tokenizer.h"

#include "runtime/text/added_tokens.h"
#include "runtime/text/decoder.h"
#include "runtime/text/normalizer.h"
#include "runtime/text/pre_tokenizer.h"
#include "runtime/text/text_model.h"

namespace naru {

/// The way of a text: added tokens are cut out, the rest is normalised, added tokens that are
/// written in normalised form are cut out, the rest is cut into pieces, and each goes to the model.
struct Tokenizer::Impl {
  explicit Impl(std::int64_t vocab_size) : vocabulary(vocab_size) {}

  std::string kind;
  text::Vocabulary vocabulary;
  text::AddedTokens added, added_normalised;
  text::Normalizer normalizer;
  text::PreTokenizer pre_tokenizer;
  std::unique_ptr<text::TextModel> model;
  std::vector<TokenId> prefix, suffix;  ///< around a text, when the caller wants special tokens

  std::vector<std::string> outputs;  ///< bytes of each token in a text
  std::size_t strip_start = 0;       ///< spaces that the beginning of a decoded text loses
  std::vector<bool> special;         ///< control tokens
  std::set<TokenId> ends;            ///< generation ends after these
  std::optional<TokenId> bos, eos, pad, unknown;
  std::string chat_template;
};

namespace text {

/// Fills `outputs` from the vocabulary's written tokens.
void decode_vocabulary(Tokenizer::Impl& impl, const std::vector<std::string>& written,
                       const Decoder& decoder);

/// Tokens whose names mean the end of a turn or of a text in the known chat formats are ends.
void find_ends_by_name(Tokenizer::Impl& impl);

std::shared_ptr<const Tokenizer::Impl> load_huggingface(const Json& metadata);
std::shared_ptr<const Tokenizer::Impl> load_gguf(const Json& metadata);

}  // namespace text
}  // namespace naru
