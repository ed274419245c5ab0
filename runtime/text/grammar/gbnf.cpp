// Parses grammars in llama.cpp's notation: name ::= "text" [a-z] (group | other)* rule{2,5} #
// comment
#include <map>
#include <optional>

#include "graph/fail.h"
#include "graph/model_file.h"
#include "runtime/text/grammar/rules.h"
#include "runtime/text/unicode.h"

namespace naru::grammar {
namespace {

constexpr int kMaxDepth = 64;
constexpr std::size_t kMaxBytes = 1 << 20;
constexpr std::int64_t kMaxRepeat = 10'000;

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_';
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Rules parse() {
    skip_space(true);
    while (!done()) {
      rule();
      skip_space(true);
    }
    for (const auto& [name, entry] : names_) {
      if (!entry.defined)
        fail(ErrorCode::InvalidArgument, "grammar: the rule {} is used and not defined",
             quote_name(name));
    }
    const auto root = names_.find("root");
    if (root == names_.end()) fail(ErrorCode::InvalidArgument, "grammar: got no rule 'root'");
    return builder_.finish(root->second.rule);
  }

 private:
  struct Entry {
    RuleId rule = 0;
    bool defined = false;
  };

  [[noreturn]] void unexpected(std::string_view expected) const {
    std::size_t line = 1, begin = 0;
    for (std::size_t i = 0; i < at_; ++i) {
      if (text_[i] != '\n') continue;
      ++line;
      begin = i + 1;
    }
    fail(ErrorCode::InvalidArgument, "grammar, line {}, column {}: got {}, expected {}", line,
         at_ - begin + 1, done() ? "the end" : quote_name(text_.substr(at_, 1)), expected);
  }

  bool done() const { return at_ >= text_.size(); }
  char peek() const { return done() ? '\0' : text_[at_]; }
  bool accept(std::string_view token) {
    if (!text_.substr(at_).starts_with(token)) return false;
    at_ += token.size();
    return true;
  }

  /// White space and comments; line ends only when `lines`.
  void skip_space(bool lines) {
    while (!done()) {
      if (peek() == '#') {
        while (!done() && peek() != '\n') ++at_;
      } else if (peek() == ' ' || peek() == '\t' || peek() == '\r' || (lines && peek() == '\n')) {
        ++at_;
      } else {
        return;
      }
    }
  }

  std::string name() {
    const std::size_t begin = at_;
    while (is_name_character(peek())) ++at_;
    if (at_ == begin) unexpected("a name");
    return std::string(text_.substr(begin, at_ - begin));
  }

  Entry& entry(const std::string& name) {
    const auto [found, added] = names_.try_emplace(name);
    if (added) found->second.rule = builder_.declare(name);
    return found->second;
  }

  void rule() {
    const std::string rule_name = name();
    skip_space(false);
    if (!accept("::=")) unexpected("'::='");
    if (entry(rule_name).defined)
      fail(ErrorCode::InvalidArgument, "grammar: the rule {} is defined twice",
           quote_name(rule_name));
    entry(rule_name).defined = true;
    const RuleId id = entry(rule_name).rule;
    builder_.define(id, alternatives(false));
  }

  /// Alternatives up to the end of the rule, or of the brackets when `nested`.
  std::vector<Sequence> alternatives(bool nested) {
    if (++depth_ > kMaxDepth)
      fail(ErrorCode::InvalidArgument, "grammar: got over {} nested groups", kMaxDepth);
    std::vector<Sequence> result;
    do {
      // A rule goes on in the next line after '|' and inside brackets.
      skip_space(true);
      result.push_back(sequence(nested));
    } while (accept("|"));
    --depth_;
    return result;
  }

  Sequence sequence(bool nested) {
    Sequence result;
    for (;;) {
      skip_space(nested);
      const char c = peek();
      if (done() || c == '|' || c == ')' || c == '\n') break;
      result = joined(std::move(result), repeated(item()));
    }
    // "|" may stand at the beginning of the next line.
    const std::size_t end = at_;
    skip_space(true);
    if (peek() != '|') at_ = end;
    return result;
  }

