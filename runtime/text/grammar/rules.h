// Grammars as rules over bytes, and what builds them.
#pragma once

#include <compare>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/text/char_set.h"

namespace naru::grammar {

using RuleId = std::uint32_t;
inline constexpr RuleId kNoRule = UINT32_MAX;

/// A byte out of a range, or a rule.
struct Element {
  RuleId rule = kNoRule;  ///< kNoRule: a byte
  std::uint8_t low = 0, high = 0;
  auto operator<=>(const Element&) const = default;
};
using Sequence = std::vector<Element>;

struct Rule {
  std::vector<Sequence> alternatives;
  std::string name;  ///< for messages; empty for those that are made on the way
};

/// Context-free rules; generation begins at `root`. Checked: no rule begins with itself, and every
/// rule can come to an end.
struct Rules {
  std::vector<Rule> rules;
  RuleId root = 0;
};

/// Puts rules together. Everything made counts against a limit.
/// @throws Error InvalidArgument over it.
class Builder {
 public:
  /// A rule whose alternatives come later.
  RuleId declare(std::string name = {});
  void define(RuleId rule, std::vector<Sequence> alternatives);

  static Sequence reference(RuleId rule) { return {{.rule = rule}}; }
  Sequence literal(std::string_view bytes);
  /// One code point of sorted ranges, as UTF-8.
  Sequence characters(const std::vector<text::CharSet::Range>& ranges);
  Sequence choice(std::vector<Sequence> alternatives);
  Sequence optional(Sequence inner) { return choice({std::move(inner), {}}); }
  /// `inner`, `min` to `max` times; max -1: no bound.
  Sequence repeat(Sequence inner, std::int64_t min, std::int64_t max);

  /// Checks and returns the rules. @throws Error InvalidArgument.
  Rules finish(RuleId root);

 private:
  void count(std::size_t elements);
  /// A choice of sorted sequences of bytes; what begins alike goes on in a rule of its own, so that few ways are
  /// open at a time.
  Sequence by_first_byte(std::span<const Sequence> sequences);

  std::vector<Rule> rules_;
  std::size_t elements_ = 0;
};

/// `sequence` with `more` after it.
Sequence joined(Sequence sequence, const Sequence& more);

/// Grammar text in the notation of llama.cpp (GBNF). @throws Error InvalidArgument.
Rules parse_gbnf(std::string_view text);

/// A JSON schema. @throws Error InvalidArgument, Unsupported.
Rules compile_json_schema(std::string_view schema);

}  // namespace naru::grammar
