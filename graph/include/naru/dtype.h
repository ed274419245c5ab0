// Element types: plain scalars, sub-byte and 8-bit floats, and block-quantised storage formats.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace naru {

/// The type of a tensor's elements. Values are stable: they are stored in `.naru` files.
enum class DType : std::uint8_t {
  Undefined = 0,
  F64 = 1, F32 = 2, F16 = 3, BF16 = 4,
  F8E4M3FN = 5, F8E4M3FNUZ = 6, F8E5M2 = 7, F8E5M2FNUZ = 8, F8E8M0 = 9, F4E2M1 = 10,
  F6E2M3 = 11, F6E3M2 = 12,
  I64 = 16, I32 = 17, I16 = 18, I8 = 19, I4 = 20, I2 = 21,
  U64 = 32, U32 = 33, U16 = 34, U8 = 35, U4 = 36, U2 = 37,
  Bool = 48, String = 49, Complex64 = 50, Complex128 = 51,
  // Block formats: constants only, laid out as in GGUF; 64 and above.
  Q4_0 = 64, Q4_1 = 65, Q5_0 = 66, Q5_1 = 67, Q8_0 = 68, Q8_1 = 69,
  Q2_K = 70, Q3_K = 71, Q4_K = 72, Q5_K = 73, Q6_K = 74, Q8_K = 75,
  IQ1_S = 76, IQ1_M = 77, IQ2_XXS = 78, IQ2_XS = 79, IQ2_S = 80, IQ3_XXS = 81, IQ3_S = 82,
  IQ4_NL = 83, IQ4_XS = 84, TQ1_0 = 85, TQ2_0 = 86, MXFP4 = 87, NVFP4 = 88,
};

/// How the values of a type are read.
enum class DTypeKind : std::uint8_t { None, Float, SignedInt, UnsignedInt, Bool, String, Complex, Block };

/// What storage needs to know of a type: `block_elements` elements take `block_bytes` bytes.
/// Plain types have one element a block; i4 packs two elements into one byte, f6e2m3 four into 3,
/// q4_0 32 into 18.
struct DTypeInfo {
  DType dtype;
  std::string_view name;  ///< short name, for example "f32"
  DTypeKind kind;
  std::int32_t block_elements;
  std::int32_t block_bytes;
};

/// Returns the record of `dtype`; an undefined or unknown value gives the record of Undefined.
const DTypeInfo& dtype_info(DType dtype) noexcept;

/// Returns the short name, for example "bf16".
std::string_view to_string(DType dtype) noexcept;

/// Finds a type by its short name.
std::optional<DType> dtype_from_string(std::string_view name) noexcept;

/// All defined types, in the order of their values.
struct DTypeRange {
  const DTypeInfo* first;
  const DTypeInfo* last;
  const DTypeInfo* begin() const noexcept { return first; }
  const DTypeInfo* end() const noexcept { return last; }
};
DTypeRange all_dtypes() noexcept;

inline DTypeKind kind_of(DType dtype) noexcept { return dtype_info(dtype).kind; }
inline bool is_float(DType dtype) noexcept { return kind_of(dtype) == DTypeKind::Float; }
inline bool is_integer(DType dtype) noexcept {
  return kind_of(dtype) == DTypeKind::SignedInt || kind_of(dtype) == DTypeKind::UnsignedInt;
}
inline bool is_block(DType dtype) noexcept { return kind_of(dtype) == DTypeKind::Block; }
/// Bits that one element takes, for types other than block formats and strings.
inline int element_bits(DType dtype) noexcept {
  const DTypeInfo& info = dtype_info(dtype);
  return 8 * info.block_bytes / info.block_elements;
}

/// Bytes that `count` >= 0 elements take: whole blocks of block formats, whole bytes of other types.
/// @throws Error InvalidModel on overflow, a negative count, or a type without storage.
std::int64_t storage_bytes(DType dtype, std::int64_t count);

/// The C++ type that stores one element, for types with a native one.
template <typename T>
inline constexpr DType dtype_of = DType::Undefined;
template <> inline constexpr DType dtype_of<double> = DType::F64;
template <> inline constexpr DType dtype_of<float> = DType::F32;
template <> inline constexpr DType dtype_of<std::int64_t> = DType::I64;
template <> inline constexpr DType dtype_of<std::int32_t> = DType::I32;
template <> inline constexpr DType dtype_of<std::int16_t> = DType::I16;
template <> inline constexpr DType dtype_of<std::int8_t> = DType::I8;
template <> inline constexpr DType dtype_of<std::uint64_t> = DType::U64;
template <> inline constexpr DType dtype_of<std::uint32_t> = DType::U32;
template <> inline constexpr DType dtype_of<std::uint16_t> = DType::U16;
template <> inline constexpr DType dtype_of<std::uint8_t> = DType::U8;
template <> inline constexpr DType dtype_of<bool> = DType::Bool;

}  // namespace naru
