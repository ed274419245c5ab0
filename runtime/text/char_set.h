// Sets of code points by category, range and combination: what one position of a pattern matches.
#pragma once

#include <bitset>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/text/unicode.h"

namespace naru::text {

/// A set of code points: (categories, ranges, or any of `any`) and all of `all`, or the opposite.
class CharSet {
 public:
  using Range = std::pair<char32_t, char32_t>;  ///< both ends included

  static CharSet of(char32_t value) { return of_range(value, value); }
  static CharSet of_range(char32_t low, char32_t high);
  static CharSet of_categories(CategorySet categories);
  static CharSet of_white_space();
  static CharSet of_ranges(std::vector<Range> ranges);

  void add(CharSet other) { any_.push_back(std::move(other)); }
  void add_range(char32_t low, char32_t high) { ranges_.emplace_back(low, high); }
  void intersect(CharSet other) { all_.push_back(std::move(other)); }
  void negate() { negated_ = !negated_; }
  /// Adds the other case of each ASCII letter in the ranges, and the two signs that fold to one.
  void ignore_case();

  /// Prepares `contains`; call it once the set is complete.
  void finish();
  bool contains(char32_t value) const noexcept {
    return value < 128 ? ascii_[value] : compute(value);
  }

  /// The set as sorted ranges that do not touch, for automata over bytes.
  std::vector<Range> to_ranges() const;

 private:
  bool compute(char32_t value) const noexcept;

  CategorySet categories_ = 0;
  std::vector<Range> ranges_;
  std::vector<CharSet> any_, all_;
  bool negated_ = false;
  std::bitset<128> ascii_;
};

/// The set named in \p{...}: a category or one of a few scripts. Returns whether it is known.
bool named_char_set(std::string_view name, CharSet& out);

}  // namespace naru::text
