// Makes a tokenizer from a Hugging Face tokenizer.json and tokenizer_config.json.
#include <algorithm>
#include <map>

#include "graph/fail.h"
#include "graph/model_file.h"
#include "runtime/text/bpe.h"
#include "runtime/text/tokenizer_impl.h"
#include "runtime/text/unigram.h"
#include "runtime/text/word_piece.h"

namespace naru::text {
namespace {

/// The tokens of the model by id, as they are written in the file.
std::vector<std::pair<std::string, std::int64_t>> model_tokens(const Json& model) {
  std::vector<std::pair<std::string, std::int64_t>> tokens;
  const Json& vocab = member(model, "vocab");
  if (vocab.is_array()) {  // unigram: [token, score], the id by place
    for (const Json& entry : vocab) {
      if (!entry.is_array() || entry.size() != 2)
        fail(ErrorCode::InvalidModel, "vocab: got {}, expected [token, score]", entry.type_name());
      tokens.emplace_back(as_string(entry[0], "vocab"), static_cast<std::int64_t>(tokens.size()));
    }
    return tokens;
  }
  for (const auto& [token, id] : object_at(model, "vocab").items()) {
    if (!id.is_number_integer())
      fail(ErrorCode::InvalidModel, "vocab: got {} for {}, expected an id", id.type_name(),
           quote_name(token));
    tokens.emplace_back(token, integer_at(vocab, token.c_str()));
  }
  return tokens;
}

std::vector<AddedToken> added_tokens(const Json& file) {
  std::vector<AddedToken> tokens;
  const Json& list = member(file, "added_tokens");
  if (list.is_null()) return tokens;
  for (const Json& entry : array_at(file, "added_tokens")) {
    AddedToken token;
    token.content = string_at(entry, "content");
    const std::int64_t id = integer_at(entry, "id");
    if (id < 0 || id >= kMaxTokens)
      fail(ErrorCode::InvalidModel, "added token {}: got id {}, expected 0 to {}",
           quote_name(token.content), id, kMaxTokens - 1);
    token.id = static_cast<TokenId>(id);
    token.special = bool_or(entry, "special", false);
    token.single_word = bool_or(entry, "single_word", false);
    token.strip_left = bool_or(entry, "lstrip", false);
    token.strip_right = bool_or(entry, "rstrip", false);
    tokens.push_back(std::move(token));
  }
  return tokens;
}

class Loader {
 public:
  explicit Loader(const Json& metadata) : file_(tokenizer_file(metadata)), metadata_(metadata) {}

  std::shared_ptr<const Tokenizer::Impl> load() {
    const Json& model = object_at(file_, "model");
    tokens_ = model_tokens(model);
    added_ = added_tokens(file_);
    impl_ = std::make_shared<Tokenizer::Impl>(vocab_size());
    impl_->special.assign(static_cast<std::size_t>(impl_->vocabulary.size()), false);
    impl_->normalizer = parse_normalizer(member(file_, "normalizer"));
    impl_->pre_tokenizer = parse_pre_tokenizer(member(file_, "pre_tokenizer"), byte_level_);
    Decoder decoder = parse_decoder(member(file_, "decoder"));
    if (byte_level_) decoder.byte_level = true;
    define_tokens();
    make_model(model);
    split_added();
    parse_post_processor(member(file_, "post_processor"));
    read_config();
    decode_vocabulary(*impl_, written_, decoder);
    return impl_;
  }

 private:
  /// The file's JSON lies in the metadata as it is, or as a text.
  static Json tokenizer_file(const Json& metadata) {
    const Json& file = member(metadata, "tokenizer_json");
    if (file.is_string()) return parse_json(as_string(file, "tokenizer_json"), "tokenizer.json");
    return object_at(metadata, "tokenizer_json");
  }

  std::int64_t vocab_size() const {
    std::int64_t largest = -1;
    for (const auto& [token, id] : tokens_) largest = std::max(largest, id);
    for (const AddedToken& token : added_) largest = std::max<std::int64_t>(largest, token.id);
    return largest + 1;
  }

  void define_tokens() {
    std::map<std::int64_t, const AddedToken*> added;
    for (const AddedToken& token : added_) {
      added[token.id] = &token;
      impl_->special[static_cast<std::size_t>(token.id)] = token.special;
    }
    written_.resize(static_cast<std::size_t>(impl_->vocabulary.size()));
    for (const auto& [token, id] : tokens_) {
      const auto found = added.find(id);
      const bool special = found != added.end() && found->second->special;
      if (found != added.end() && found->second->content != token) {
        fail(ErrorCode::InvalidModel, "token {}: got {} and {}, expected one token per id", id,
             quote_name(token), quote_name(found->second->content));
      }
      define(id, token, !special);
      added.erase(id);
    }
    for (const auto& [id, token] : added) define(id, token->content, false);
  }

  /// In a byte-level vocabulary a token is known by its bytes; one with other letters is no text.
  void define(std::int64_t id, const std::string& token, bool reachable) {
    const std::optional<std::string> bytes =
        byte_level_ && reachable ? bytes_of_letters(token) : std::nullopt;
    impl_->vocabulary.define(id, bytes ? *bytes : token, reachable && (bytes || !byte_level_));
    written_[static_cast<std::size_t>(id)] = token;
  }

