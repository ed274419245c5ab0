// Dim: polynomial normal form, division rules, text form.
#include "graph/dim.h"

#include <algorithm>
#include <cctype>

#include "graph/checked.h"
#include "graph/limits.h"

namespace naru {

struct Dim::Atom {
  char kind;  // 's' symbol, '/' floordiv, 'M' max, 'm' min
  std::string text;
  Dim a, b;
};

namespace {

std::int64_t floor_div_i64(std::int64_t a, std::int64_t b) {
  if (b == 0) fail(ErrorCode::InvalidModel, "dimension: division of {} by zero", a);
  if (b == -1) return checked_sub(0, a);
  const std::int64_t quotient = a / b;
  return (a % b != 0 && ((a < 0) != (b < 0))) ? quotient - 1 : quotient;
}

}  // namespace

Dim::Dim(std::int64_t value) : constant_(value) {}

Dim Dim::symbol(std::string name) {
  return from_atom(std::make_shared<const Atom>(Atom{'s', std::move(name), {}, {}}));
}

Dim Dim::from_atom(AtomPtr atom) {
  Dim dim;
  dim.add_term({std::move(atom)}, 1);
  return dim;
}

Dim Dim::binary_atom(char kind, const Dim& a, const Dim& b) {
  // max and min have their operands in one order, so that both ways of writing them are equal.
  if (kind != '/' && b.to_string() < a.to_string()) return binary_atom(kind, b, a);
  const char* name = kind == '/' ? "floordiv" : kind == 'M' ? "max" : "min";
  std::string text = std::string(name) + "(" + a.to_string() + "," + b.to_string() + ")";
  return from_atom(std::make_shared<const Atom>(Atom{kind, std::move(text), a, b}));
}

std::string Dim::key(const std::vector<AtomPtr>& factors) {
  std::string text;
  for (const AtomPtr& atom : factors) {
    if (!text.empty()) text += '*';
    text += atom->text;
  }
  return text;
}

void Dim::add_term(const std::vector<AtomPtr>& factors, std::int64_t coefficient) {
  if (coefficient == 0) return;
  if (factors.empty()) {
    constant_ = checked_add(constant_, coefficient);
    return;
  }
  const std::string text = key(factors);
  if (static_cast<std::int64_t>(text.size()) > kLimits.max_dim_term_bytes) {
    fail(ErrorCode::InvalidModel, "dimension: a term takes over {} bytes of text", kLimits.max_dim_term_bytes);
  }
  Term& term = terms_[text];
  term.factors = factors;
  term.coefficient = checked_add(term.coefficient, coefficient);
  if (term.coefficient == 0) terms_.erase(text);
  if (static_cast<std::int64_t>(terms_.size()) > kLimits.max_dim_terms) {
    fail(ErrorCode::InvalidModel, "dimension: an expression has over {} terms", kLimits.max_dim_terms);
  }
}

std::int64_t Dim::value() const {
  NARU_CHECK(is_known(), "dimension " + to_string() + " is not a number");
  return constant_;
}

bool Dim::is_symbol() const noexcept {
  if (constant_ != 0 || terms_.size() != 1) return false;
  const Term& term = terms_.begin()->second;
  return term.coefficient == 1 && term.factors.size() == 1 && term.factors[0]->kind == 's';
}

std::optional<std::int64_t> Dim::lower_bound(const Atom& atom) {
  if (atom.kind == 's') return 0;
  const std::optional<std::int64_t> a = atom.a.lower_bound();
  const std::optional<std::int64_t> b = atom.b.lower_bound();
  switch (atom.kind) {
    case 'M': return a && b ? std::max(*a, *b) : a ? a : b;
    case 'm': return a && b ? std::optional(std::min(*a, *b)) : std::nullopt;
    default:
      // A divisor with symbols may be large: only the sign of the quotient is known then.
      if (!a || !b || *b < 0) return std::nullopt;
      if (atom.b.is_known()) return floor_div_i64(*a, *b);
      return *a >= 0 ? std::optional<std::int64_t>(0) : std::nullopt;
  }
}

std::optional<std::int64_t> Dim::lower_bound() const {
  std::int64_t bound = constant_;
  for (const auto& [name, term] : terms_) {
    if (term.coefficient < 0) return std::nullopt;
    std::int64_t product = term.coefficient;
    for (const AtomPtr& atom : term.factors) {
      const std::optional<std::int64_t> factor = lower_bound(*atom);
      if (!factor) return std::nullopt;
      // A negative bound of a factor says nothing once another factor may be large.
      if (*factor < 0 && term.factors.size() > 1) return std::nullopt;
      if (__builtin_mul_overflow(product, *factor, &product)) return std::nullopt;
    }
    if (__builtin_add_overflow(bound, product, &bound)) return std::nullopt;
  }
  return bound;
}

std::string Dim::to_string() const {
  std::string text;
  for (const auto& [name, term] : terms_) {
    const std::int64_t c = term.coefficient;
    if (text.empty()) {
      if (c == -1) text = "-" + name;
      else text = c == 1 ? name : std::to_string(c) + "*" + name;
    } else {
      text += c < 0 ? "-" : "+";
      const std::uint64_t magnitude = c < 0 ? 0 - static_cast<std::uint64_t>(c) : static_cast<std::uint64_t>(c);
      text += magnitude == 1 ? name : std::to_string(magnitude) + "*" + name;
    }
  }
  if (text.empty()) return std::to_string(constant_);
  if (constant_ > 0) text += "+" + std::to_string(constant_);
  if (constant_ < 0) text += std::to_string(constant_);
  return text;
}

Dim operator+(const Dim& a, const Dim& b) {
  Dim sum = a;
  sum.constant_ = checked_add(sum.constant_, b.constant_);
  for (const auto& [name, term] : b.terms_) sum.add_term(term.factors, term.coefficient);
  return sum;
}

Dim operator-(const Dim& a, const Dim& b) {
  Dim difference = a;
  difference.constant_ = checked_sub(difference.constant_, b.constant_);
  for (const auto& [name, term] : b.terms_) {
    difference.add_term(term.factors, checked_sub(0, term.coefficient));
  }
  return difference;
}

Dim operator*(const Dim& a, const Dim& b) {
  Dim result(checked_mul(a.constant_, b.constant_));
  for (const auto& [name, term] : a.terms_) {
    result.add_term(term.factors, checked_mul(term.coefficient, b.constant_));
  }
  for (const auto& [name, term] : b.terms_) {
    result.add_term(term.factors, checked_mul(term.coefficient, a.constant_));
  }
  for (const auto& [name_a, left] : a.terms_) {
    for (const auto& [name_b, right] : b.terms_) {
      std::vector<Dim::AtomPtr> factors = left.factors;
      factors.insert(factors.end(), right.factors.begin(), right.factors.end());
      std::sort(factors.begin(), factors.end(),
                [](const auto& x, const auto& y) { return x->text < y->text; });
      result.add_term(factors, checked_mul(left.coefficient, right.coefficient));
    }
  }
  return result;
}

Dim floor_div(const Dim& a, const Dim& b) {
  if (a.is_known() && b.is_known()) return floor_div_i64(a.constant_, b.constant_);
  if (b.is_known()) {
    const std::int64_t divisor = b.constant_;
    if (divisor == 0) fail(ErrorCode::InvalidModel, "dimension: division of {} by zero", a.to_string());
    if (divisor == 1) return a;
    // floor((q*d + r) / d) = q + floor(r / d): split off the terms that divide exactly.
    Dim exact, rest(a.constant_);
    for (const auto& [name, term] : a.terms_) {
      const bool divides = term.coefficient % divisor == 0;
      (divides ? exact : rest).add_term(term.factors, divides ? term.coefficient / divisor : term.coefficient);
    }
    if (rest.is_known()) return exact + Dim(floor_div_i64(rest.constant_, divisor));
    return exact + Dim::binary_atom('/', rest, b);
  }
  if (a == b) return 1;
  if (a.is_known() && a.constant_ == 0) return 0;
  // Cancel a single-term divisor from every term that contains it.
  if (b.constant_ == 0 && b.terms_.size() == 1) {
    const Dim::Term& divisor = b.terms_.begin()->second;
    Dim quotient;
    bool exact = a.constant_ == 0;
    for (const auto& [name, term] : a.terms_) {
      std::vector<Dim::AtomPtr> left = term.factors;
      for (const Dim::AtomPtr& atom : divisor.factors) {
        const auto found = std::find_if(left.begin(), left.end(), [&](const auto& x) { return x->text == atom->text; });
        if (found == left.end()) { exact = false; break; }
        left.erase(found);
      }
      if (!exact || term.coefficient % divisor.coefficient != 0) { exact = false; break; }
      quotient.add_term(left, term.coefficient / divisor.coefficient);
    }
    if (exact) return quotient;
  }
  return Dim::binary_atom('/', a, b);
}

Dim ceil_div(const Dim& a, const Dim& b) { return -floor_div(-a, b); }

Dim max(const Dim& a, const Dim& b) {
  if (a == b || (a - b).is_nonnegative()) return a;
  if ((b - a).is_nonnegative()) return b;
  return Dim::binary_atom('M', a, b);
}

Dim min(const Dim& a, const Dim& b) {
  if (a == b || (b - a).is_nonnegative()) return a;
  if ((a - b).is_nonnegative()) return b;
  return Dim::binary_atom('m', a, b);
}

bool Dim::operator==(const Dim& other) const {
  if (constant_ != other.constant_ || terms_.size() != other.terms_.size()) return false;
  return std::equal(terms_.begin(), terms_.end(), other.terms_.begin(), [](const auto& x, const auto& y) {
    return x.first == y.first && x.second.coefficient == y.second.coefficient;
  });
}

bool Dim::is_nonnegative() const {
  const std::optional<std::int64_t> bound = lower_bound();
  return bound && *bound >= 0;
}

Dim Dim::substitute(const SymbolLookup& lookup) const {
  if (is_known()) return *this;
  Dim result(constant_);
  for (const auto& [name, term] : terms_) {
    Dim value(term.coefficient);
    for (const AtomPtr& atom : term.factors) {
      Dim factor;
      if (atom->kind == 's') {
        const std::optional<Dim> found = lookup(atom->text);
        factor = found ? *found : from_atom(atom);
      } else {
        const Dim a = atom->a.substitute(lookup);
        const Dim b = atom->b.substitute(lookup);
        factor = atom->kind == '/' ? floor_div(a, b) : atom->kind == 'M' ? max(a, b) : min(a, b);
      }
      value = value * factor;
    }
    result = result + value;
  }
  return result;
}

void Dim::collect_symbols(std::vector<std::string>& names) const {
  for (const auto& [name, term] : terms_) {
    for (const AtomPtr& atom : term.factors) {
      if (atom->kind != 's') {
        atom->a.collect_symbols(names);
        atom->b.collect_symbols(names);
      } else if (std::find(names.begin(), names.end(), atom->text) == names.end()) {
        names.push_back(atom->text);
      }
    }
  }
}

namespace {

/// Recursive-descent parser of the text form; depth is bounded by the limits table.
class DimParser {
 public:
  explicit DimParser(std::string_view text) : text_(text) {}

