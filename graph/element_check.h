// Checks on elements that come from outside as raw bytes.
#pragma once

#include "naru/tensor.h"

namespace naru {

/// Refuses a bool tensor with bytes other than 0 and 1, which C++ may not read as bool. Other types
/// have no invalid bytes. @throws Error InvalidModel.
void check_elements(const Tensor& tensor);

}  // namespace naru
