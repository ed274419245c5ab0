// Makes a tokenizer from the vocabulary of a GGUF file.
#include <algorithm>
#include <array>

#include "graph/fail.h"
#include "graph/model_file.h"
#include "runtime/text/bpe.h"
#include "runtime/text/tokenizer_impl.h"
#include "runtime/text/unigram.h"
#include "runtime/text/word_piece.h"

namespace naru::text {
namespace {

/// Values of tokenizer.ggml.token_type.
enum class TokenType : std::int64_t {
  Normal = 1,
  Unknown = 2,
  Control = 3,
  UserDefined = 4,
  Unused = 5,
  Byte = 6
};

constexpr const char* kSpaceMark = "\u2581";

class Loader {
 public:
  explicit Loader(const Json& metadata) : file_(metadata) {}

  std::shared_ptr<const Tokenizer::Impl> load() {
    for (const Model& model : kModels) {
      if (model.name != string_at(file_, "model")) continue;
      read_tokens();
      (this->*model.build)();
      read_special(model);
      decode_vocabulary(*impl_, written_, decoder_);
      return impl_;
    }
    fail(ErrorCode::Unsupported, "tokenizer: the model {} is not supported",
         quote_name(string_at(file_, "model")));
  }

 private:
  struct Model {
    std::string_view name;
    void (Loader::*build)();
    bool add_bos, add_eos;
    std::int64_t bos, eos, unknown;  ///< ids unless the file says otherwise; -1: none
  };
  static const std::array<Model, 5> kModels;

  void read_tokens() {
    const Json& tokens = array_at(file_, "tokens");
    impl_ = std::make_shared<Tokenizer::Impl>(static_cast<std::int64_t>(tokens.size()));
    impl_->special.assign(tokens.size(), false);
    types_.assign(tokens.size(), TokenType::Normal);
    const Json& types =
        member(file_, member(file_, "token_types").is_null() ? "token_type" : "token_types");
    if (!types.is_null() && (!types.is_array() || types.size() < tokens.size())) {
      fail(ErrorCode::InvalidModel, "token_type: got {} entries, expected {}", types.size(),
           tokens.size());
    }
    std::vector<AddedToken> added;
    for (std::size_t id = 0; id < tokens.size(); ++id) {
      written_.push_back(as_string(tokens[id], "tokens"));
      if (types.is_array() && types[id].is_number_integer())
        types_[id] = static_cast<TokenType>(types[id].get<std::int64_t>());
      const bool control = types_[id] == TokenType::Control || types_[id] == TokenType::Unknown;
      impl_->special[id] = control;
      if (!control && types_[id] != TokenType::UserDefined) continue;
      added.push_back(
          {.content = written_[id], .id = static_cast<TokenId>(id), .special = control});
    }
    impl_->added = AddedTokens(std::move(added));
  }

  bool is_text(std::size_t id) const {
    return types_[id] == TokenType::Normal || types_[id] == TokenType::UserDefined;
  }

  /// `bytes_of(written)`: what a token is known by, or nothing when it is no text.
  template <typename BytesOf>
  void define_tokens(BytesOf&& bytes_of) {
    for (std::size_t id = 0; id < written_.size(); ++id) {
      const std::optional<std::string> bytes = is_text(id) ? bytes_of(written_[id]) : std::nullopt;
      impl_->vocabulary.define(static_cast<std::int64_t>(id), bytes ? *bytes : written_[id],
                               bytes.has_value());
    }
  }

