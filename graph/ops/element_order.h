// ElementOrder: compares elements of any type; what sorting and selecting operators share.
#pragma once

#include <cstdint>
#include <vector>

#include "naru/tensor.h"

namespace naru {

/// A total order over the elements of one tensor: numbers by value with NaN last and equal to
/// itself, complex numbers by real then imaginary part, strings by bytes.
class ElementOrder {
 public:
  explicit ElementOrder(const Tensor& tensor);

  /// < 0, 0 or > 0 as element `a` comes before, is equal to, or comes after element `b`.
  int compare(std::int64_t a, std::int64_t b) const;
  /// True unless the element is 0, false or the empty string.
  bool is_nonzero(std::int64_t at) const;

 private:
  enum class Kind { Float, Signed, Unsigned, Complex, String };
  Kind kind_;
  const Tensor* tensor_;
  std::vector<double> floats_;  // complex: pairs
  std::vector<std::int64_t> signed_;
  std::vector<std::uint64_t> unsigned_;
};

}  // namespace naru
