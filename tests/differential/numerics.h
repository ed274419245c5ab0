// The numerics contract: how far from the exact result each operator may be, on any device.
#pragma once

#include <string_view>

#include "naru/dtype.h"

namespace naru::fuzz {

/// A result must lie within `result` units in the last place of the exact result for operands that
/// are moved by at most `operand` units in theirs (a mixed forward and backward bound), plus
/// `absolute` units of 1. A zero that was computed may have either sign.
struct Contract {
  double operand = 0;
  double result = 0;
  double absolute = 0;
  bool finite = false;  ///< says nothing of results from infinities and NaN
  std::string_view reason;
};

/// The contract of an operator for results of floats; integers, bools and strings are exact. An
/// operator without a row of its own is an element-wise function.
const Contract& contract_of(std::string_view op);

/// Half a unit in the last place of 1: what one rounding to `dtype` changes at most, relatively. 0
/// for types that are compared exactly.
double rounding_unit(DType dtype);

}  // namespace naru::fuzz
