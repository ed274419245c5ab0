// The decoders of tokenizer.json.
#include "runtime/text/decoder.h"

#include <array>

#include "graph/fail.h"
#include "graph/model_file.h"
#include "runtime/text/unicode.h"

namespace naru::text {
namespace {

constexpr int kMaxNesting = 16;

/// GPT-2's alphabet: printable Latin-1 letters stand for themselves, the other bytes, in order, for
/// the code points from 256 on.
std::array<std::int16_t, 512> make_alphabet() {
  std::array<std::int16_t, 512> byte_of{};
  byte_of.fill(-1);
  std::size_t next = 256;
  for (std::size_t byte = 0; byte < 256; ++byte) {
    const bool printable =
        (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    byte_of[printable ? byte : next++] = static_cast<std::int16_t>(byte);
  }
  return byte_of;
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  if (from.empty()) return;
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
}

void clean_up_spaces(std::string& text) {
  static constexpr std::pair<std::string_view, std::string_view> kRules[] = {
      {" .", "."},   {" ?", "?"},     {" !", "!"},    {" ,", ","},
      {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},  {" do not", " don't"},
      {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  for (const auto& [from, to] : kRules) replace_all(text, from, to);
}

class Builder {
 public:
  explicit Builder(Decoder& target) : target_(target) {}

  void add(const Json& json, int depth) {
    if (depth > kMaxNesting)
      fail(ErrorCode::InvalidModel, "decoder: got more than {} nested sequences", kMaxNesting);
    const std::string type = string_at(json, "type");
    if (type == "Sequence") {
      for (const Json& inner : array_at(json, "decoders")) add(inner, depth + 1);
      return;
    }
    for (const Kind& kind : kKinds) {
      if (kind.type == type) return (this->*kind.build)(json);
    }
    fail(ErrorCode::Unsupported, "decoder: the type {} is not supported", quote_name(type));
  }

 private:
  struct Kind {
    std::string_view type;
    void (Builder::*build)(const Json&);
  };
  static const std::array<Kind, 8> kKinds;

  void byte_level(const Json&) { target_.byte_level = true; }
  void byte_fallback(const Json&) { target_.byte_tokens = true; }
  void fuse(const Json&) {}  // tokens are bytes that follow one another already
  void replace(const Json& json) {
    target_.replacements.emplace_back(string_at(object_at(json, "pattern"), "String"),
                                      string_at(json, "content"));
  }
  void strip(const Json& json) {
    if (string_at(json, "content") != " " || integer_or(json, "stop", 0) != 0) {
      fail(ErrorCode::Unsupported, "decoder: Strip is supported for spaces at the start only");
    }
    target_.strip_start = static_cast<std::size_t>(
        std::min<std::int64_t>(std::max<std::int64_t>(integer_or(json, "start", 0), 0), 1 << 20));
  }
  void metaspace(const Json& json) {
    target_.replacements.emplace_back(string_or(json, "replacement", "\u2581"), " ");
    const std::string scheme = string_or(
        json, "prepend_scheme", bool_or(json, "add_prefix_space", true) ? "always" : "never");
    if (scheme != "never") target_.strip_start = 1;
  }
  void word_piece(const Json& json) {
    target_.word_piece_prefix = string_or(json, "prefix", "##");
    target_.clean_up = bool_or(json, "cleanup", true);
    target_.strip_start = 1;
  }
  void bpe(const Json& json) { target_.end_suffix = string_or(json, "suffix", "</w>"); }

  Decoder& target_;
};

const std::array<Builder::Kind, 8> Builder::kKinds = {{
    {"ByteLevel", &Builder::byte_level},
    {"ByteFallback", &Builder::byte_fallback},
    {"Fuse", &Builder::fuse},
    {"Replace", &Builder::replace},
    {"Strip", &Builder::strip},
    {"Metaspace", &Builder::metaspace},
    {"WordPiece", &Builder::word_piece},
    {"BPEDecoder", &Builder::bpe},
}};

}  // namespace

std::optional<std::string> bytes_of_letters(std::string_view token) {
  static const std::array<std::int16_t, 512> kByteOf = make_alphabet();
  std::string bytes;
  for (std::size_t at = 0; at < token.size();) {
    const CodePoint point = read_code_point(token, at);
    at += point.size;
    if (point.value >= kByteOf.size() || kByteOf[point.value] < 0) return std::nullopt;
    bytes += static_cast<char>(kByteOf[point.value]);
  }
  return bytes;
}

std::optional<unsigned char> byte_of_token(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return std::nullopt;
  unsigned value = 0;
  for (const char c : token.substr(3, 2)) {
    const bool digit = c >= '0' && c <= '9';
    if (!digit && (c < 'A' || c > 'F')) return std::nullopt;
    value = value * 16 + static_cast<unsigned>(digit ? c - '0' : c - 'A' + 10);
  }
  return static_cast<unsigned char>(value);
}

std::string Decoder::token_bytes(std::string_view token) const {
  if (byte_level) return bytes_of_letters(token).value_or(std::string(token));
  if (byte_tokens) {
    if (const auto byte = byte_of_token(token)) return std::string(1, static_cast<char>(*byte));
  }
  std::string text(token);
  for (const auto& [from, to] : replacements) replace_all(text, from, to);
  if (!end_suffix.empty()) replace_all(text, end_suffix, " ");
  if (word_piece_prefix) {
    const bool continues = !word_piece_prefix->empty() && text.starts_with(*word_piece_prefix);
    text = continues ? text.substr(word_piece_prefix->size()) : " " + text;
    if (clean_up) clean_up_spaces(text);
  }
  return text;
}

Decoder parse_decoder(const Json& json) {
  Decoder decoder;
  if (!json.is_null()) Builder(decoder).add(json, 0);
  return decoder;
}

}  // namespace naru::text
