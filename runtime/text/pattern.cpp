// Parses regular expressions into a tree, by recursive descent with a depth limit.
#include "runtime/text/pattern.h"

#include <optional>
#include <string>

#include "graph/fail.h"

namespace naru::text {
namespace {

using Kind = PatternNode::Kind;

PatternNode node_of(CharSet set) {
  PatternNode node;
  node.kind = Kind::Set;
  set.finish();
  node.set = std::move(set);
  return node;
}

CharSet digit_set() { return CharSet::of_categories(category_set("Nd")); }

/// What \d, \w, \s and \h stand for.
std::optional<CharSet> shorthand_set(char32_t letter) {
  switch (letter) {
    case 'd': return digit_set();
    case 'w': return word_set();
    case 's': return CharSet::of_white_space();
    case 'h': return CharSet::of_ranges({{'0', '9'}, {'a', 'f'}, {'A', 'F'}});
    default: return std::nullopt;
  }
}

std::optional<char32_t> control_escape(char32_t letter) {
  switch (letter) {
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'f': return '\f';
    case 'v': return '\v';
    case 'a': return '\a';
    case 'e': return 0x1B;
    case '0': return 0;
    default: return std::nullopt;
  }
}

class Parser {
 public:
  explicit Parser(std::string_view pattern) : text_(pattern) {}

  PatternNode parse() {
    if (text_.size() > kPatternMaxBytes) {
      fail(ErrorCode::InvalidModel, "pattern: got {} bytes, expected at most {}", text_.size(),
           kPatternMaxBytes);
    }
    if (!is_well_formed(text_))
      fail(ErrorCode::InvalidModel, "pattern: got ill-formed UTF-8, expected text");
    PatternNode node = choice();
    if (!done()) malformed("an unopened ')'");
    return node;
  }

 private:
  [[noreturn]] void malformed(std::string_view got) const {
    fail(ErrorCode::InvalidModel, "pattern: got {} at byte {}, expected a regular expression", got,
         at_);
  }
  [[noreturn]] void unsupported(std::string_view what) const {
    fail(ErrorCode::Unsupported, "pattern: {} at byte {} is not supported", what, at_);
  }

  bool done() const { return at_ >= text_.size(); }
  char peek() const { return done() ? '\0' : text_[at_]; }
  bool accept(std::string_view token) {
    if (!text_.substr(at_).starts_with(token)) return false;
    at_ += token.size();
    return true;
  }
  char32_t take() {
    if (done()) malformed("the end");
    const CodePoint point = read_code_point(text_, at_);
    at_ += point.size;
    return point.value;
  }

  PatternNode choice() {
    if (++depth_ > kPatternMaxDepth)
      fail(ErrorCode::InvalidModel, "pattern: got more than {} nested groups", kPatternMaxDepth);
    const bool outer_case = ignore_case_;
    PatternNode node;
    node.kind = Kind::Choice;
    do {
      node.children.push_back(sequence());
    } while (accept("|"));
    ignore_case_ = outer_case;
    --depth_;
    return node.children.size() == 1 ? std::move(node.children.front()) : std::move(node);
  }

  PatternNode sequence() {
    PatternNode node;
    while (!done() && peek() != '|' && peek() != ')') {
      if (accept("(?i)")) {
        ignore_case_ = true;
        continue;
      }
      node.children.push_back(quantified(atom()));
    }
    return node.children.size() == 1 ? std::move(node.children.front()) : std::move(node);
  }

  PatternNode quantified(PatternNode inner) {
    while (!done()) {
      PatternNode repeat;
      if (!quantifier(repeat)) break;
      if (accept("+")) {
        repeat.greed = PatternNode::Greed::Possessive;
      } else if (accept("?")) {
        repeat.greed = PatternNode::Greed::Lazy;
      }
      repeat.children.push_back(std::move(inner));
      inner = std::move(repeat);
      if (++depth_of_repeats_ > kPatternMaxDepth) malformed("too many quantifiers");
    }
    depth_of_repeats_ = 0;
    return inner;
  }

  bool quantifier(PatternNode& repeat) {
    repeat.kind = Kind::Repeat;
    repeat.max = -1;
    if (accept("*")) return true;
    if (accept("+")) {
      repeat.min = 1;
      return true;
    }
    if (accept("?")) {
      repeat.max = 1;
      return true;
    }
    return peek() == '{' && braces(repeat);
  }

