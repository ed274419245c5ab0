// The tolerance of each element type, and the comparison of two values by it.
#pragma once

#include <string>

#include "naru/tensor.h"

namespace naru::tool {

/// |a - b| <= absolute + relative * |b|.
struct Tolerance {
  double relative = 0;
  double absolute = 0;
};

/// f64 1e-10/1e-12, f32 1e-4/1e-5, f16 and bf16 a few units of the type's precision; integers,
/// bool and strings exact.
Tolerance tolerance_of(DType dtype);

struct Difference {
  bool within = true;
  double largest_relative = 0;  ///< of |a - b| / max(|b|, absolute)
  double largest_absolute = 0;
  std::string message;  ///< where and how much, when not within
};

/// Compares type, shape and elements. NaN equals NaN; infinities must match in sign.
Difference compare_data(const Datum& actual, const Datum& expected);

}  // namespace naru::tool
