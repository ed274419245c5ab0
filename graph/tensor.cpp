// Tensor: storage, views and typed access.
#include "naru/tensor.h"

#include <cstring>
#include <new>

#include "graph/checked.h"

namespace naru {
namespace {

constexpr std::align_val_t kAlignment{64};

std::shared_ptr<const void> allocate(std::int64_t bytes) {
  void* memory = ::operator new(static_cast<std::size_t>(bytes == 0 ? 1 : bytes), kAlignment,
                                std::nothrow);
  if (memory == nullptr) {
    fail(ErrorCode::OutOfMemory, "tensor storage: the host refused {} bytes", bytes);
  }
  return {memory, [](const void* p) { ::operator delete(const_cast<void*>(p), kAlignment); }};
}

}  // namespace

Tensor::Tensor(DType dtype, Shape shape)
    : dtype_(dtype),
      shape_(std::move(shape)),
      numel_(shape_.numel()),
      size_bytes_(storage_bytes(dtype, numel_)) {
  if (dtype == DType::String) {
    auto strings = std::make_shared<std::vector<std::string>>(static_cast<std::size_t>(numel_));
    data_ = reinterpret_cast<std::byte*>(strings->data());
    owner_ = std::move(strings);
    return;
  }
  owner_ = allocate(size_bytes_);
  data_ = static_cast<std::byte*>(const_cast<void*>(owner_.get()));
  // Elements that share a byte are written by read and modify: the unused bits must not vary.
  const bool packed = dtype_info(dtype).block_elements > 1 && !is_block(dtype);
  if (packed && size_bytes_ > 0) std::memset(data_, 0, static_cast<std::size_t>(size_bytes_));
}

Tensor Tensor::wrap(DType dtype, Shape shape, void* data, std::shared_ptr<const void> owner) {
  NARU_CHECK(dtype != DType::String, "strings cannot be wrapped");
  Tensor tensor;
  tensor.dtype_ = dtype;
  tensor.shape_ = std::move(shape);
  tensor.numel_ = tensor.shape_.numel();
  tensor.size_bytes_ = storage_bytes(dtype, tensor.numel_);
  tensor.data_ = static_cast<std::byte*>(data);
  tensor.owner_ = std::move(owner);
  return tensor;
}

template <typename T>
Tensor Tensor::from(Shape shape, std::span<const T> values) {
  Tensor tensor(dtype_of<T>, std::move(shape));
  if (tensor.numel_ != static_cast<std::int64_t>(values.size())) {
    fail(ErrorCode::InvalidArgument, "tensor {}: got {} values, expected {}", to_string(tensor),
         values.size(), tensor.numel_);
  }
  if (!values.empty()) std::memcpy(tensor.data_, values.data(), values.size_bytes());
  return tensor;
}

template Tensor Tensor::from<double>(Shape, std::span<const double>);
template Tensor Tensor::from<float>(Shape, std::span<const float>);
template Tensor Tensor::from<std::int64_t>(Shape, std::span<const std::int64_t>);
template Tensor Tensor::from<std::int32_t>(Shape, std::span<const std::int32_t>);
template Tensor Tensor::from<std::int16_t>(Shape, std::span<const std::int16_t>);
template Tensor Tensor::from<std::int8_t>(Shape, std::span<const std::int8_t>);
template Tensor Tensor::from<std::uint64_t>(Shape, std::span<const std::uint64_t>);
template Tensor Tensor::from<std::uint32_t>(Shape, std::span<const std::uint32_t>);
template Tensor Tensor::from<std::uint16_t>(Shape, std::span<const std::uint16_t>);
template Tensor Tensor::from<std::uint8_t>(Shape, std::span<const std::uint8_t>);
template Tensor Tensor::from<bool>(Shape, std::span<const bool>);

Tensor Tensor::from_strings(Shape shape, std::vector<std::string> values) {
  Tensor tensor(DType::String, std::move(shape));
  if (tensor.numel_ != static_cast<std::int64_t>(values.size())) {
    fail(ErrorCode::InvalidArgument, "tensor {}: got {} strings, expected {}", to_string(tensor),
         values.size(), tensor.numel_);
  }
  std::move(values.begin(), values.end(), tensor.mutable_strings().begin());
  return tensor;
}

void Tensor::expect(DType dtype) const {
  if (dtype_ != dtype) {
    fail(ErrorCode::InvalidArgument, "tensor {}: read as {}, expected its own element type",
         to_string(*this), to_string(dtype));
  }
}

std::span<const std::string> Tensor::strings() const {
  expect(DType::String);
  return {reinterpret_cast<const std::string*>(data_), static_cast<std::size_t>(numel_)};
}

std::span<std::string> Tensor::mutable_strings() {
  expect(DType::String);
  return {reinterpret_cast<std::string*>(data_), static_cast<std::size_t>(numel_)};
}

Tensor Tensor::reshaped(Shape shape) const {
  if (shape.numel() != numel_) {
    fail(ErrorCode::InvalidArgument, "reshape: got {} elements for {}, expected {}", numel_,
         to_string(shape), shape.numel());
  }
  Tensor result = *this;
  result.shape_ = std::move(shape);
  return result;
}

Tensor Tensor::clone() const {
  if (!defined()) return {};
  Tensor result(dtype_, shape_);
  if (dtype_ == DType::String) {
    std::copy(strings().begin(), strings().end(), result.mutable_strings().begin());
  } else if (size_bytes_ > 0) {
    std::memcpy(result.data_, data_, static_cast<std::size_t>(size_bytes_));
  }
  return result;
}

std::string to_string(const Tensor& tensor) {
  return std::string(to_string(tensor.dtype())) + to_string(tensor.shape());
}

Datum Datum::sequence(std::vector<Datum> values) {
  Datum datum;
  datum.kind = Kind::Sequence;
  datum.elements = std::move(values);
  return datum;
}

Datum Datum::optional(std::vector<Datum> zero_or_one) {
  NARU_CHECK(zero_or_one.size() <= 1, "an optional holds at most one value");
  Datum datum;
  datum.kind = Kind::Optional;
  datum.elements = std::move(zero_or_one);
  return datum;
}

}  // namespace naru