  /// {n}, {n,} or {n,m}; anything else in braces is text.
  bool braces(PatternNode& repeat) {
    const std::size_t begin = at_++;
    const std::optional<int> low = number();
    repeat.min = low.value_or(0);
    repeat.max = repeat.min;
    bool good = low.has_value();
    if (accept(",")) {
      const std::optional<int> high = number();
      repeat.max = high.value_or(-1);
      good = good || high.has_value();
    }
    if (!good || !accept("}")) {
      at_ = begin;
      return false;
    }
    if (repeat.max >= 0 && repeat.max < repeat.min)
      malformed("a count whose end is below its beginning");
    return true;
  }

  std::optional<int> number() {
    if (peek() < '0' || peek() > '9') return std::nullopt;
    int value = 0;
    while (peek() >= '0' && peek() <= '9') {
      value = value * 10 + (text_[at_++] - '0');
      if (value > kPatternMaxRepeat)
        fail(ErrorCode::Unsupported, "pattern: got a repeat count over {}", kPatternMaxRepeat);
    }
    return value;
  }

  PatternNode atom() {
    if (accept("(")) return group();
    if (accept("[")) return node_of(fold(char_class()));
    if (accept("^")) return assertion(Kind::Begin);
    if (accept("$")) return assertion(Kind::End);
    if (accept("\\")) return escape();
    if (accept(".")) {
      CharSet newline = CharSet::of('\n');
      newline.negate();
      return node_of(std::move(newline));
    }
    if (peek() == '*' || peek() == '+' || peek() == '?') malformed("a quantifier of nothing");
    return node_of(fold(CharSet::of(take())));
  }

  CharSet fold(CharSet set) const {
    if (ignore_case_) set.ignore_case();
    return set;
  }

  static PatternNode assertion(Kind kind, bool negated = false) {
    PatternNode node;
    node.kind = kind;
    node.negated = negated;
    return node;
  }

  PatternNode group() {
    const bool outer_case = ignore_case_;
    PatternNode node;
    if (accept("?i:")) {
      ignore_case_ = true;
      node = choice();
    } else if (accept("?=") || accept("?!")) {
      node = assertion(Kind::Look, text_[at_ - 1] == '!');
      node.children.push_back(choice());
    } else if (accept("?<=") || accept("?<!")) {
      node = look_back(text_[at_ - 1] == '!');
    } else if (accept("?>")) {
      node.kind = Kind::Repeat;
      node.min = node.max = 1;
      node.greed = PatternNode::Greed::Possessive;
      node.children.push_back(choice());
    } else if (accept("?:")) {
      node = choice();
    } else if (accept("?P<") || accept("?<")) {
      while (peek() != '>') take();
      accept(">");
      node = choice();
    } else if (peek() == '?') {
      unsupported("this kind of group");
    } else {
      node = choice();
    }
    ignore_case_ = outer_case;
    if (!accept(")")) malformed("no ')'");
    return node;
  }

  PatternNode look_back(bool negated) {
    PatternNode inner = choice();
    if (inner.kind != Kind::Set) unsupported("look-behind of more than one character");
    inner.kind = Kind::LookBack;
    inner.negated = negated;
    return inner;
  }

  PatternNode escape() {
    switch (peek()) {
      case 'A': ++at_; return assertion(Kind::Begin);
      case 'z':
      case 'Z': ++at_; return assertion(Kind::End);
      case 'b': ++at_; return assertion(Kind::Border);
      case 'B': ++at_; return assertion(Kind::Border, true);
      default: break;
    }
    if (peek() >= '1' && peek() <= '9') unsupported("a back reference");
    return node_of(fold(escaped_set()));
  }

