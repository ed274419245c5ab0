// Tokenizer: text to token ids and back, for every kind of vocabulary that naru imports.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace naru {

using TokenId = std::int32_t;

/// Whether control tokens written out in a text, such as "<|im_end|>", become those tokens. Text
/// from users is encoded with No, or a user could forge turns; what a chat template wrote, with
/// Yes.
enum class ParseSpecial : std::uint8_t { No, Yes };

/// A range of bytes.
struct TextRange {
  std::size_t begin = 0, end = 0;
};

struct EncodeOptions {
  ParseSpecial parse_special = ParseSpecial::No;
  bool add_special = true;  ///< add what the model expects around a text: BOS, EOS, [CLS] ...
  /// Parts of the text that users wrote, in order: control tokens that touch one stay text even
  /// with ParseSpecial::Yes. Prompt::input of a chat template fits.
  std::span<const TextRange> input = {};
};

/// Immutable after it is made; many threads may use one. Copies share their tables.
class Tokenizer {
 public:
  /// Makes a tokenizer from a model's metadata entry "naru.tokenizer", a JSON text:
  ///   {"type": "huggingface", "tokenizer_json": {...}, "config": {...}, "generation_config":
  ///   {...}}
  ///   {"type": "gguf", "model": "gpt2|llama|t5|bert", "pre": ..., "tokens": [...], "scores":
  ///   [...],
  ///    "token_types": [...], "merges": [...], "bos_token_id": ..., "add_bos_token": ...}
  /// where the members of the second have the names that the file has after "tokenizer.ggml.".
  /// @throws Error InvalidModel for malformed data, Unsupported for a kind that naru does not have.
  static Tokenizer from_json(std::string_view metadata);

  /// Ids of a text. Ill-formed UTF-8 counts as U+FFFD, one for each maximal ill-formed part.
  /// Time grows as n log n with the length of the text.
  /// @throws Error InvalidArgument for a text of 2 GiB or more, or an ill-formed one with `input`.
  std::vector<TokenId> encode(std::string_view text, EncodeOptions options = {}) const;

  /// The text of tokens, well-formed UTF-8; `with_special`: control tokens written out, else left
  /// out. @throws Error InvalidArgument for an id out of range.
  std::string decode(std::span<const TokenId> tokens, bool with_special = false) const;

  /// The bytes that a token adds to a text, which may be part of a character; empty for ids without
  /// a token. @throws Error InvalidArgument for an id out of range.
  std::string_view token_bytes(TokenId id) const;

  std::int64_t vocab_size() const noexcept;
  /// Whether a token is a control token: no text, so never made from plain text.
  bool is_special(TokenId id) const noexcept;
  /// Whether generation ends after this token.
  bool is_end_of_generation(TokenId id) const noexcept;
  /// The token written exactly so, control tokens included.
  std::optional<TokenId> find(std::string_view token) const;

  std::optional<TokenId> bos() const noexcept;
  std::optional<TokenId> eos() const noexcept;
  std::optional<TokenId> pad() const noexcept;
  std::optional<TokenId> unknown() const noexcept;

  /// The model's own chat template, Jinja text; empty when it has none.
  const std::string& chat_template() const noexcept;

  /// "bpe", "unigram", "wordpiece".
  std::string_view kind() const noexcept;

  struct Impl;
  explicit Tokenizer(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  const Impl& impl() const noexcept { return *impl_; }

 private:
  std::shared_ptr<const Impl> impl_;
};

/// Turns a stream of tokens into a stream of well-formed text: bytes of a character that is not yet
/// complete wait for the next token. One thread at a time.
class Detokenizer {
 public:
  /// `continues`: the tokens follow others, so that a space at the beginning is text.
  explicit Detokenizer(Tokenizer tokenizer, bool continues = false, bool with_special = false);

  /// The text that is complete with this token; may be empty.
  /// @throws Error InvalidArgument for an id out of range.
  std::string push(TokenId id);
  /// What is left, with U+FFFD for a character that never became complete.
  std::string finish();

 private:
  Tokenizer tokenizer_;
  std::string pending_;
  bool at_start_;
  bool with_special_;
};

}  // namespace naru
