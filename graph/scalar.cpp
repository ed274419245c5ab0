// Element access: bit-level float formats and the per-type load and store switch.
#include "graph/scalar.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "graph/fail.h"

namespace naru {
namespace {

/// Which codes of a small float stand for no finite number.
enum class Specials : std::uint8_t {
  Ieee,      ///< infinities and NaNs in the topmost exponent
  LastIsNan, ///< all ones but the sign is NaN; no infinities
  Fnuz,      ///< the sign bit alone is NaN: no negative zero, no infinities
  None,
};

/// A small float format: `exponent_bits`, `mantissa_bits`, bias, and what its extremes mean.
struct SmallFloat {
  int exponent_bits;
  int mantissa_bits;
  int bias;
  Specials specials;
  double largest;
  int bits() const { return 1 + exponent_bits + mantissa_bits; }
};

constexpr SmallFloat kF8E4M3FN{4, 3, 7, Specials::LastIsNan, 448.0};
constexpr SmallFloat kF8E4M3FNUZ{4, 3, 8, Specials::Fnuz, 240.0};
constexpr SmallFloat kF8E5M2{5, 2, 15, Specials::Ieee, 57344.0};
constexpr SmallFloat kF8E5M2FNUZ{5, 2, 16, Specials::Fnuz, 57344.0};
constexpr SmallFloat kF6E2M3{2, 3, 1, Specials::None, 7.5};
constexpr SmallFloat kF6E3M2{3, 2, 3, Specials::None, 28.0};
constexpr SmallFloat kF4E2M1{2, 1, 1, Specials::None, 6.0};

double decode(const SmallFloat& format, std::uint8_t bits) {
  const int exponent_mask = (1 << format.exponent_bits) - 1;
  const int mantissa_mask = (1 << format.mantissa_bits) - 1;
  const int sign = 1 << (format.bits() - 1);
  const bool negative = (bits & sign) != 0;
  const int exponent = (bits >> format.mantissa_bits) & exponent_mask;
  const int mantissa = bits & mantissa_mask;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  switch (format.specials) {
    case Specials::Fnuz:
      if (bits == sign) return nan;
      break;
    case Specials::Ieee:
      if (exponent != exponent_mask) break;
      if (mantissa != 0) return nan;
      return (negative ? -1 : 1) * std::numeric_limits<double>::infinity();
    case Specials::LastIsNan:
      if (exponent == exponent_mask && mantissa == mantissa_mask) return nan;
      break;
    case Specials::None: break;
  }
  const double magnitude =
      exponent == 0 ? std::ldexp(mantissa, 1 - format.bias - format.mantissa_bits)
                    : std::ldexp(mantissa + (1 << format.mantissa_bits),
                                 exponent - format.bias - format.mantissa_bits);
  return negative ? -magnitude : magnitude;
}

/// Codes at the end of a format's range.
struct Extremes {
  int largest;  ///< the largest finite magnitude
  int beyond;   ///< what stands for a value past it, with its sign, when not saturating
  int nan;
};

Extremes extremes_of(const SmallFloat& format, int sign) {
  const int all_ones = (1 << (format.bits() - 1)) - 1;
  const int infinity = ((1 << format.exponent_bits) - 1) << format.mantissa_bits;
  switch (format.specials) {
    case Specials::Ieee: return {infinity - 1, sign | infinity, sign | all_ones};
    case Specials::LastIsNan: return {all_ones - 1, sign | all_ones, sign | all_ones};
    case Specials::Fnuz: return {all_ones, all_ones + 1, all_ones + 1};
    default: return {all_ones, sign | all_ones, all_ones};  // NaN: ONNX's "Float stored in 4 bits"
  }
}

std::uint8_t encode(const SmallFloat& format, double value, bool saturate) {
  const int sign = std::signbit(value) ? 1 << (format.bits() - 1) : 0;
  const Extremes extremes = extremes_of(format, sign);
  if (std::isnan(value)) return static_cast<std::uint8_t>(extremes.nan);
  const auto overflow = static_cast<std::uint8_t>(saturate ? sign | extremes.largest : extremes.beyond);
  if (std::isinf(value)) return overflow;
  const double magnitude = std::fabs(value);
  const auto zero = static_cast<std::uint8_t>(format.specials == Specials::Fnuz ? 0 : sign);
  if (magnitude == 0) return zero;
  const int exponent = std::max(std::ilogb(magnitude), 1 - format.bias);
  // nearbyint rounds to nearest even in the default rounding mode.
  const double scaled = std::nearbyint(std::ldexp(magnitude, format.mantissa_bits - exponent));
  const double rounded = std::ldexp(scaled, exponent - format.mantissa_bits);
  if (rounded > format.largest) return overflow;
  if (rounded == 0) return zero;
  const int final_exponent = std::max(std::ilogb(rounded), 1 - format.bias);
  const auto units =
      static_cast<int>(std::ldexp(rounded, format.mantissa_bits - final_exponent));
  const int bias_exponent = units >= (1 << format.mantissa_bits) ? final_exponent + format.bias : 0;
  const int mantissa = units & ((1 << format.mantissa_bits) - 1);
  return static_cast<std::uint8_t>(sign | (bias_exponent << format.mantissa_bits) | mantissa);
}

double decode_e8m0(std::uint8_t bits) {
  return bits == 0xff ? std::numeric_limits<double>::quiet_NaN() : std::ldexp(1.0, bits - 127);
}

std::uint8_t encode_e8m0(double value, bool saturate) {
  if (std::isnan(value) || value < 0) return 0xff;
  if (value == 0) return 0;
  if (std::isinf(value)) return saturate ? 0xfe : 0xff;
  int exponent = std::ilogb(value);
  if (value > std::ldexp(1.5, exponent) || (value == std::ldexp(1.5, exponent))) ++exponent;
  if (exponent > 127) return saturate ? 0xfe : 0xff;
  return static_cast<std::uint8_t>(std::max(exponent, -127) + 127);
}

template <typename T>
T read(const std::byte* data, std::int64_t index) {
  T value;
  std::memcpy(&value, data + index * static_cast<std::int64_t>(sizeof(T)), sizeof(T));
  return value;
}

template <typename T>
void write(std::byte* data, std::int64_t index, T value) {
  std::memcpy(data + index * static_cast<std::int64_t>(sizeof(T)), &value, sizeof(T));
}

/// Reads the field `index` of `bits` <= 8 bits, lowest bits first, as ONNX packs narrow types.
std::uint8_t read_field(const std::byte* data, std::int64_t index, int bits) {
  const std::int64_t at = index * bits;
  const auto shift = static_cast<int>(at % 8);
  int word = std::to_integer<int>(data[at / 8]);
  if (shift + bits > 8) word |= std::to_integer<int>(data[at / 8 + 1]) << 8;
  return static_cast<std::uint8_t>((word >> shift) & ((1 << bits) - 1));
}

void write_field(std::byte* data, std::int64_t index, int bits, std::uint8_t value) {
  const std::int64_t at = index * bits;
  const auto shift = static_cast<int>(at % 8);
  const int mask = ((1 << bits) - 1) << shift;
  const int word = (value << shift) & mask;
  data[at / 8] = (data[at / 8] & static_cast<std::byte>(~mask)) | static_cast<std::byte>(word);
  if (shift + bits <= 8) return;
  data[at / 8 + 1] =
      (data[at / 8 + 1] & static_cast<std::byte>(~mask >> 8)) | static_cast<std::byte>(word >> 8);
}

std::int8_t sign_extend(std::uint8_t value, int bits) {
  const int sign = 1 << (bits - 1);
  return static_cast<std::int8_t>((value ^ sign) - sign);
}

[[noreturn]] void no_number(DType dtype) {
  fail(ErrorCode::InvalidArgument, "element type {}: read as a number, expected a numeric type",
       to_string(dtype));
}

/// Float to integer without undefined behaviour: NaN is 0, out of range wraps like a truncation
/// to 64 bits.
template <typename T>
T truncate_to(double value) {
  if (std::isnan(value)) return 0;
  constexpr double kTwo63 = 9223372036854775808.0;
  if constexpr (std::is_unsigned_v<T>) {
    if (value >= 2 * kTwo63) return std::numeric_limits<T>::max();
    if (value < 0) {
      return value <= -kTwo63 ? static_cast<T>(std::numeric_limits<std::int64_t>::min())
                              : static_cast<T>(static_cast<std::int64_t>(value));
    }
    return static_cast<T>(value);
  } else {
    if (value >= kTwo63) return std::numeric_limits<T>::max();
    if (value <= -kTwo63) return std::numeric_limits<T>::min();
    return static_cast<T>(value);
  }
}

/// To f32 with rounding to odd: a second rounding to fewer bits then gives what one alone would.
float to_f32_odd(double value) {
  const auto nearest = static_cast<float>(value);
  if (static_cast<double>(nearest) == value || std::isnan(value)) return nearest;
  auto bits = std::bit_cast<std::uint32_t>(nearest);
  if (std::fabs(static_cast<double>(nearest)) > std::fabs(value)) --bits;
  return std::bit_cast<float>(bits | 1u);
}

template <typename Result>
Result load(DType dtype, const std::byte* data, std::int64_t index) {
  const auto from_float = [](double value) -> Result {
    if constexpr (std::is_same_v<Result, double>) {
      return value;
    } else {
      return truncate_to<Result>(value);
    }
  };
  const auto byte = [&] { return read<std::uint8_t>(data, index); };
  switch (dtype) {
    case DType::F64: return from_float(read<double>(data, index));
    case DType::F32: return from_float(read<float>(data, index));
    case DType::F16: return from_float(f16_to_f32(read<std::uint16_t>(data, index)));
    case DType::BF16: return from_float(bf16_to_f32(read<std::uint16_t>(data, index)));
    case DType::F8E4M3FN: return from_float(decode(kF8E4M3FN, byte()));
    case DType::F8E4M3FNUZ: return from_float(decode(kF8E4M3FNUZ, byte()));
    case DType::F8E5M2: return from_float(decode(kF8E5M2, byte()));
    case DType::F8E5M2FNUZ: return from_float(decode(kF8E5M2FNUZ, byte()));
    case DType::F8E8M0: return from_float(decode_e8m0(byte()));
    case DType::F4E2M1: return from_float(decode(kF4E2M1, read_field(data, index, 4)));
    case DType::F6E2M3: return from_float(decode(kF6E2M3, read_field(data, index, 6)));
    case DType::F6E3M2: return from_float(decode(kF6E3M2, read_field(data, index, 6)));
    case DType::I64: return static_cast<Result>(read<std::int64_t>(data, index));
    case DType::I32: return static_cast<Result>(read<std::int32_t>(data, index));
    case DType::I16: return static_cast<Result>(read<std::int16_t>(data, index));
    case DType::I8: return static_cast<Result>(read<std::int8_t>(data, index));
    case DType::I4: return static_cast<Result>(sign_extend(read_field(data, index, 4), 4));
    case DType::I2: return static_cast<Result>(sign_extend(read_field(data, index, 2), 2));
    case DType::U64: return static_cast<Result>(read<std::uint64_t>(data, index));
    case DType::U32: return static_cast<Result>(read<std::uint32_t>(data, index));
    case DType::U16: return static_cast<Result>(read<std::uint16_t>(data, index));
    case DType::U8: return static_cast<Result>(byte());
    case DType::U4: return static_cast<Result>(read_field(data, index, 4));
    case DType::U2: return static_cast<Result>(read_field(data, index, 2));
    case DType::Bool: return static_cast<Result>(byte() != 0);
    default: no_number(dtype);
  }
}

}  // namespace

std::uint8_t load_bits(DType dtype, const std::byte* data, std::int64_t index) {
  return read_field(data, index, element_bits(dtype));
}

void store_bits(DType dtype, std::byte* data, std::int64_t index, std::uint8_t bits) {
  write_field(data, index, element_bits(dtype), bits);
}

float f16_to_f32(std::uint16_t bits) noexcept {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000u) << 16;
  const std::uint32_t exponent = (bits >> 10) & 0x1fu;
  std::uint32_t mantissa = bits & 0x3ffu;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13));
  if (exponent != 0) return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
  const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
  return sign != 0 ? -magnitude : magnitude;
}

