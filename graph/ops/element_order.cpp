// ElementOrder: wide copies of the elements, compared by kind.
#include "graph/ops/element_order.h"

#include <cmath>
#include <cstring>

#include "graph/scalar.h"

namespace naru {
namespace {

template <typename T>
int three_way(const T& a, const T& b) {
  return a < b ? -1 : b < a ? 1 : 0;
}

int compare_floats(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) return static_cast<int>(std::isnan(a)) - static_cast<int>(std::isnan(b));
  return three_way(a, b);
}

/// Real and imaginary parts, one after the other.
std::vector<double> complex_parts(const Tensor& tensor) {
  const DType part = tensor.dtype() == DType::Complex64 ? DType::F32 : DType::F64;
  std::vector<double> parts(static_cast<std::size_t>(2 * tensor.numel()));
  for (std::size_t i = 0; i < parts.size(); ++i) {
    parts[i] = load_f64(part, tensor.data(), static_cast<std::int64_t>(i));
  }
  return parts;
}

}  // namespace

ElementOrder::ElementOrder(const Tensor& tensor) : tensor_(&tensor) {
  switch (kind_of(tensor.dtype())) {
    case DTypeKind::String: kind_ = Kind::String; return;
    case DTypeKind::Complex: kind_ = Kind::Complex; floats_ = complex_parts(tensor); return;
    default: break;
  }
  switch (wide_of(tensor.dtype())) {
    case Wide::F64: kind_ = Kind::Float; floats_ = to_wide<double>(tensor); break;
    case Wide::I64: kind_ = Kind::Signed; signed_ = to_wide<std::int64_t>(tensor); break;
    case Wide::U64: kind_ = Kind::Unsigned; unsigned_ = to_wide<std::uint64_t>(tensor); break;
  }
}

int ElementOrder::compare(std::int64_t a, std::int64_t b) const {
  const auto i = static_cast<std::size_t>(a), k = static_cast<std::size_t>(b);
  switch (kind_) {
    case Kind::Float: return compare_floats(floats_[i], floats_[k]);
    case Kind::Signed: return three_way(signed_[i], signed_[k]);
    case Kind::Unsigned: return three_way(unsigned_[i], unsigned_[k]);
    case Kind::String: return three_way(tensor_->strings()[i], tensor_->strings()[k]);
    case Kind::Complex: break;
  }
  const int real = compare_floats(floats_[2 * i], floats_[2 * k]);
  return real != 0 ? real : compare_floats(floats_[2 * i + 1], floats_[2 * k + 1]);
}

bool ElementOrder::is_nonzero(std::int64_t at) const {
  const auto i = static_cast<std::size_t>(at);
  switch (kind_) {
    case Kind::Float: return floats_[i] != 0;
    case Kind::Signed: return signed_[i] != 0;
    case Kind::Unsigned: return unsigned_[i] != 0;
    case Kind::String: return !tensor_->strings()[i].empty();
    case Kind::Complex: break;
  }
  return floats_[2 * i] != 0 || floats_[2 * i + 1] != 0;
}

}  // namespace naru
