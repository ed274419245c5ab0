// The tolerance of each element type, and the comparison of two values by it.
#include "tools/naru/tolerance.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "graph/scalar.h"

namespace naru::tool {
namespace {

Difference mismatch(std::string message) {
  Difference result;
  result.within = false;
  result.message = std::move(message);
  return result;
}

Difference compare_exact(const Tensor& actual, const Tensor& expected) {
  if (actual.dtype() == DType::String) {
    const auto a = actual.strings(), b = expected.strings();
    if (std::equal(a.begin(), a.end(), b.begin(), b.end())) return {};
    return mismatch("strings differ");
  }
  if (actual.size_bytes() == 0 || std::memcmp(actual.data(), expected.data(), static_cast<std::size_t>(actual.size_bytes())) == 0) {
    return {};
  }
  return mismatch("elements differ, expected equality for " + std::string(to_string(actual.dtype())));
}

Difference compare_floats(const Tensor& actual, const Tensor& expected) {
  const Tolerance tolerance = tolerance_of(actual.dtype());
  const std::vector<double> a = to_wide<double>(actual), b = to_wide<double>(expected);
  Difference result;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if ((std::isnan(a[i]) && std::isnan(b[i])) || a[i] == b[i]) continue;
    const bool finite = std::isfinite(a[i]) && std::isfinite(b[i]);
    const double error = finite ? std::fabs(a[i] - b[i]) : INFINITY;
    result.largest_absolute = std::max(result.largest_absolute, error);
    result.largest_relative = std::max(result.largest_relative, error / std::max(std::fabs(b[i]), tolerance.absolute));
    if (error <= tolerance.absolute + tolerance.relative * std::fabs(b[i])) continue;
    if (result.within) {
      result.within = false;
      result.message = fmt::format("element {} of {} is {:.9g}, expected {:.9g} within {:g} relative and {:g} absolute",
                                   i, a.size(), a[i], b[i], tolerance.relative, tolerance.absolute);
    }
  }
  return result;
}

}  // namespace

Tolerance tolerance_of(DType dtype) {
  switch (dtype) {
    case DType::F64: return {1e-10, 1e-12};
    case DType::F32: return {1e-4, 1e-5};
    case DType::F16: return {4e-3, 1e-3};
    case DType::BF16: return {3e-2, 1e-2};
    case DType::F8E4M3FN:
    case DType::F8E4M3FNUZ: return {0.13, 2e-2};
    case DType::F8E5M2:
    case DType::F8E5M2FNUZ: return {0.26, 2e-2};
    default: return {};
  }
}

Difference compare_data(const Datum& actual, const Datum& expected) {
  if (actual.kind != expected.kind) return mismatch("one is a tensor, the other is none");
  if (!actual.is_tensor()) {
    if (actual.elements.size() != expected.elements.size()) {
      return mismatch(fmt::format("got {} elements, expected {}", actual.elements.size(), expected.elements.size()));
    }
    Difference worst;
    for (std::size_t i = 0; i < actual.elements.size(); ++i) {
      Difference d = compare_data(actual.elements[i], expected.elements[i]);
      if (!d.within) return d;
      worst.largest_relative = std::max(worst.largest_relative, d.largest_relative);
      worst.largest_absolute = std::max(worst.largest_absolute, d.largest_absolute);
    }
    return worst;
  }
  const Tensor& a = actual.tensor;
  const Tensor& b = expected.tensor;
  if (a.dtype() != b.dtype() || !(a.shape() == b.shape())) {
    return mismatch(fmt::format("got {}, expected {}", to_string(a), to_string(b)));
  }
  return is_float(a.dtype()) ? compare_floats(a, b) : compare_exact(a, b);
}

}  // namespace naru::tool