  void build_bpe() {
    const PreTokenizerPatterns how = known_patterns(string_or(file_, "pre"));
    for (const std::string_view pattern : how.patterns)
      impl_->pre_tokenizer.add(split_step(pattern, SplitBehavior::Isolated));
    add_bos_ = how.add_bos;
    BpeOptions options;
    options.whole_pieces = how.whole_pieces;
    options.bytes = decoder_.byte_level = !how.spaces_as_marks;
    if (how.spaces_as_marks) {
      impl_->normalizer.add(replace_text_step(" ", kSpaceMark));
      decoder_.replacements.emplace_back(kSpaceMark, " ");
    }
    const auto written = [&](const std::string& token) {
      return options.bytes ? bytes_of_letters(token) : std::optional(token);
    };
    define_tokens(written);
    if (!options.bytes) options.byte_tokens = find_byte_tokens();
    std::vector<std::pair<std::string, std::string>> pairs;
    for (const Json& entry : array_at(file_, "merges")) {
      const std::string& text = as_string(entry, "merges");
      const std::size_t space = text.find(' ', 1);
      if (space == std::string::npos)
        fail(ErrorCode::InvalidModel, "merges: got {}, expected two tokens", quote_name(text));
      const std::string left = text.substr(0, space), right = text.substr(space + 1);
      pairs.emplace_back(written(left).value_or(left), written(right).value_or(right));
    }
    impl_->kind = "bpe";
    impl_->model = make_bpe(impl_->vocabulary, listed_merges(impl_->vocabulary, pairs, {}),
                            std::move(options));
  }

  std::vector<float> read_scores() const {
    const Json& scores = member(file_, "scores");
    std::vector<float> values(written_.size(), 0.0F);
    if (scores.is_null()) return values;
    if (!scores.is_array() || scores.size() < values.size())
      fail(ErrorCode::InvalidModel, "scores: got {} entries, expected {}", scores.size(),
           values.size());
    for (std::size_t id = 0; id < values.size(); ++id) {
      if (!scores[id].is_number())
        fail(ErrorCode::InvalidModel, "scores: got {} for token {}", scores[id].type_name(), id);
      values[id] = scores[id].get<float>();
      if (values[id] != values[id])
        fail(ErrorCode::InvalidModel, "scores: got no number for token {}", id);
    }
    return values;
  }

  ByteTokens find_byte_tokens() {
    decoder_.byte_tokens = true;
    ByteTokens tokens;
    tokens.fill(-1);
    for (std::size_t id = 0; id < written_.size(); ++id) {
      const auto byte = types_[id] == TokenType::Byte ? byte_of_token(written_[id]) : std::nullopt;
      if (byte) tokens[*byte] = static_cast<TokenId>(id);
    }
    return tokens;
  }

  /// Spaces as marks, one before the text, as SentencePiece has it.
  void add_space_marks(bool prefix) {
    if (prefix) impl_->normalizer.add(prepend_step(" "));
    impl_->normalizer.add(replace_text_step(" ", kSpaceMark));
    decoder_.replacements.emplace_back(kSpaceMark, " ");
    decoder_.strip_start = prefix ? 1 : 0;
  }

  void build_sentence_piece_bpe() {
    define_tokens([](const std::string& token) { return std::optional(token); });
    add_space_marks(bool_or(file_, "add_space_prefix", true));
    BpeOptions options;
    options.byte_tokens = find_byte_tokens();
    options.unknown = token_or("unknown_token_id", 0).value_or(-1);
    impl_->kind = "bpe";
    impl_->model = make_bpe(impl_->vocabulary, scored_merges(impl_->vocabulary, read_scores()),
                            std::move(options));
  }

  void build_unigram() {
    define_tokens([](const std::string& token) { return std::optional(token); });
    if (const std::string map = charsmap(); !map.empty())
      impl_->normalizer.add(charsmap_step(CharsMap(map), true));
    if (bool_or(file_, "remove_extra_whitespaces", false))
      impl_->normalizer.add(merge_spaces_step());
    add_space_marks(bool_or(file_, "add_space_prefix", true));
    UnigramOptions options;
    options.single_precision = true;
    options.byte_tokens = find_byte_tokens();
    options.unknown = token_or("unknown_token_id", 2).value_or(-1);
    const std::vector<float> scores = read_scores();
    impl_->kind = "unigram";
    impl_->model = make_unigram(
        impl_->vocabulary, std::vector<double>(scores.begin(), scores.end()), std::move(options));
  }

  /// An array of bytes, signed or not.
  std::string charsmap() const {
    const Json& json = member(file_, "precompiled_charsmap");
    if (json.is_string()) return decode_base64(json.get<std::string>());
    std::string bytes;
    if (json.is_null()) return bytes;
    for (const Json& byte : array_at(file_, "precompiled_charsmap")) {
      if (!byte.is_number_integer())
        fail(ErrorCode::InvalidModel, "precompiled_charsmap: got {}, expected a byte",
             byte.type_name());
      bytes += static_cast<char>(byte.get<std::int64_t>() & 0xFF);
    }
    return bytes;
  }