  Dim run() {
    Dim value = sum(0);
    skip();
    if (at_ != text_.size()) error("the end");
    return value;
  }

 private:
  [[noreturn]] void error(const char* expected) {
    fail(ErrorCode::InvalidModel, "dimension '{}': got '{}' at offset {}, expected {}", text_,
         at_ < text_.size() ? text_.substr(at_, 1) : "the end", at_, expected);
  }
  void skip() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }
  bool take(char c) {
    skip();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  Dim sum(int depth) {
    if (depth > kLimits.max_text_depth) error("less nesting");
    Dim value = term(depth, take('-'));
    for (;;) {
      if (take('+')) value = value + term(depth, false);
      else if (take('-')) value = value + term(depth, true);
      else return value;
    }
  }
  Dim term(int depth, bool negative) {
    Dim value = factor(depth, negative);
    while (take('*')) value = value * factor(depth, false);
    return value;
  }
  /// The sign is taken along so that the smallest integer, which has no positive, can be read.
  Dim factor(int depth, bool negative) {
    const auto with_sign = [&](Dim value) { return negative ? -value : value; };
    skip();
    if (take('(')) {
      Dim value = sum(depth + 1);
      if (!take(')')) error("')'");
      return with_sign(std::move(value));
    }
    const std::size_t start = at_;
    if (at_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[at_]))) {
      std::int64_t value = 0;
      while (at_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[at_]))) {
        const std::int64_t digit = text_[at_++] - '0';
        value = checked_add(checked_mul(value, 10), negative ? -digit : digit);
      }
      return value;
    }
    const auto in_name = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '?' || c == '$' || c == '/' || c == ':' || (static_cast<unsigned char>(c) & 0x80) != 0; };
    while (at_ < text_.size() && in_name(text_[at_])) ++at_;
    if (at_ == start) error("a number, a symbol or '('");
    const std::string name(text_.substr(start, at_ - start));
    if (name != "floordiv" && name != "max" && name != "min") return with_sign(Dim::symbol(name));
    if (!take('(')) error("'('");
    const Dim a = sum(depth + 1);
    if (!take(',')) error("','");
    const Dim b = sum(depth + 1);
    if (!take(')')) error("')'");
    return with_sign(name == "floordiv" ? floor_div(a, b) : name == "max" ? max(a, b) : min(a, b));
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

Dim Dim::parse(std::string_view text) { return DimParser(text).run(); }

std::optional<Shape> known_shape(const SymShape& shape) {
  Shape result;
  for (const Dim& dim : shape) {
    if (!dim.is_known()) return std::nullopt;
    result.push_back(dim.value());
  }
  return result;
}

SymShape to_sym(const Shape& shape) { return SymShape(shape.begin(), shape.end()); }

Dim product(const SymShape& shape, std::size_t first, std::size_t last) {
  Dim result(1);
  for (std::size_t i = first; i < last; ++i) result = result * shape[i];
  return result;
}

std::string to_string(const SymShape& shape) {
  std::string text = "[";
  for (const Dim& dim : shape) {
    if (text.size() > 1) text += ",";
    text += dim.to_string();
  }
  return text + "]";
}

}  // namespace naru
