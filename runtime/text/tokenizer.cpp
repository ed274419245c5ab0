// Tokenizer and Detokenizer: the way of a text to ids and back.
#include "naru/tokenizer.h"

#include <algorithm>

#include "graph/fail.h"
#include "runtime/text/tokenizer_impl.h"
#include "runtime/text/unicode.h"

namespace naru {
namespace {

/// Text without added tokens: normalised, cut, and given to the model.
void encode_plain(const Tokenizer::Impl& impl, std::string text, bool at_start,
                  std::vector<TokenId>& ids) {
  const text::Pieces pieces = impl.pre_tokenizer.apply(std::move(text), at_start);
  for (const text::Span& span : pieces.spans) {
    impl.model->encode(std::string_view(pieces.text).substr(span.begin, span.end - span.begin),
                       ids);
  }
}

void encode_text(const Tokenizer::Impl& impl, std::string_view raw, bool at_start,
                 ParseSpecial parse_special, std::vector<TokenId>& ids) {
  const std::string normal = impl.normalizer.apply(std::string(raw));
  if (impl.added_normalised.empty()) return encode_plain(impl, normal, at_start, ids);
  for (const text::TextPart& part : impl.added_normalised.split(normal, parse_special)) {
    if (part.id >= 0) {
      ids.push_back(part.id);
    } else {
      encode_plain(impl, normal.substr(part.span.begin, part.span.end - part.span.begin),
                   at_start && part.span.begin == 0, ids);
    }
  }
}

}  // namespace

Tokenizer Tokenizer::from_json(std::string_view metadata) {
  return with_context([] { return "reading the tokenizer"; },
                      [&] {
                        const text::Json json = text::parse_json(metadata, "tokenizer");
                        const std::string type = text::string_at(json, "type");
                        if (type == "huggingface") return Tokenizer(text::load_huggingface(json));
                        if (type == "gguf") return Tokenizer(text::load_gguf(json));
                        fail(ErrorCode::Unsupported,
                             "tokenizer: got the type '{}', expected huggingface or gguf", type);
                      });
}

std::vector<TokenId> Tokenizer::encode(std::string_view text, EncodeOptions options) const {
  constexpr std::size_t kMaxTextBytes = INT32_MAX;
  if (text.size() > kMaxTextBytes) {
    fail(ErrorCode::InvalidArgument, "text: got {} bytes, expected at most {}", text.size(),
         kMaxTextBytes);
  }
  std::string repaired;
  if (!text::is_well_formed(text)) {
    if (!options.input.empty())
      fail(ErrorCode::InvalidArgument, "text: got ill-formed UTF-8 with ranges of input");
    text = repaired = text::replace_ill_formed(text);
  }
  std::vector<TokenId> ids;
  if (options.add_special) ids = impl_->prefix;
  for (const text::TextPart& part :
       impl_->added.split(text, options.parse_special, options.input)) {
    if (part.id >= 0) {
      ids.push_back(part.id);
    } else {
      // Where normalising moves bytes, input and template cannot be told apart: all is text.
      const ParseSpecial inside = options.input.empty() ? options.parse_special : ParseSpecial::No;
      encode_text(*impl_, text.substr(part.span.begin, part.span.end - part.span.begin),
                  part.span.begin == 0, inside, ids);
    }
  }
  if (options.add_special) ids.insert(ids.end(), impl_->suffix.begin(), impl_->suffix.end());
  return ids;
}

std::string Tokenizer::decode(std::span<const TokenId> tokens, bool with_special) const {
  Detokenizer detokenizer(*this, false, with_special);
  std::string text;
  for (const TokenId id : tokens) text += detokenizer.push(id);
  return text + detokenizer.finish();
}

std::string_view Tokenizer::token_bytes(TokenId id) const {
  if (!impl_->vocabulary.contains(id)) {
    fail(ErrorCode::InvalidArgument, "token: got id {}, expected 0 to {}", id, vocab_size() - 1);
  }
  return impl_->outputs[static_cast<std::size_t>(id)];
}

std::int64_t Tokenizer::vocab_size() const noexcept { return impl_->vocabulary.size(); }

bool Tokenizer::is_special(TokenId id) const noexcept {
  return impl_->vocabulary.contains(id) && impl_->special[static_cast<std::size_t>(id)];
}

bool Tokenizer::is_end_of_generation(TokenId id) const noexcept { return impl_->ends.contains(id); }

std::optional<TokenId> Tokenizer::find(std::string_view token) const {
  const TokenId id = impl_->vocabulary.find_any(token);
  return id < 0 ? std::nullopt : std::optional(id);
}

std::optional<TokenId> Tokenizer::bos() const noexcept { return impl_->bos; }
std::optional<TokenId> Tokenizer::eos() const noexcept { return impl_->eos; }
std::optional<TokenId> Tokenizer::pad() const noexcept { return impl_->pad; }
std::optional<TokenId> Tokenizer::unknown() const noexcept { return impl_->unknown; }
const std::string& Tokenizer::chat_template() const noexcept { return impl_->chat_template; }
std::string_view Tokenizer::kind() const noexcept { return impl_->kind; }

Detokenizer::Detokenizer(Tokenizer tokenizer, bool continues, bool with_special)
    : tokenizer_(std::move(tokenizer)), at_start_(!continues), with_special_(with_special) {}

std::string Detokenizer::push(TokenId id) {
  std::string_view bytes = tokenizer_.token_bytes(id);
  const bool special = tokenizer_.is_special(id);
  if (special && !with_special_) return {};
  if (at_start_ && !bytes.empty()) {
    const std::size_t spaces = std::min(bytes.find_first_not_of(' '), bytes.size());
    if (!special) bytes.remove_prefix(std::min(spaces, tokenizer_.impl().strip_start));
    at_start_ = false;
  }
  pending_ += bytes;
  const std::size_t tail = text::incomplete_tail(pending_);
  const std::string complete = pending_.substr(0, pending_.size() - tail);
  pending_.erase(0, complete.size());
  return text::replace_ill_formed(complete);
}

std::string Detokenizer::finish() { return text::replace_ill_formed(std::exchange(pending_, {})); }

namespace text {

void decode_vocabulary(Tokenizer::Impl& impl, const std::vector<std::string>& written,
                       const Decoder& decoder) {
  impl.strip_start = decoder.strip_start;
  impl.outputs.resize(written.size());
  for (std::size_t id = 0; id < written.size(); ++id) {
    impl.outputs[id] = impl.special[id] ? written[id] : decoder.token_bytes(written[id]);
  }
}

void find_ends_by_name(Tokenizer::Impl& impl) {
  static constexpr std::string_view kNames[] = {
      "<|eot_id|>",      "<|im_end|>",    "<|end|>",       "<end_of_turn>", "<|endoftext|>",
      "<|end_of_text|>", "<|eom_id|>",    "[|endofturn|]", "<|return|>",    "<|call|>",
      "<EOT>",           "<|endofturn|>", "<|stop|>"};
  for (const std::string_view name : kNames) {
    const TokenId id = impl.vocabulary.find_any(name);
    if (id >= 0 && impl.special[static_cast<std::size_t>(id)]) impl.ends.insert(id);
  }
  if (impl.eos) impl.ends.insert(*impl.eos);
}

}  // namespace text
}  // namespace naru