std::uint16_t f32_to_f16(float value) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = (bits >> 16) & 0x8000u;
  const std::uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return static_cast<std::uint16_t>(sign | 0x7e00u);
  if (magnitude >= 0x477ff000u) return static_cast<std::uint16_t>(sign | 0x7c00u);
  if (magnitude < 0x38800000u) {
    // Subnormal: adding 0.5 aligns the mantissa so that the hardware rounds to nearest even.
    const float aligned = std::bit_cast<float>(magnitude) + 0.5f;
    return static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(aligned) - 0x3f000000u));
  }
  const std::uint32_t odd = (magnitude >> 13) & 1u;
  return static_cast<std::uint16_t>(sign | ((magnitude - 0x38000000u + 0xfffu + odd) >> 13));
}

float bf16_to_f32(std::uint16_t bits) noexcept {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

std::uint16_t f32_to_bf16(float value) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<std::uint16_t>((bits >> 16) | 0x40u);
  const std::uint32_t odd = (bits >> 16) & 1u;
  return static_cast<std::uint16_t>((bits + 0x7fffu + odd) >> 16);
}

double load_f64(DType dtype, const std::byte* data, std::int64_t index) {
  return load<double>(dtype, data, index);
}
std::int64_t load_i64(DType dtype, const std::byte* data, std::int64_t index) {
  return load<std::int64_t>(dtype, data, index);
}
std::uint64_t load_u64(DType dtype, const std::byte* data, std::int64_t index) {
  return load<std::uint64_t>(dtype, data, index);
}

