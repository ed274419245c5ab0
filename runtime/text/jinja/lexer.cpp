// Cuts a template into tokens. A block's line end goes, and the white space before it on its line
// (trim_blocks and lstrip_blocks of Jinja); '-' inside a tag takes all white space, '+' none.
#include "runtime/text/jinja/lexer.h"

#include <algorithm>
#include <array>

#include "graph/fail.h"
#include "runtime/text/unicode.h"

namespace naru::jinja {
namespace {

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f';
}
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(source) {
    // One line end at the end of the template is dropped.
    if (source_.ends_with('\n')) source_.remove_suffix(1);
    if (source_.ends_with('\r')) source_.remove_suffix(1);
  }

  std::vector<Token> run() {
    while (at_ < source_.size()) {
      text();
      if (at_ < source_.size()) tag();
    }
    add(TokenKind::End, "", place());
    return std::move(tokens_);
  }

 private:
  enum class Strip : std::uint8_t { None, All, Keep };

  /// The place of `at_`; lines are counted on, so that the whole takes linear time.
  Place place() {
    for (; counted_ < at_; ++counted_) {
      if (source_[counted_] == '\n') {
        ++line_;
        line_begin_ = counted_ + 1;
      }
    }
    return {line_, static_cast<std::uint32_t>(at_ - line_begin_ + 1)};
  }

  void add(TokenKind kind, std::string text, const Place& where) {
    tokens_.push_back({kind, std::move(text), where});
  }

  bool starts(std::string_view text) const { return source_.substr(at_).starts_with(text); }

  std::size_t next_tag() const {
    for (std::size_t at = at_; (at = source_.find('{', at)) != std::string_view::npos; ++at) {
      const char kind = at + 1 < source_.size() ? source_[at + 1] : '\0';
      if (kind == '{' || kind == '%' || kind == '#') return at;
    }
    return source_.size();
  }

  /// Text up to the next tag, without what the tags on both sides take.
  void text() {
    const Place where = place();
    const std::size_t end = next_tag();
    std::string content(source_.substr(at_, end - at_));
    if (strip_ == Strip::All) {
      content.erase(0, std::min(content.find_first_not_of(" \t\n\r\v\f"), content.size()));
    } else if (strip_ == Strip::None && after_block_) {
      drop_line_end(content);
    }
    if (end < source_.size()) strip_before(content, end);
    at_ = end;
    if (!content.empty()) add(TokenKind::Text, std::move(content), where);
  }

  static void drop_line_end(std::string& content) {
    if (content.starts_with("\r\n")) {
      content.erase(0, 2);
    } else if (content.starts_with('\n')) {
      content.erase(0, 1);
    }
  }

  void strip_before(std::string& content, std::size_t tag) const {
    const char kind = source_[tag + 1];
    const char sign = tag + 2 < source_.size() ? source_[tag + 2] : '\0';
    if (sign == '-') {
      while (!content.empty() && is_space(content.back())) content.pop_back();
      return;
    }
    if (kind == '{' || sign == '+') return;
    // A block or comment: white space from the beginning of its line.
    std::size_t begin = tag;
    while (begin > 0 && (source_[begin - 1] == ' ' || source_[begin - 1] == '\t')) --begin;
    if (begin > 0 && source_[begin - 1] != '\n') return;
    content.resize(content.size() - std::min(tag - begin, content.size()));
  }

  void tag() {
    const Place where = place();
    const char kind = source_[at_ + 1];
    at_ += 2;
    if (at_ < source_.size() && (source_[at_] == '-' || source_[at_] == '+')) ++at_;
    if (kind == '#') return comment(where);
    const bool block = kind == '%';
    if (block && raw(where)) return;
    add(block ? TokenKind::OpenBlock : TokenKind::OpenOutput, "", where);
    inside(block ? "%}" : "}}", where);
    add(block ? TokenKind::CloseBlock : TokenKind::CloseOutput, "", place());
    close(block);
  }

  /// After the '-' of a closing tag, if it has one: passes "%}" or "}}".
  void close(bool block) {
    strip_ = source_[at_] == '-' ? Strip::All : source_[at_] == '+' ? Strip::Keep : Strip::None;
    if (strip_ != Strip::None) ++at_;
    at_ += 2;
    after_block_ = block;
  }

  void comment(const Place& where) {
    const std::size_t end = source_.find("#}", at_);
    if (end == std::string_view::npos)
      fail_at(ErrorCode::InvalidModel, where, "a comment without an end");
    strip_ = end > at_ && source_[end - 1] == '-' ? Strip::All : Strip::None;
    at_ = end + 2;
    after_block_ = true;
  }

  void skip_space() {
    while (at_ < source_.size() && is_space(source_[at_])) ++at_;
  }

  /// {% raw %} ... {% endraw %}: what is between is text.
  bool raw(const Place& where) {
    std::size_t at = at_;
    while (at < source_.size() && is_space(source_[at])) ++at;
    if (!source_.substr(at).starts_with("raw")) return false;
    at += 3;
    while (at < source_.size() && is_space(source_[at])) ++at;
    const std::string_view rest = source_.substr(at);
    if (!rest.starts_with("%}") && !rest.starts_with("-%}")) return false;
    const std::size_t begin = source_.find("%}", at) + 2;
    const std::size_t name = source_.find("endraw", begin);
    const std::size_t end = name == std::string_view::npos ? name : source_.rfind("{%", name);
    const std::size_t close = name == std::string_view::npos ? name : source_.find("%}", name);
    if (close == std::string_view::npos || end == std::string_view::npos || end < begin) {
      fail_at(ErrorCode::InvalidModel, where, "'raw' without 'endraw'");
    }
    std::string content(source_.substr(begin, end - begin));
    drop_line_end(content);
    add(TokenKind::Text, std::move(content), where);
    at_ = close + 2;
    strip_ = Strip::None;
    after_block_ = true;
    return true;
  }

