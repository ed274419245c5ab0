// Shape: products and strides in checked arithmetic.
#include "naru/shape.h"

#include <fmt/ranges.h>

#include "graph/checked.h"

namespace naru {

std::int64_t Shape::numel(std::int64_t first_axis, std::int64_t last_axis) const {
  // A zero dimension makes the tensor empty whatever the others are, so overflow is judged on the
  // product that storage would need.
  std::int64_t product = 1;
  bool empty = false;
  for (std::int64_t axis = first_axis; axis < last_axis; ++axis) {
    const std::int64_t dim = (*this)[axis];
    if (dim < 0) fail(ErrorCode::InvalidModel, "dimension {}: got {}, expected >= 0", axis, dim);
    if (dim == 0) empty = true;
  }
  if (empty) return 0;
  for (std::int64_t axis = first_axis; axis < last_axis; ++axis) {
    product = checked_mul(product, (*this)[axis]);
  }
  return product;
}

std::vector<std::int64_t> Shape::strides() const {
  std::vector<std::int64_t> strides(dims_.size(), 1);
  for (std::size_t i = dims_.size(); i-- > 1;) {
    strides[i - 1] = checked_mul(strides[i], dims_[i] == 0 ? 1 : dims_[i]);
  }
  return strides;
}

std::string to_string(const Shape& shape) {
  return fmt::format("[{}]", fmt::join(shape.dims(), ","));
}

}  // namespace naru
