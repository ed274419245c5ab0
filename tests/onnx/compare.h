// Compares two values as the onnx package's own runner does.
#pragma once

#include <optional>
#include <string>

#include "naru/tensor.h"

namespace naru {

struct CompareOptions {
  double rtol = 1e-3;
  double atol = 1e-7;
  bool types_only = false;  ///< the values are random: compare kind, element type and shape
};

/// What differs, in words; nullopt when nothing does. Shape and element type must be equal, NaN
/// equals NaN, strings and bools must be equal, numbers within atol + rtol * |expected|.
std::optional<std::string> difference(const Datum& got, const Datum& expected,
                                      const CompareOptions& options);

}  // namespace naru