  /// What an escape stands for, after its backslash.
  CharSet escaped_set() {
    if (accept("p{") || accept("P{")) return property(text_[at_ - 2] == 'P');
    const char32_t letter = take();
    if (letter == 'x' || letter == 'u') return CharSet::of(hexadecimal(letter));
    if (std::optional<CharSet> set = shorthand_set(letter)) return std::move(*set);
    if (letter < 128) {
      if (std::optional<CharSet> set = shorthand_set(letter | 0x20U);
          set && letter >= 'A' && letter <= 'Z') {
        set->negate();
        return std::move(*set);
      }
    }
    if (const std::optional<char32_t> control = control_escape(letter))
      return CharSet::of(*control);
    const bool is_letter = (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z');
    if (is_letter) unsupported("this escape");
    return CharSet::of(letter);
  }

  CharSet property(bool negated) {
    negated = accept("^") != negated;
    const std::size_t end = text_.find('}', at_);
    if (end == std::string_view::npos) malformed("no '}'");
    const std::string_view name = text_.substr(at_, end - at_);
    CharSet set;
    if (!named_char_set(name, set)) unsupported("this property");
    at_ = end + 1;
    if (negated) set.negate();
    return set;
  }

  /// \xHH, \x{...}, \uHHHH or \u{...}, after the letter.
  char32_t hexadecimal(char32_t letter) {
    const bool braced = accept("{");
    const int digits = braced ? 6 : letter == 'x' ? 2 : 4;
    char32_t value = 0;
    int count = 0;
    for (; count < digits && !done(); ++count) {
      const char c = peek();
      const int digit = c >= '0' && c <= '9'   ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : -1;
      if (digit < 0) break;
      value = value * 16 + static_cast<char32_t>(digit);
      ++at_;
    }
    if (count == 0 || (braced && !accept("}"))) malformed("a bad hexadecimal escape");
    if (value > 0x10FFFF || (value >= 0xD800 && value < 0xE000))
      malformed("an escape of no character");
    return value;
  }

  /// The rest of a class after its '['.
  CharSet char_class() {
    if (++depth_ > kPatternMaxDepth) malformed("too many nested classes");
    const bool negated = accept("^");
    CharSet whole, part;
    bool intersected = false, first = true;
    while (first || peek() != ']') {
      if (accept("&&")) {
        intersected ? whole.intersect(std::move(part)) : whole.add(std::move(part));
        intersected = true;
        part = {};
        continue;
      }
      class_item(part);
      first = false;
    }
    accept("]");
    intersected ? whole.intersect(std::move(part)) : whole.add(std::move(part));
    if (negated) whole.negate();
    --depth_;
    return whole;
  }

  void class_item(CharSet& set) {
    if (accept("[:")) unsupported("a POSIX class");
    if (accept("[")) {
      set.add(char_class());
      return;
    }
    std::optional<char32_t> low;
    if (accept("\\")) {
      if (!is_single_escape()) {
        set.add(escaped_set());
        return;
      }
      low = single_escape();
    } else {
      low = take();
    }
    if (peek() != '-' || at_ + 1 >= text_.size() || text_[at_ + 1] == ']') {
      set.add_range(*low, *low);
      return;
    }
    ++at_;
    if (accept("[")) malformed("a range that ends in a class");
    const char32_t high = accept("\\") ? single_escape() : take();
    if (high < *low) malformed("a range whose end is below its beginning");
    set.add_range(*low, high);
  }

  bool is_single_escape() const {
    const char c = peek();
    const char lower = static_cast<char>(c | 0x20);
    return lower != 'p' && lower != 'd' && lower != 'w' && lower != 's' && lower != 'h';
  }

  char32_t single_escape() {
    const char32_t letter = take();
    if (letter == 'x' || letter == 'u') return hexadecimal(letter);
    if (letter == 'b') return '\b';
    return control_escape(letter).value_or(letter);
  }

  std::string_view text_;
  std::size_t at_ = 0;
  int depth_ = 0;
  int depth_of_repeats_ = 0;
  bool ignore_case_ = false;
};

}  // namespace

PatternNode parse_pattern(std::string_view pattern) { return Parser(pattern).parse(); }

CharSet word_set() {
  CharSet set = CharSet::of_categories(category_set("L") | category_set("M") | category_set("Nd") |
                                       category_set("Nl") | category_set("Pc"));
  // Oniguruma adds the Latin-1 fractions and powers to Unicode's letters in circles and squares.
  set.add(CharSet::of_ranges({{0xB2, 0xB3},
                              {0xB9, 0xB9},
                              {0xBC, 0xBE},
                              {0x24B6, 0x24E9},
                              {0x1F130, 0x1F149},
                              {0x1F150, 0x1F169},
                              {0x1F170, 0x1F189}}));
  return set;
}

}  // namespace naru::text
