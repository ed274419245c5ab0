// Regular expressions as tokenizers and JSON schemas write them: parsed into a tree.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "runtime/text/char_set.h"

namespace naru::text {

/// A node of a parsed pattern.
struct PatternNode {
  enum class Kind : std::uint8_t {
    Set,       ///< one code point of `set`
    Sequence,  ///< the children one after another; none: the empty text
    Choice,    ///< the first child that leads to a match
    Repeat,    ///< the child, `min` to `max` times
    Look,      ///< the child matches here (`negated`: does not), nothing is taken
    LookBack,  ///< the code point before is in `set` (`negated`: is not, or there is none)
    Begin,     ///< the beginning of the text
    End,       ///< the end of the text
    Border,    ///< between \w and what is not \w (`negated`: not there)
  };
  enum class Greed : std::uint8_t { Greedy, Lazy, Possessive };

  Kind kind = Kind::Sequence;
  CharSet set;
  std::vector<PatternNode> children;
  int min = 0, max = 0;  ///< of Repeat; max -1: no bound
  Greed greed = Greed::Greedy;
  bool negated = false;
};

inline constexpr int kPatternMaxDepth = 64;
inline constexpr int kPatternMaxRepeat = 1000;
inline constexpr std::size_t kPatternMaxBytes = 16384;

/// Parses a pattern in the common part of the Oniguruma, Rust, PCRE and ECMAScript notations.
/// @throws Error InvalidModel for a malformed pattern, Unsupported for a part that naru does not
/// have (back references, named groups with conditions, look-behind of more than one character).
PatternNode parse_pattern(std::string_view pattern);

/// What \w stands for.
CharSet word_set();

}  // namespace naru::text
