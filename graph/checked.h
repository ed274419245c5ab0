// Checked 64-bit arithmetic: every byte count, offset and element count goes through it.
#pragma once

#include <cstdint>

#include "graph/fail.h"

namespace naru {

inline std::int64_t checked_add(std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  if (__builtin_add_overflow(a, b, &result)) {
    fail(ErrorCode::InvalidModel, "size overflow: {} + {} exceeds 63 bits", a, b);
  }
  return result;
}

inline std::int64_t checked_sub(std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  if (__builtin_sub_overflow(a, b, &result)) {
    fail(ErrorCode::InvalidModel, "size overflow: {} - {} exceeds 63 bits", a, b);
  }
  return result;
}

inline std::int64_t checked_mul(std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  if (__builtin_mul_overflow(a, b, &result)) {
    fail(ErrorCode::InvalidModel, "size overflow: {} * {} exceeds 63 bits", a, b);
  }
  return result;
}

/// A byte or element count >= 0 whose arithmetic throws Error InvalidModel instead of wrapping.
class CheckedSize {
 public:
  constexpr CheckedSize() = default;
  CheckedSize(std::int64_t value) : value_(value) {  // NOLINT: implicit by intent
    if (value < 0) fail(ErrorCode::InvalidModel, "size: got {}, expected a value >= 0", value);
  }

  std::int64_t value() const { return value_; }
  std::size_t bytes() const { return static_cast<std::size_t>(value_); }

  CheckedSize operator+(CheckedSize other) const { return checked_add(value_, other.value_); }
  CheckedSize operator-(CheckedSize other) const { return checked_sub(value_, other.value_); }
  CheckedSize operator*(CheckedSize other) const { return checked_mul(value_, other.value_); }
  CheckedSize& operator+=(CheckedSize other) { return *this = *this + other; }
  CheckedSize& operator*=(CheckedSize other) { return *this = *this * other; }
  auto operator<=>(const CheckedSize&) const = default;

  /// Rounds up to a multiple of `alignment`, which must be > 0.
  CheckedSize align_up(std::int64_t alignment) const {
    return checked_add(value_, alignment - 1) / alignment * alignment;
  }

 private:
  std::int64_t value_ = 0;
};

}  // namespace naru