  /// The file marks the tokens that begin a word; those of the model mark the others.
  void build_word_piece() {
    constexpr const char* kContinues = "##";
    const std::string_view mark = kSpaceMark;
    for (std::size_t id = 0; id < written_.size(); ++id) {
      if (!is_text(id)) continue;
      std::string& token = written_[id];
      token = token.starts_with(mark) ? token.substr(mark.size()) : kContinues + token;
    }
    define_tokens([](const std::string& token) { return std::optional(token); });
    const bool lowercase = bool_or(file_, "normalizer.lowercase", true);
    impl_->normalizer.add(
        bert_step({.strip_accents = bool_or(file_, "normalizer.strip_accents", lowercase),
                   .lowercase = lowercase}));
    impl_->pre_tokenizer.add(split_step(R"(\s)", SplitBehavior::Removed));
    impl_->pre_tokenizer.add(split_step(R"([!-/:-@\[-`{-~\p{P}])", SplitBehavior::Isolated));
    decoder_.word_piece_prefix = kContinues;
    decoder_.clean_up = true;
    decoder_.strip_start = 1;
    WordPieceOptions options;
    options.unknown = token_or("unknown_token_id", 100).value_or(-1);
    impl_->kind = "wordpiece";
    impl_->model = make_word_piece(impl_->vocabulary, std::move(options));
  }

  /// The id under `key`, or `fallback` where the file has none; none when it is out of range.
  std::optional<TokenId> token_or(const char* key, std::int64_t fallback) const {
    const std::int64_t id = integer_or(file_, key, fallback);
    const bool given = !member(file_, key).is_null();
    if (id >= 0 && id < impl_->vocabulary.size()) return static_cast<TokenId>(id);
    if (given && id >= 0)
      fail(ErrorCode::InvalidModel, "{}: got {}, expected an id below {}", key, id,
           impl_->vocabulary.size());
    return std::nullopt;
  }

  void read_special(const Model& model) {
    impl_->bos = token_or("bos_token_id", model.bos);
    impl_->eos = token_or("eos_token_id", model.eos);
    impl_->unknown = token_or("unknown_token_id", model.unknown);
    impl_->pad = token_or("padding_token_id", -1);
    for (const char* key : {"eot_token_id", "eom_token_id"}) {
      if (const auto id = token_or(key, -1)) impl_->ends.insert(*id);
    }
    const std::optional<TokenId> separator =
        token_or("seperator_token_id", token_or("separator_token_id", -1).value_or(-1));
    if (bool_or(file_, "add_bos_token", model.add_bos || add_bos_) && impl_->bos)
      impl_->prefix = {*impl_->bos};
    if (bool_or(file_, "add_eos_token", model.add_eos) && impl_->eos) impl_->suffix = {*impl_->eos};
    if (bool_or(file_, "add_sep_token", model.name == "bert") && separator)
      impl_->suffix = {*separator};
    if (model.name == "bert" && !separator && impl_->eos) impl_->suffix = {*impl_->eos};
    impl_->chat_template = string_or(file_, "chat_template");
    find_ends_by_name(*impl_);
  }

  const Json& file_;
  std::shared_ptr<Tokenizer::Impl> impl_;
  std::vector<std::string> written_;
  std::vector<TokenType> types_;
  Decoder decoder_;
  bool add_bos_ = false;
};

const std::array<Loader::Model, 5> Loader::kModels = {{
    {"gpt2", &Loader::build_bpe, false, false, 11, 11, -1},
    {"gemma4", &Loader::build_bpe, true, false, -1, -1, -1},
    {"llama", &Loader::build_sentence_piece_bpe, true, false, 1, 2, 0},
    {"t5", &Loader::build_unigram, false, true, -1, 1, 2},
    {"bert", &Loader::build_word_piece, true, false, 101, 102, 100},
}};

}  // namespace

std::shared_ptr<const Tokenizer::Impl> load_gguf(const Json& metadata) {
  return Loader(metadata).load();
}

}  // namespace naru::text