void store_f64(DType dtype, std::byte* data, std::int64_t index, double value, bool saturate) {
  switch (dtype) {
    case DType::F64: return write(data, index, value);
    case DType::F32: return write(data, index, static_cast<float>(value));
    case DType::F16: return write(data, index, f32_to_f16(to_f32_odd(value)));
    case DType::BF16: return write(data, index, f32_to_bf16(to_f32_odd(value)));
    case DType::F8E4M3FN: return write(data, index, encode(kF8E4M3FN, value, saturate));
    case DType::F8E4M3FNUZ: return write(data, index, encode(kF8E4M3FNUZ, value, saturate));
    case DType::F8E5M2: return write(data, index, encode(kF8E5M2, value, saturate));
    case DType::F8E5M2FNUZ: return write(data, index, encode(kF8E5M2FNUZ, value, saturate));
    case DType::F8E8M0: return write(data, index, encode_e8m0(value, saturate));
    case DType::F4E2M1: return write_field(data, index, 4, encode(kF4E2M1, value, saturate));
    case DType::F6E2M3: return write_field(data, index, 6, encode(kF6E2M3, value, saturate));
    case DType::F6E3M2: return write_field(data, index, 6, encode(kF6E3M2, value, saturate));
    case DType::Bool: return write(data, index, static_cast<std::uint8_t>(value != 0));
    case DType::U64: return write(data, index, truncate_to<std::uint64_t>(value));
    default: return store_i64(dtype, data, index, truncate_to<std::int64_t>(value));
  }
}

