// Dim: a dimension that is an integer or an integer expression over named symbols.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "naru/shape.h"

namespace naru {

class Dim;

/// Finds the value of a symbol; nullopt when unknown.
using SymbolLookup = std::function<std::optional<Dim>(const std::string& name)>;

/// An integer polynomial over atoms; an atom is a symbol, or floordiv, max or min of two Dims.
/// Kept in a normal form, so that equal expressions compare equal in the common cases (`a+b == b+a`,
/// `(4*n)/2 == 2*n`); unequal normal forms may still be equal numbers.
class Dim {
 public:
  Dim() = default;
  Dim(std::int64_t value);  // NOLINT: implicit by intent
  static Dim symbol(std::string name);

  bool is_known() const noexcept { return terms_.empty(); }
  /// @throws Error Internal unless is_known().
  std::int64_t value() const;
  /// True when the expression is one bare symbol.
  bool is_symbol() const noexcept;
  /// A number that the expression never falls below, since symbols are >= 0; nullopt when the terms
  /// do not show one.
  std::optional<std::int64_t> lower_bound() const;
  /// True when lower_bound() shows that the expression is never negative.
  bool is_nonnegative() const;
  /// The name, when is_symbol(); the text form otherwise.
  std::string to_string() const;
  /// Parses the text form: integers, symbols, + - *, floordiv(a,b), max(a,b), min(a,b), parentheses.
  /// @throws Error InvalidModel on bad syntax.
  static Dim parse(std::string_view text);

  /// Replaces symbols that `lookup` knows.
  Dim substitute(const SymbolLookup& lookup) const;
  /// Appends the names of all symbols, each once.
  void collect_symbols(std::vector<std::string>& names) const;

  friend Dim operator+(const Dim& a, const Dim& b);
  friend Dim operator-(const Dim& a, const Dim& b);
  friend Dim operator*(const Dim& a, const Dim& b);
  Dim operator-() const { return Dim(0) - *this; }
  /// Floor of a/b. @throws Error InvalidModel when b is known and 0.
  friend Dim floor_div(const Dim& a, const Dim& b);
  friend Dim ceil_div(const Dim& a, const Dim& b);
  friend Dim max(const Dim& a, const Dim& b);
  friend Dim min(const Dim& a, const Dim& b);
  bool operator==(const Dim& other) const;

 private:
  struct Atom;
  using AtomPtr = std::shared_ptr<const Atom>;
  struct Term {
    std::vector<AtomPtr> factors;  // sorted by text
    std::int64_t coefficient = 0;
  };

  static Dim from_atom(AtomPtr atom);
  static Dim binary_atom(char kind, const Dim& a, const Dim& b);
  void add_term(const std::vector<AtomPtr>& factors, std::int64_t coefficient);
  static std::optional<std::int64_t> lower_bound(const Atom& atom);
  static std::string key(const std::vector<AtomPtr>& factors);

  std::map<std::string, Term> terms_;  // keyed by the text of the factors; never a zero coefficient
  std::int64_t constant_ = 0;
};

/// Symbolic dimensions, outermost first.
using SymShape = std::vector<Dim>;

/// The concrete shape when every dimension is known.
std::optional<Shape> known_shape(const SymShape& shape);
SymShape to_sym(const Shape& shape);
/// Product of dimensions [first, last).
Dim product(const SymShape& shape, std::size_t first, std::size_t last);
std::string to_string(const SymShape& shape);

}  // namespace naru
