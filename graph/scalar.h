// Element access for any type: conversions between stored bits and double, i64 or u64.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "naru/tensor.h"

namespace naru {

/// Conversions of 16- and 8-bit floats; rounding is to nearest even. `saturate` clamps finite
/// values and infinities to the largest finite value, as ONNX Cast asks of the 8-bit types.
float f16_to_f32(std::uint16_t bits) noexcept;
std::uint16_t f32_to_f16(float value) noexcept;
float bf16_to_f32(std::uint16_t bits) noexcept;
std::uint16_t f32_to_bf16(float value) noexcept;

/// Reads element `index` of a float, integer or bool tensor's bytes as the wide type.
/// i64 and u64 readers truncate floats toward zero.
double load_f64(DType dtype, const std::byte* data, std::int64_t index);
std::int64_t load_i64(DType dtype, const std::byte* data, std::int64_t index);
std::uint64_t load_u64(DType dtype, const std::byte* data, std::int64_t index);

/// Writes element `index`; narrow floats are rounded to nearest even, integers keep their low bits
/// (two's complement), bool is value != 0. A float stored into an integer is truncated.
void store_f64(DType dtype, std::byte* data, std::int64_t index, double value,
               bool saturate = true);
void store_i64(DType dtype, std::byte* data, std::int64_t index, std::int64_t value);
void store_u64(DType dtype, std::byte* data, std::int64_t index, std::uint64_t value);

/// The bits of element `index` of a type of at most 8 bits, as they are stored.
std::uint8_t load_bits(DType dtype, const std::byte* data, std::int64_t index);
void store_bits(DType dtype, std::byte* data, std::int64_t index, std::uint8_t bits);

/// The wide C++ type in which the reference computes elements of `dtype`: double, i64 or u64.
enum class Wide : std::uint8_t { F64, I64, U64 };
Wide wide_of(DType dtype);

/// All elements as wide values. @throws Error InvalidArgument for string and complex tensors.
template <typename T>
std::vector<T> to_wide(const Tensor& tensor);
extern template std::vector<double> to_wide<double>(const Tensor&);
extern template std::vector<std::int64_t> to_wide<std::int64_t>(const Tensor&);
extern template std::vector<std::uint64_t> to_wide<std::uint64_t>(const Tensor&);

/// Stores wide values into all elements of `tensor`, whose numel() must equal values.size().
template <typename T>
void from_wide(std::span<const T> values, Tensor& tensor);
extern template void from_wide<double>(std::span<const double>, Tensor&);
extern template void from_wide<std::int64_t>(std::span<const std::int64_t>, Tensor&);
extern template void from_wide<std::uint64_t>(std::span<const std::uint64_t>, Tensor&);

/// Calls `body(T{})` with the wide type of `dtype`.
template <typename Body>
decltype(auto) with_wide(DType dtype, Body&& body) {
  switch (wide_of(dtype)) {
    case Wide::I64: return body(std::int64_t{});
    case Wide::U64: return body(std::uint64_t{});
    default: return body(double{});
  }
}

/// The elements of an integer tensor (shape inputs, axes and the like).
std::vector<std::int64_t> to_i64_vector(const Tensor& tensor);

}  // namespace naru
