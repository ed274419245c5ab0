// Tensor and Datum: the values that go into and come out of a model.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "naru/dtype.h"
#include "naru/shape.h"

namespace naru {

/// A dense row-major tensor in host memory. Copying a Tensor shares its storage; clone() copies it.
///
/// Threads: distinct Tensors may be used from distinct threads; storage shared by several Tensors
/// must not be written while another thread reads it.
class Tensor {
 public:
  /// An absent tensor: dtype Undefined, no storage.
  Tensor() = default;

  /// Allocates uninitialised storage, aligned to 64 bytes; strings start empty.
  /// @throws Error InvalidModel on size overflow, OutOfMemory when the host refuses.
  Tensor(DType dtype, Shape shape);

  /// Wraps memory of the caller, which `owner` keeps alive; `data` must hold storage_bytes().
  static Tensor wrap(DType dtype, Shape shape, void* data, std::shared_ptr<const void> owner);

  /// Copies `values`, row-major, into a new tensor. @throws Error InvalidArgument on a wrong count.
  template <typename T>
  static Tensor from(Shape shape, std::span<const T> values);
  template <typename T>
  static Tensor from(Shape shape, std::initializer_list<T> values) {
    return from<T>(std::move(shape), std::span<const T>(values.begin(), values.size()));
  }
  static Tensor from_strings(Shape shape, std::vector<std::string> values);
  template <typename T>
  static Tensor scalar(T value) {
    return from<T>(Shape{}, std::span<const T>(&value, 1));
  }

  bool defined() const noexcept { return dtype_ != DType::Undefined; }
  DType dtype() const noexcept { return dtype_; }
  const Shape& shape() const noexcept { return shape_; }
  std::int64_t rank() const noexcept { return shape_.rank(); }
  std::int64_t numel() const noexcept { return numel_; }
  std::int64_t size_bytes() const noexcept { return size_bytes_; }

  const std::byte* data() const noexcept { return data_; }
  std::byte* mutable_data() noexcept { return data_; }

  /// The elements as T. @throws Error InvalidArgument when T does not match dtype().
  template <typename T>
  std::span<const T> as() const {
    expect(dtype_of<T>);
    return {reinterpret_cast<const T*>(data_), static_cast<std::size_t>(numel_)};
  }
  template <typename T>
  std::span<T> as_mutable() {
    expect(dtype_of<T>);
    return {reinterpret_cast<T*>(data_), static_cast<std::size_t>(numel_)};
  }
  std::span<const std::string> strings() const;
  std::span<std::string> mutable_strings();

  /// The same storage seen with another shape of equal element count.
  Tensor reshaped(Shape shape) const;
  /// A deep copy.
  Tensor clone() const;
  /// What keeps the storage alive; equal owners and data() mean shared storage.
  const std::shared_ptr<const void>& owner() const noexcept { return owner_; }

 private:
  void expect(DType dtype) const;

  DType dtype_ = DType::Undefined;
  Shape shape_;
  std::int64_t numel_ = 0;
  std::int64_t size_bytes_ = 0;
  std::byte* data_ = nullptr;
  std::shared_ptr<const void> owner_;
};

/// For example "f32[1,3,48,320]".
std::string to_string(const Tensor& tensor);

extern template Tensor Tensor::from<double>(Shape, std::span<const double>);
extern template Tensor Tensor::from<float>(Shape, std::span<const float>);
extern template Tensor Tensor::from<std::int64_t>(Shape, std::span<const std::int64_t>);
extern template Tensor Tensor::from<std::int32_t>(Shape, std::span<const std::int32_t>);
extern template Tensor Tensor::from<std::int16_t>(Shape, std::span<const std::int16_t>);
extern template Tensor Tensor::from<std::int8_t>(Shape, std::span<const std::int8_t>);
extern template Tensor Tensor::from<std::uint64_t>(Shape, std::span<const std::uint64_t>);
extern template Tensor Tensor::from<std::uint32_t>(Shape, std::span<const std::uint32_t>);
extern template Tensor Tensor::from<std::uint16_t>(Shape, std::span<const std::uint16_t>);
extern template Tensor Tensor::from<std::uint8_t>(Shape, std::span<const std::uint8_t>);
extern template Tensor Tensor::from<bool>(Shape, std::span<const bool>);

/// Any value of a graph at run time: a tensor, or a sequence or optional of such values.
struct Datum {
  enum class Kind : std::uint8_t { Tensor, Sequence, Optional };

  Datum() = default;
  Datum(Tensor value) : tensor(std::move(value)) {}  // NOLINT: implicit by intent
  static Datum sequence(std::vector<Datum> values);
  /// An optional that is empty, or holds one element.
  static Datum optional(std::vector<Datum> zero_or_one);

  Kind kind = Kind::Tensor;
  Tensor tensor;                ///< for Kind::Tensor
  std::vector<Datum> elements;  ///< for Sequence (any count) and Optional (0 or 1)

  bool is_tensor() const noexcept { return kind == Kind::Tensor; }
};

}  // namespace naru