  Sequence item() {
    if (accept("\"")) return literal();
    if (accept("[")) return char_class();
    if (accept("(")) {
      Sequence group = builder_.choice(alternatives(true));
      skip_space(true);
      if (!accept(")")) unexpected("')'");
      return group;
    }
    if (accept(".")) return builder_.characters({{0, 0x10FFFF}});
    return Builder::reference(entry(name()).rule);
  }

  Sequence repeated(Sequence inner) {
    for (int count = 0; count < kMaxDepth; ++count) {
      std::int64_t min = 0, max = -1;
      if (accept("+")) {
        min = 1;
      } else if (accept("?")) {
        max = 1;
      } else if (accept("{")) {
        min = max = number();
        skip_space(true);
        if (accept(",")) {
          skip_space(true);
          max = peek() == '}' ? -1 : number();
          skip_space(true);
        }
        if (!accept("}")) unexpected("'}'");
        if (max >= 0 && max < min)
          fail(ErrorCode::InvalidArgument, "grammar: got a repetition of {} to {}", min, max);
      } else if (!accept("*")) {
        return inner;
      }
      inner = builder_.repeat(std::move(inner), min, max);
    }
    unexpected("fewer repetitions of a repetition");
  }

  std::int64_t number() {
    skip_space(true);
    if (peek() < '0' || peek() > '9') unexpected("a number");
    std::int64_t value = 0;
    while (peek() >= '0' && peek() <= '9') {
      value = value * 10 + (text_[at_++] - '0');
      if (value > kMaxRepeat)
        fail(ErrorCode::InvalidArgument, "grammar: got a repetition of over {}", kMaxRepeat);
    }
    return value;
  }

  /// One character of a literal or class, which may be escaped.
  char32_t character() {
    if (done() || peek() == '\n') unexpected("a character");
    if (!accept("\\")) {
      const text::CodePoint point = text::read_code_point(text_, at_);
      if (!point.valid) unexpected("UTF-8");
      at_ += point.size;
      return point.value;
    }
    const char letter = peek();
    if (done()) unexpected("an escape");
    ++at_;
    static constexpr std::pair<char, char32_t> kEscapes[] = {{'n', '\n'}, {'r', '\r'}, {'t', '\t'}};
    for (const auto& [known, value] : kEscapes) {
      if (letter == known) return value;
    }
    const int digits = letter == 'x' ? 2 : letter == 'u' ? 4 : letter == 'U' ? 8 : 0;
    if (digits == 0) return static_cast<unsigned char>(letter);
    char32_t value = 0;
    for (int i = 0; i < digits; ++i, ++at_) {
      const char c = peek();
      const int digit = c >= '0' && c <= '9'   ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : -1;
      if (digit < 0) unexpected("a hexadecimal digit");
      value = value * 16 + static_cast<char32_t>(digit);
    }
    if (value > 0x10FFFF || (value >= 0xD800 && value < 0xE000))
      unexpected("an escape of a character");
    return value;
  }

  Sequence literal() {
    std::string bytes;
    while (!accept("\"")) text::append_utf8(bytes, character());
    return builder_.literal(bytes);
  }

  Sequence char_class() {
    text::CharSet set;
    const bool negated = accept("^");
    while (!accept("]")) {
      const char32_t low = character();
      char32_t high = low;
      if (peek() == '-' && at_ + 1 < text_.size() && text_[at_ + 1] != ']') {
        ++at_;
        high = character();
      }
      if (high < low) unexpected("a range whose end is not below its beginning");
      set.add_range(low, high);
    }
    if (negated) set.negate();
    set.finish();
    return builder_.characters(set.to_ranges());
  }

  std::string_view text_;
  std::size_t at_ = 0;
  int depth_ = 0;
  Builder builder_;
  std::map<std::string, Entry> names_;
};

}  // namespace

Rules parse_gbnf(std::string_view text) {
  if (text.size() > kMaxBytes)
    fail(ErrorCode::InvalidArgument, "grammar: got {} bytes, expected at most {}", text.size(),
         kMaxBytes);
  return Parser(text).parse();
}

}  // namespace naru::grammar
