// Element checks of raw tensors.
#include "graph/element_check.h"

#include <algorithm>

#include "graph/fail.h"

namespace naru {

void check_elements(const Tensor& tensor) {
  if (tensor.dtype() != DType::Bool) return;
  const std::byte* end = tensor.data() + tensor.numel();
  const std::byte* bad =
      std::find_if(tensor.data(), end, [](std::byte b) { return b > std::byte{1}; });
  if (bad == end) return;
  fail(ErrorCode::InvalidModel, "tensor {}: element {} is byte {}, expected 0 or 1",
       to_string(tensor), bad - tensor.data(), std::to_integer<int>(*bad));
}

}  // namespace naru
