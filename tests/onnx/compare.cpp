// Comparison of results with a case's expected outputs.
#include "tests/onnx/compare.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "graph/scalar.h"
#include "graph/type.h"

namespace naru {
namespace {

const char* kind_name(const Datum& value) {
  switch (value.kind) {
    case Datum::Kind::Sequence: return "a sequence";
    case Datum::Kind::Optional: return "an optional";
    case Datum::Kind::Tensor: break;
  }
  return "a tensor";
}

/// Complex tensors as twice as many floats; all others as they are.
std::vector<double> numbers(const Tensor& tensor) {
  const bool narrow = tensor.dtype() == DType::Complex64;
  if (!narrow && tensor.dtype() != DType::Complex128) return to_wide<double>(tensor);
  std::vector<double> values;
  for (std::int64_t i = 0; i < 2 * tensor.numel(); ++i) {
    values.push_back(load_f64(narrow ? DType::F32 : DType::F64, tensor.data(), i));
  }
  return values;
}

bool close(double got, double expected, double rtol, double atol) {
  if (std::isnan(got) || std::isnan(expected)) return std::isnan(got) && std::isnan(expected);
  if (std::isinf(got) || std::isinf(expected)) return got == expected;
  return std::abs(got - expected) <= atol + rtol * std::abs(expected);
}

std::optional<std::string> compare_strings(const Tensor& got, const Tensor& expected) {
  for (std::size_t i = 0; i < got.strings().size(); ++i) {
    if (got.strings()[i] != expected.strings()[i]) {
      return fmt::format("element {}: got '{}', expected '{}'", i, got.strings()[i],
                         expected.strings()[i]);
    }
  }
  return std::nullopt;
}

std::optional<std::string> compare_numbers(const Tensor& got, const Tensor& expected,
                                           CompareOptions options) {
  const std::vector<double> left = numbers(got);
  const std::vector<double> right = numbers(expected);
  // Two units in the last place of bf16.
  if (got.dtype() == DType::BF16) options.rtol = std::max(options.rtol, 1.0 / 64);
  if (got.dtype() == DType::Bool) options.rtol = options.atol = 0;
  std::size_t wrong = 0, first = 0;
  double largest = 0;
  for (std::size_t i = 0; i < left.size(); ++i) {
    if (close(left[i], right[i], options.rtol, options.atol)) continue;
    if (wrong++ == 0) first = i;
    largest = std::max(largest, std::abs(left[i] - right[i]));
  }
  if (wrong == 0) return std::nullopt;
  return fmt::format(
      "{} of {} elements differ by up to {:.6g}; element {}: got {:.9g}, expected {:.9g}", wrong,
      left.size(), largest, first, left[first], right[first]);
}

std::optional<std::string> compare_tensors(const Tensor& got, const Tensor& expected,
                                           const CompareOptions& options) {
  if (got.dtype() != expected.dtype() || got.shape() != expected.shape()) {
    return fmt::format("got {}, expected {}", to_string(got), to_string(expected));
  }
  if (options.types_only || !got.defined()) return std::nullopt;
  return got.dtype() == DType::String ? compare_strings(got, expected)
                                      : compare_numbers(got, expected, options);
}

}  // namespace

std::optional<std::string> difference(const Datum& got, const Datum& expected,
                                      const CompareOptions& options) {
  if (got.kind != expected.kind) {
    return fmt::format("got {}, expected {}", kind_name(got), kind_name(expected));
  }
  if (got.is_tensor()) return compare_tensors(got.tensor, expected.tensor, options);
  if (got.elements.size() != expected.elements.size()) {
    return fmt::format("got {} of {} elements, expected {}", kind_name(got), got.elements.size(),
                       expected.elements.size());
  }
  for (std::size_t i = 0; i < got.elements.size(); ++i) {
    if (auto text = difference(got.elements[i], expected.elements[i], options)) {
      return fmt::format("in element {}: {}", i, *text);
    }
  }
  return std::nullopt;
}

}  // namespace naru
