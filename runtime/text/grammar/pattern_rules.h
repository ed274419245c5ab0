// Regular expressions as rules, for the patterns of JSON schemas.
#pragma once

#include <functional>

#include "runtime/text/grammar/rules.h"

namespace naru::grammar {

/// Rules for the texts in which `pattern` is found. `spell(ranges)` gives the rules for one code
/// point of these ranges, which JSON writes with escapes.
/// @throws Error InvalidArgument, or Unsupported for looks ahead and back and for borders, and for
/// '^' and '$' anywhere but at the ends of the pattern.
Sequence pattern_rules(
    Builder& builder, std::string_view pattern,
    const std::function<Sequence(const std::vector<text::CharSet::Range>&)>& spell);

}  // namespace naru::grammar