void store_i64(DType dtype, std::byte* data, std::int64_t index, std::int64_t value) {
  switch (dtype) {
    case DType::I64:
    case DType::U64: return write(data, index, value);
    case DType::I32:
    case DType::U32: return write(data, index, static_cast<std::int32_t>(value));
    case DType::I16:
    case DType::U16: return write(data, index, static_cast<std::int16_t>(value));
    case DType::I8:
    case DType::U8: return write(data, index, static_cast<std::int8_t>(value));
    case DType::I4:
    case DType::U4: return write_field(data, index, 4, static_cast<std::uint8_t>(value & 15));
    case DType::I2:
    case DType::U2: return write_field(data, index, 2, static_cast<std::uint8_t>(value & 3));
    case DType::Bool: return write(data, index, static_cast<std::uint8_t>(value != 0));
    default:
      if (!is_float(dtype)) no_number(dtype);
      return store_f64(dtype, data, index, static_cast<double>(value));
  }
}

void store_u64(DType dtype, std::byte* data, std::int64_t index, std::uint64_t value) {
  if (is_float(dtype)) return store_f64(dtype, data, index, static_cast<double>(value));
  store_i64(dtype, data, index, static_cast<std::int64_t>(value));
}

Wide wide_of(DType dtype) {
  switch (kind_of(dtype)) {
    case DTypeKind::Float: return Wide::F64;
    case DTypeKind::SignedInt: return Wide::I64;
    case DTypeKind::UnsignedInt:
    case DTypeKind::Bool: return Wide::U64;
    default: no_number(dtype);
  }
}

