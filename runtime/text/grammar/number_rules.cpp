// Numbers within bounds as rules: digits of equal length between two texts, and what follows from
// it.
#include "runtime/text/grammar/number_rules.h"

#include <algorithm>
#include <string>

#include "graph/fail.h"

namespace naru::grammar {
namespace {

class Numbers {
 public:
  explicit Numbers(Builder& builder) : builder_(builder) {}

  /// Whole numbers within bounds; nothing when there are none.
  std::optional<Sequence> whole_numbers(const NumberBounds& bounds) {
    std::vector<Sequence> alternatives;
    const std::int64_t low = bounds.low.value_or(INT64_MIN), high = bounds.high.value_or(INT64_MAX);
    if (low > high) return std::nullopt;
    if (high >= 0) alternatives.push_back(whole_range(std::max<std::int64_t>(low, 0), bounds.high));
    if (low < 0) {
      std::optional<std::int64_t> deepest;
      if (bounds.low) deepest = -low;
      alternatives.push_back(
          joined(builder_.literal("-"), whole_range(high < 0 ? -high : 1, deepest)));
    }
    return builder_.choice(std::move(alternatives));
  }

  Sequence number(const NumberBounds& bounds) {
    if (!bounds.low && !bounds.high) {
      const Sequence exponent = joined(
          joined(
              builder_.choice({builder_.literal("e"), builder_.literal("E")}),
              builder_.optional(builder_.choice({builder_.literal("+"), builder_.literal("-")}))),
          builder_.repeat(digit('0', '9'), 1, 2));
      return joined(joined(joined(builder_.optional(builder_.literal("-")), magnitude()),
                           builder_.optional(fraction())),
                    builder_.optional(exponent));
    }
    // A fraction moves a number away from 0 by less than 1: its whole part stays that far inside.
    std::vector<Sequence> alternatives;
    if (auto whole = whole_numbers(bounds)) alternatives.push_back(std::move(*whole));
    const std::int64_t low = bounds.low.value_or(INT64_MIN), high = bounds.high.value_or(INT64_MAX);
    std::optional<std::int64_t> last_above, last_below;
    if (bounds.high) last_above = high - 1;
    if (bounds.low) last_below = -low - 1;
    if (high >= 1 && (!last_above || std::max<std::int64_t>(low, 0) <= *last_above)) {
      alternatives.push_back(
          joined(whole_range(std::max<std::int64_t>(low, 0), last_above), fraction()));
    }
    const std::int64_t first_below = high < 0 ? -high : 0;
    if (low <= -1 && (!last_below || first_below <= *last_below)) {
      alternatives.push_back(
          joined(joined(builder_.literal("-"), whole_range(first_below, last_below)), fraction()));
    }
    if (alternatives.empty()) {
      fail(ErrorCode::Unsupported,
           "schema: a range of numbers that contains no whole one is not supported");
    }
    return builder_.choice(std::move(alternatives));
  }

 private:
  static Sequence digit(char low, char high) {
    return {{.low = static_cast<std::uint8_t>(low), .high = static_cast<std::uint8_t>(high)}};
  }

  /// Digits of numbers from 0 without a leading zero, at most 16.
  Sequence magnitude() {
    return builder_.choice(
        {builder_.literal("0"), joined(digit('1', '9'), builder_.repeat(digit('0', '9'), 0, 15))});
  }

  /// Texts of as many digits as `low` has, from `low` to `high`, which has as many.
  Sequence same_length(const std::string& low, const std::string& high) {
    const auto size = static_cast<std::int64_t>(low.size());
    if (low == std::string(low.size(), '0') && high == std::string(low.size(), '9'))
      return builder_.repeat(digit('0', '9'), size, size);
    const std::size_t rest = low.size() - 1;
    if (low.front() == high.front())
      return joined(digit(low.front(), low.front()), same_length(low.substr(1), high.substr(1)));
    std::vector<Sequence> alternatives;
    alternatives.push_back(joined(digit(low.front(), low.front()),
                                  same_length(low.substr(1), std::string(rest, '9'))));
    if (high.front() - low.front() > 1) {
      alternatives.push_back(
          joined(digit(static_cast<char>(low.front() + 1), static_cast<char>(high.front() - 1)),
                 builder_.repeat(digit('0', '9'), size - 1, size - 1)));
    }
    alternatives.push_back(joined(digit(high.front(), high.front()),
                                  same_length(std::string(rest, '0'), high.substr(1))));
    return builder_.choice(std::move(alternatives));
  }

  /// Whole numbers low to high, both from 0; no high: up to 16 digits.
  Sequence whole_range(std::int64_t low, std::optional<std::int64_t> high) {
    const std::int64_t last = high.value_or(9'999'999'999'999'999);
    std::vector<Sequence> alternatives;
    for (std::int64_t begin = low; begin <= last;) {
      std::int64_t end = 9;
      while (end < begin) end = end * 10 + 9;
      end = std::min(end, last);
      alternatives.push_back(same_length(std::to_string(begin), std::to_string(end)));
      begin = end + 1;
    }
    return builder_.choice(std::move(alternatives));
  }

  Sequence fraction() {
    return joined(builder_.literal("."), builder_.repeat(digit('0', '9'), 1, 16));
  }

  Builder& builder_;
};

}  // namespace

Sequence integer_rules(Builder& builder, const NumberBounds& bounds) {
  if (auto numbers = Numbers(builder).whole_numbers(bounds)) return std::move(*numbers);
  fail(ErrorCode::InvalidArgument, "schema: no whole number is within the bounds");
}

Sequence number_rules(Builder& builder, const NumberBounds& bounds) {
  return Numbers(builder).number(bounds);
}

}  // namespace naru::grammar
