// Patterns: trees of operators as text, matched backwards from a root; fusion as data.
//
//   Mul(x, Sigmoid(x))                                       x: any value, the same one at both
//   places Div(d=Sub(x, m=ReduceMean(x, a:c)), Sqrt(Add(v, e:s)))   a: a constant; e: a constant
//   scalar Mul(x, {Div(y, 6) | Mul(y, 0.16666667)})                 alternatives; a scalar constant
//   of this value d=Sub(...) names the node and its value; a later d is that value again.
//
// Add, Mul, Max, Min match in either order. A node must have exactly the inputs shown. Nodes inside
// a match are used by the match alone, so that they go when the root is replaced.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/rewrite.h"

namespace naru {

/// What a pattern's names stand for in one match.
class Match {
 public:
  ValueId operator[](std::string_view name) const;
  /// The node of "name=Op(...)".
  const Node& node(std::string_view name) const;
  bool has(std::string_view name) const { return values_.contains(name); }

 private:
  friend class Matcher;
  std::map<std::string, ValueId, std::less<>> values_;
  std::map<std::string, const Node*, std::less<>> nodes_;
};

/// A parsed pattern. Immutable.
class Pattern {
 public:
  /// @throws Error Internal on bad syntax: patterns are part of the program.
  explicit Pattern(std::string_view text);
  ~Pattern();
  Pattern(Pattern&&) noexcept;

  /// The operators that the root may have.
  const std::vector<std::string>& root_ops() const { return root_ops_; }
  std::optional<Match> match(const Rewriter& rw, const Node& root) const;

  struct Term;

 private:
  std::unique_ptr<const Term> term_;
  std::vector<std::string> root_ops_;
};

/// A fusion: what `pattern` matches becomes operator `result` of value x, or what `build` makes.
struct Fusion {
  const char* name;
  const char* pattern;
  const char* result = nullptr;
  /// As Rule::apply; false where predicates beyond the pattern do not hold.
  bool (*build)(Rewriter& rw, const Node& root, const Match& match) = nullptr;
};

/// Parsed fusions, by the operator of their root.
class FusionTable {
 public:
  explicit FusionTable(std::span<const Fusion> fusions);
  /// Applies the first fusion that matches at `root`.
  bool apply(Rewriter& rw, const Node& root) const;

 private:
  struct Entry {
    const Fusion* fusion;
    Pattern pattern;
  };
  std::vector<Entry> entries_;
  std::multimap<std::string, std::size_t, std::less<>> by_root_;
};

}  // namespace naru