  /// The tokens of a tag, up to its end.
  void inside(std::string_view end, const Place& where) {
    int open = 0;  // brackets, in which "}}" may close a dictionary
    for (;;) {
      skip_space();
      if (at_ >= source_.size()) fail_at(ErrorCode::InvalidModel, where, "a tag without an end");
      if (open == 0) {
        const bool signed_end = (source_[at_] == '-' || source_[at_] == '+') &&
                                source_.substr(at_ + 1).starts_with(end);
        if (signed_end || starts(end)) return;
      }
      const char c = source_[at_];
      if (is_name_start(c)) {
        name();
      } else if (is_digit(c)) {
        number();
      } else if (c == '\'' || c == '"') {
        string(c);
      } else {
        if (c == '(' || c == '[' || c == '{') ++open;
        if ((c == ')' || c == ']' || c == '}') && --open < 0)
          fail_at(ErrorCode::InvalidModel, place(), fmt::format("got '{}' that closes nothing", c));
        operation();
      }
    }
  }

  void name() {
    const Place where = place();
    const std::size_t begin = at_;
    while (at_ < source_.size() && (is_name_start(source_[at_]) || is_digit(source_[at_]))) ++at_;
    add(TokenKind::Name, std::string(source_.substr(begin, at_ - begin)), where);
  }

  void number() {
    const Place where = place();
    std::string text;
    bool is_float = false;
    const auto digits = [&] {
      while (at_ < source_.size() && (is_digit(source_[at_]) || source_[at_] == '_')) {
        if (source_[at_] != '_') text += source_[at_];
        ++at_;
      }
    };
    digits();
    if (at_ + 1 < source_.size() && source_[at_] == '.' && is_digit(source_[at_ + 1])) {
      is_float = true;
      text += source_[at_++];
      digits();
    }
    if (at_ + 1 < source_.size() && (source_[at_] == 'e' || source_[at_] == 'E') &&
        (is_digit(source_[at_ + 1]) || source_[at_ + 1] == '-' || source_[at_ + 1] == '+')) {
      is_float = true;
      text += source_[at_++];
      text += source_[at_++];
      digits();
    }
    if (text.size() > 40) fail_at(ErrorCode::InvalidModel, where, "a number of over 40 characters");
    add(is_float ? TokenKind::Float : TokenKind::Integer, std::move(text), where);
  }

  void string(char quote) {
    const Place where = place();
    std::string value;
    for (++at_;; ++at_) {
      if (at_ >= source_.size()) fail_at(ErrorCode::InvalidModel, where, "a string without an end");
      const char c = source_[at_];
      if (c == quote) break;
      if (c == '\\' && at_ + 1 < source_.size()) {
        ++at_;
        escape(value, where);
      } else {
        value += c;
      }
    }
    ++at_;
    add(TokenKind::String, std::move(value), where);
  }

  /// The escape whose letter is at `at_`, as Python reads it.
  void escape(std::string& value, const Place& where) {
    static constexpr std::array<std::pair<char, char>, 11> kPlain = {{{'n', '\n'},
                                                                      {'r', '\r'},
                                                                      {'t', '\t'},
                                                                      {'\\', '\\'},
                                                                      {'\'', '\''},
                                                                      {'"', '"'},
                                                                      {'a', '\a'},
                                                                      {'b', '\b'},
                                                                      {'f', '\f'},
                                                                      {'v', '\v'},
                                                                      {'0', '\0'}}};
    const char letter = source_[at_];
    for (const auto& [known, plain] : kPlain) {
      if (letter == known) return value.push_back(plain);
    }
    const std::size_t digits = letter == 'x' ? 2 : letter == 'u' ? 4 : letter == 'U' ? 8 : 0;
    if (letter == '\n') return;
    if (digits == 0) {
      value += '\\';
      value += letter;
      return;
    }
    char32_t point = 0;
    for (std::size_t i = 0; i < digits; ++i) {
      const char c = at_ + 1 < source_.size() ? source_[at_ + 1] : '\0';
      const int digit = is_digit(c)            ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : -1;
      if (digit < 0) fail_at(ErrorCode::InvalidModel, where, "a bad escape in a string");
      point = point * 16 + static_cast<char32_t>(digit);
      ++at_;
    }
    if (point > 0x10FFFF || (point >= 0xD800 && point < 0xE000))
      fail_at(ErrorCode::InvalidModel, where, "an escape of no character");
    text::append_utf8(value, point);
  }

  void operation() {
    static constexpr std::string_view kOperators[] = {
        "//", "**", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "~", "<",
        ">",  "=",  "(",  ")",  "[",  "]",  "{", "}", ",", ":", "|", "."};
    for (const std::string_view known : kOperators) {
      if (!starts(known)) continue;
      const Place where = place();
      at_ += known.size();
      return add(TokenKind::Operator, std::string(known), where);
    }
    fail_at(ErrorCode::InvalidModel, place(),
            fmt::format("got the byte {:#04x} in a tag", static_cast<unsigned char>(source_[at_])));
  }

  std::string_view source_;
  std::size_t at_ = 0;
  std::size_t counted_ = 0, line_begin_ = 0;
  std::uint32_t line_ = 1;
  Strip strip_ = Strip::None;
  bool after_block_ = false;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize_template(std::string_view source) { return Lexer(source).run(); }

void fail_at(ErrorCode code, const Place& place, const std::string& message) {
  fail(code, "chat template, line {}, column {}: {}", place.line, place.column, message);
}

}  // namespace naru::jinja
