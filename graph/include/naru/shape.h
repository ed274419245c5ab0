// Shape: the concrete dimensions of a tensor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

namespace naru {

/// Concrete dimensions, outermost first. Rank 0 is a scalar; a dimension may be 0.
class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<std::int64_t> dims) : dims_(dims) {}
  explicit Shape(std::vector<std::int64_t> dims) : dims_(std::move(dims)) {}

  std::int64_t rank() const noexcept { return static_cast<std::int64_t>(dims_.size()); }
  std::int64_t operator[](std::int64_t axis) const { return dims_[static_cast<std::size_t>(axis)]; }
  std::int64_t& operator[](std::int64_t axis) { return dims_[static_cast<std::size_t>(axis)]; }
  const std::vector<std::int64_t>& dims() const noexcept { return dims_; }
  auto begin() const noexcept { return dims_.begin(); }
  auto end() const noexcept { return dims_.end(); }
  void push_back(std::int64_t dim) { dims_.push_back(dim); }

  /// Product of the dimensions from `first_axis` up to, not including, `last_axis`.
  /// @throws Error InvalidModel when the product leaves 63 bits or a dimension is negative.
  std::int64_t numel(std::int64_t first_axis, std::int64_t last_axis) const;
  std::int64_t numel() const { return numel(0, rank()); }

  /// Row-major strides in elements.
  std::vector<std::int64_t> strides() const;

  bool operator==(const Shape&) const = default;

 private:
  std::vector<std::int64_t> dims_;
};

/// For example "[1,3,640,640]"; a scalar is "[]".
std::string to_string(const Shape& shape);

}  // namespace naru