namespace {

/// Whole tensors mostly hold these: calls `body(Native{})` for them. The switch of load() and store()
/// per element would take most of the time of a cheap operator.
template <typename Body>
void with_native(DType dtype, Body&& body) {
  switch (dtype) {
    case DType::F64: return body(double{});
    case DType::F32: return body(float{});
    case DType::I64: return body(std::int64_t{});
    case DType::I32: return body(std::int32_t{});
    case DType::U8: return body(std::uint8_t{});
    case DType::I8: return body(std::int8_t{});
    default: return;
  }
}

/// static_cast does what load() and store() do, unless a float becomes an integer.
template <typename To, typename From>
inline constexpr bool kPlainCast = std::is_floating_point_v<To> || std::is_integral_v<From>;

}  // namespace

template <typename T>
std::vector<T> to_wide(const Tensor& tensor) {
  wide_of(tensor.dtype());
  std::vector<T> values(static_cast<std::size_t>(tensor.numel()));
  bool done = false;
  with_native(tensor.dtype(), [&](auto native) {
    using Native = decltype(native);
    if constexpr (kPlainCast<T, Native>) {
      const auto* from = reinterpret_cast<const Native*>(tensor.data());
      std::transform(from, from + values.size(), values.begin(), [](Native x) { return static_cast<T>(x); });
      done = true;
    }
  });
  if (done) return values;
  for (std::int64_t i = 0; i < tensor.numel(); ++i) {
    values[static_cast<std::size_t>(i)] = load<T>(tensor.dtype(), tensor.data(), i);
  }
  return values;
}

template std::vector<double> to_wide<double>(const Tensor&);
template std::vector<std::int64_t> to_wide<std::int64_t>(const Tensor&);
template std::vector<std::uint64_t> to_wide<std::uint64_t>(const Tensor&);

template <typename T>
void from_wide(std::span<const T> values, Tensor& tensor) {
  NARU_CHECK(static_cast<std::int64_t>(values.size()) == tensor.numel(), "wide value count");
  std::byte* data = tensor.mutable_data();
  bool done = false;
  with_native(tensor.dtype(), [&](auto native) {
    using Native = decltype(native);
    if constexpr (kPlainCast<Native, T>) {
      std::transform(values.begin(), values.end(), reinterpret_cast<Native*>(data),
                     [](T x) { return static_cast<Native>(x); });
      done = true;
    }
  });
  if (done) return;
  for (std::int64_t i = 0; i < tensor.numel(); ++i) {
    const T value = values[static_cast<std::size_t>(i)];
    if constexpr (std::is_same_v<T, double>) {
      store_f64(tensor.dtype(), data, i, value);
    } else if constexpr (std::is_same_v<T, std::int64_t>) {
      store_i64(tensor.dtype(), data, i, value);
    } else {
      store_u64(tensor.dtype(), data, i, value);
    }
  }
}

template void from_wide<double>(std::span<const double>, Tensor&);
template void from_wide<std::int64_t>(std::span<const std::int64_t>, Tensor&);
template void from_wide<std::uint64_t>(std::span<const std::uint64_t>, Tensor&);

std::vector<std::int64_t> to_i64_vector(const Tensor& tensor) {
  if (!is_integer(tensor.dtype())) {
    fail(ErrorCode::InvalidModel, "index tensor {}: expected an integer type", to_string(tensor));
  }
  return to_wide<std::int64_t>(tensor);
}

}  // namespace naru