  TokenId unknown_token(const Json& model) const {
    const Json& token = member(model, "unk_token");
    return token.is_null() ? -1 : impl_->vocabulary.find_any(as_string(token, "unk_token"));
  }

  std::optional<ByteTokens> byte_tokens(const Json& model) const {
    if (!bool_or(model, "byte_fallback", false)) return std::nullopt;
    ByteTokens tokens;
    for (int byte = 0; byte < 256; ++byte) {
      tokens[static_cast<std::size_t>(byte)] =
          impl_->vocabulary.find_any(fmt::format("<0x{:02X}>", byte));
    }
    return tokens;
  }

  void make_model(const Json& model) {
    std::string type = string_or(model, "type");
    if (type.empty()) type = member(model, "merges").is_array() ? "BPE" : "WordPiece";
    if (type == "BPE") return make_bpe_model(model);
    if (type == "Unigram") return make_unigram_model(model);
    if (type == "WordPiece" || type == "WordLevel")
      return make_word_model(model, type == "WordLevel");
    fail(ErrorCode::Unsupported, "model: the type {} is not supported", quote_name(type));
  }

  void make_bpe_model(const Json& model) {
    BpeOptions options;
    options.bytes = byte_level_;
    options.whole_pieces = bool_or(model, "ignore_merges", false);
    options.fuse_unknown = bool_or(model, "fuse_unk", false);
    options.unknown = unknown_token(model);
    options.byte_tokens = byte_tokens(model);
    options.continuing_prefix = string_or(model, "continuing_subword_prefix");
    options.end_suffix = string_or(model, "end_of_word_suffix");
    auto rules = listed_merges(impl_->vocabulary, merges(model), options.continuing_prefix);
    set_unknown(options.unknown);
    impl_->kind = "bpe";
    impl_->model = make_bpe(impl_->vocabulary, std::move(rules), std::move(options));
  }

  /// Merges are pairs, or texts with a space between.
  std::vector<std::pair<std::string, std::string>> merges(const Json& model) const {
    std::vector<std::pair<std::string, std::string>> pairs;
    const Json& list = array_at(model, "merges");
    pairs.reserve(list.size());
    for (const Json& entry : list) {
      std::string left, right;
      if (entry.is_array() && entry.size() == 2) {
        left = as_string(entry[0], "merges");
        right = as_string(entry[1], "merges");
      } else {
        const std::string& text = as_string(entry, "merges");
        const std::size_t space = text.find(' ', 1);
        if (space == std::string::npos)
          fail(ErrorCode::InvalidModel, "merges: got {}, expected two tokens", quote_name(text));
        left = text.substr(0, space);
        right = text.substr(space + 1);
      }
      pairs.emplace_back(written_bytes(left), written_bytes(right));
    }
    return pairs;
  }

  std::string written_bytes(const std::string& token) const {
    if (!byte_level_) return token;
    return bytes_of_letters(token).value_or(token);
  }

  void make_unigram_model(const Json& model) {
    UnigramOptions options;
    const std::int64_t unknown = integer_or(model, "unk_id", -1);
    if (unknown >= impl_->vocabulary.size())
      fail(ErrorCode::InvalidModel, "unk_id: got {}, expected an id below {}", unknown,
           impl_->vocabulary.size());
    options.unknown = static_cast<TokenId>(std::max<std::int64_t>(unknown, -1));
    options.byte_tokens = byte_tokens(model);
    std::vector<double> scores(static_cast<std::size_t>(impl_->vocabulary.size()), 0.0);
    std::size_t id = 0;
    for (const Json& entry : array_at(model, "vocab")) {
      if (!entry[1].is_number())
        fail(ErrorCode::InvalidModel, "vocab: got {} for a score", entry[1].type_name());
      scores[id++] = entry[1].get<double>();
    }
    set_unknown(options.unknown);
    impl_->kind = "unigram";
    impl_->model = make_unigram(impl_->vocabulary, std::move(scores), std::move(options));
  }

  void make_word_model(const Json& model, bool whole_words) {
    WordPieceOptions options;
    options.unknown = unknown_token(model);
    options.whole_words = whole_words;
    options.continuing_prefix = string_or(model, "continuing_subword_prefix", "##");
    options.max_characters = integer_or(model, "max_input_chars_per_word", 100);
    set_unknown(options.unknown);
    impl_->kind = whole_words ? "words" : "wordpiece";
    impl_->model = make_word_piece(impl_->vocabulary, std::move(options));
  }

  void set_unknown(TokenId id) {
    if (id >= 0) impl_->unknown = id;
  }

  /// Tokens "normalized" in the file are matched after the normaliser ran, in normalised form.
  void split_added() {
    std::vector<AddedToken> plain, normalised;
    for (std::size_t i = 0; i < added_.size(); ++i) {
      AddedToken token = added_[i];
      const bool after = bool_or(file_.at("added_tokens")[i], "normalized", !token.special);
      if (after) token.content = impl_->normalizer.apply(token.content);
      (after && !impl_->normalizer.empty() ? normalised : plain).push_back(std::move(token));
    }
    impl_->added = AddedTokens(std::move(plain));
    impl_->added_normalised = AddedTokens(std::move(normalised));
  }

