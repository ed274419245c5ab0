// Numbers within bounds as rules, for JSON schemas.
#pragma once

#include <cstdint>
#include <optional>

#include "runtime/text/grammar/rules.h"

namespace naru::grammar {

/// The least and the greatest whole number that a schema accepts; none: no bound that way.
struct NumberBounds {
  std::optional<std::int64_t> low, high;
};

/// Whole numbers; without a bound, of up to 16 digits.
/// @throws Error InvalidArgument when there are none.
Sequence integer_rules(Builder& builder, const NumberBounds& bounds);

/// Numbers, with a fraction of up to 16 digits where the bounds leave room, and an exponent where
/// there are none. @throws Error Unsupported for bounds without a whole number between them.
Sequence number_rules(Builder& builder, const NumberBounds& bounds);

}  // namespace naru::grammar