  TokenId named_token(const std::string& name) const {
    const TokenId id = impl_->vocabulary.find_any(name);
    if (id < 0)
      fail(ErrorCode::InvalidModel, "post_processor: got the token {}, which the vocabulary lacks",
           quote_name(name));
    return id;
  }

  void parse_post_processor(const Json& json, int depth = 0) {
    if (json.is_null()) return;
    const std::string type = string_at(json, "type");
    if (type == "ByteLevel") return;  // it corrects offsets only
    if (type == "Sequence" && depth < 8) {
      for (const Json& inner : array_at(json, "processors")) parse_post_processor(inner, depth + 1);
    } else if (type == "TemplateProcessing") {
      parse_template(json);
    } else if (type == "BertProcessing" || type == "RobertaProcessing") {
      impl_->prefix = {pair_token(json, "cls")};
      impl_->suffix = {pair_token(json, "sep")};
    } else {
      fail(ErrorCode::Unsupported, "post_processor: the type {} is not supported",
           quote_name(type));
    }
  }

  TokenId pair_token(const Json& json, const char* key) const {
    const Json& pair = array_at(json, key);
    if (pair.empty()) fail(ErrorCode::InvalidModel, "post_processor: got no token for '{}'", key);
    return named_token(as_string(pair[0], key));
  }

  void parse_template(const Json& json) {
    bool before = true;
    for (const Json& item : array_at(json, "single")) {
      if (!member(item, "Sequence").is_null()) {
        before = false;
        continue;
      }
      const std::string name = string_at(object_at(item, "SpecialToken"), "id");
      std::vector<TokenId>& target = before ? impl_->prefix : impl_->suffix;
      const Json& details = member(member(json, "special_tokens"), name.c_str());
      if (details.is_null()) {
        target.push_back(named_token(name));
        continue;
      }
      for (const Json& id : array_at(details, "ids")) {
        if (!id.is_number_integer() || id.get<std::int64_t>() < 0 ||
            id.get<std::int64_t>() >= impl_->vocabulary.size()) {
          fail(ErrorCode::InvalidModel, "post_processor: got an id of {} that is out of range",
               quote_name(name));
        }
        target.push_back(id.get<TokenId>());
      }
    }
  }

  void read_config() {
    const Json& config = member(metadata_, "config");
    if (config.is_object()) {
      impl_->bos = configured_token(config, "bos_token");
      impl_->eos = configured_token(config, "eos_token");
      impl_->pad = configured_token(config, "pad_token");
      impl_->chat_template = configured_template(member(config, "chat_template"));
      // Older tokenizers add these themselves, without a post-processor that says so.
      if (bool_or(config, "add_bos_token", false) && impl_->bos && impl_->prefix.empty() &&
          member(file_, "post_processor").is_null())
        impl_->prefix = {*impl_->bos};
      if (bool_or(config, "add_eos_token", false) && impl_->eos && impl_->suffix.empty() &&
          member(file_, "post_processor").is_null())
        impl_->suffix = {*impl_->eos};
    }
    if (const Json& whole = member(metadata_, "chat_template"); whole.is_string())
      impl_->chat_template = whole.get<std::string>();
    const Json& generation = member(metadata_, "generation_config");
    if (generation.is_object()) add_ends(member(generation, "eos_token_id"));
    find_ends_by_name(*impl_);
  }

  /// A token's text, or an object that holds it.
  std::optional<TokenId> configured_token(const Json& config, const char* key) const {
    const Json& value = member(config, key);
    if (value.is_null()) return std::nullopt;
    const TokenId id = impl_->vocabulary.find_any(value.is_object() ? string_at(value, "content")
                                                                    : as_string(value, key));
    return id < 0 ? std::nullopt : std::optional(id);
  }

  /// One template, or several with names, of which "default" is the one to use.
  static std::string configured_template(const Json& json) {
    if (json.is_string()) return json.get<std::string>();
    if (!json.is_array()) return {};
    for (const Json& entry : json) {
      if (string_or(entry, "name") == "default") return string_or(entry, "template");
    }
    return {};
  }

  void add_ends(const Json& ids) {
    const auto add = [&](const Json& id) {
      if (id.is_number_integer() && id.get<std::int64_t>() >= 0 &&
          id.get<std::int64_t>() < impl_->vocabulary.size())
        impl_->ends.insert(id.get<TokenId>());
    };
    if (!ids.is_array()) return add(ids);
    for (const Json& id : ids) add(id);
  }

  const Json file_;
  const Json& metadata_;
  std::shared_ptr<Tokenizer::Impl> impl_;
  std::vector<std::pair<std::string, std::int64_t>> tokens_;
  std::vector<AddedToken> added_;
  std::vector<std::string> written_;
  bool byte_level_ = false;
};

}  // namespace

std::shared_ptr<const Tokenizer::Impl> load_huggingface(const Json& metadata) {
  return Loader(metadata).load();
}

}  // namespace naru::text
