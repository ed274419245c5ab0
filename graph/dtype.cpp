// The table of element types.
#include "naru/dtype.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "graph/checked.h"

namespace naru {
namespace {

using K = DTypeKind;

constexpr DTypeInfo kUndefined{DType::Undefined, "undefined", K::None, 1, 0};

constexpr DTypeInfo kTypes[] = {
    {DType::F64, "f64", K::Float, 1, 8},
    {DType::F32, "f32", K::Float, 1, 4},
    {DType::F16, "f16", K::Float, 1, 2},
    {DType::BF16, "bf16", K::Float, 1, 2},
    {DType::F8E4M3FN, "f8e4m3fn", K::Float, 1, 1},
    {DType::F8E4M3FNUZ, "f8e4m3fnuz", K::Float, 1, 1},
    {DType::F8E5M2, "f8e5m2", K::Float, 1, 1},
    {DType::F8E5M2FNUZ, "f8e5m2fnuz", K::Float, 1, 1},
    {DType::F8E8M0, "f8e8m0", K::Float, 1, 1},
    {DType::F4E2M1, "f4e2m1", K::Float, 2, 1},
    {DType::F6E2M3, "f6e2m3", K::Float, 4, 3},
    {DType::F6E3M2, "f6e3m2", K::Float, 4, 3},
    {DType::I64, "i64", K::SignedInt, 1, 8},
    {DType::I32, "i32", K::SignedInt, 1, 4},
    {DType::I16, "i16", K::SignedInt, 1, 2},
    {DType::I8, "i8", K::SignedInt, 1, 1},
    {DType::I4, "i4", K::SignedInt, 2, 1},
    {DType::I2, "i2", K::SignedInt, 4, 1},
    {DType::U64, "u64", K::UnsignedInt, 1, 8},
    {DType::U32, "u32", K::UnsignedInt, 1, 4},
    {DType::U16, "u16", K::UnsignedInt, 1, 2},
    {DType::U8, "u8", K::UnsignedInt, 1, 1},
    {DType::U4, "u4", K::UnsignedInt, 2, 1},
    {DType::U2, "u2", K::UnsignedInt, 4, 1},
    {DType::Bool, "bool", K::Bool, 1, 1},
    {DType::String, "string", K::String, 1, sizeof(void*)},
    {DType::Complex64, "complex64", K::Complex, 1, 8},
    {DType::Complex128, "complex128", K::Complex, 1, 16},
    {DType::Q4_0, "q4_0", K::Block, 32, 18},
    {DType::Q4_1, "q4_1", K::Block, 32, 20},
    {DType::Q5_0, "q5_0", K::Block, 32, 22},
    {DType::Q5_1, "q5_1", K::Block, 32, 24},
    {DType::Q8_0, "q8_0", K::Block, 32, 34},
    {DType::Q8_1, "q8_1", K::Block, 32, 36},
    {DType::Q2_K, "q2_k", K::Block, 256, 84},
    {DType::Q3_K, "q3_k", K::Block, 256, 110},
    {DType::Q4_K, "q4_k", K::Block, 256, 144},
    {DType::Q5_K, "q5_k", K::Block, 256, 176},
    {DType::Q6_K, "q6_k", K::Block, 256, 210},
    {DType::Q8_K, "q8_k", K::Block, 256, 292},
    {DType::IQ1_S, "iq1_s", K::Block, 256, 50},
    {DType::IQ1_M, "iq1_m", K::Block, 256, 56},
    {DType::IQ2_XXS, "iq2_xxs", K::Block, 256, 66},
    {DType::IQ2_XS, "iq2_xs", K::Block, 256, 74},
    {DType::IQ2_S, "iq2_s", K::Block, 256, 82},
    {DType::IQ3_XXS, "iq3_xxs", K::Block, 256, 98},
    {DType::IQ3_S, "iq3_s", K::Block, 256, 110},
    {DType::IQ4_NL, "iq4_nl", K::Block, 32, 18},
    {DType::IQ4_XS, "iq4_xs", K::Block, 256, 136},
    {DType::TQ1_0, "tq1_0", K::Block, 256, 54},
    {DType::TQ2_0, "tq2_0", K::Block, 256, 66},
    {DType::MXFP4, "mxfp4", K::Block, 32, 17},
    {DType::NVFP4, "nvfp4", K::Block, 64, 36},
};

constexpr std::array<std::int8_t, 256> make_index() {
  std::array<std::int8_t, 256> index{};
  for (auto& entry : index) entry = -1;
  for (std::size_t i = 0; i < std::size(kTypes); ++i) {
    index[static_cast<std::uint8_t>(kTypes[i].dtype)] = static_cast<std::int8_t>(i);
  }
  return index;
}

constexpr std::array<std::int8_t, 256> kIndex = make_index();

}  // namespace

const DTypeInfo& dtype_info(DType dtype) noexcept {
  const int index = kIndex[static_cast<std::uint8_t>(dtype)];
  return index < 0 ? kUndefined : kTypes[index];
}

std::string_view to_string(DType dtype) noexcept { return dtype_info(dtype).name; }

std::optional<DType> dtype_from_string(std::string_view name) noexcept {
  const auto* found = std::find_if(std::begin(kTypes), std::end(kTypes),
                                   [&](const DTypeInfo& info) { return info.name == name; });
  if (found == std::end(kTypes)) return std::nullopt;
  return found->dtype;
}

DTypeRange all_dtypes() noexcept { return {std::begin(kTypes), std::end(kTypes)}; }

std::int64_t storage_bytes(DType dtype, std::int64_t count) {
  const DTypeInfo& info = dtype_info(dtype);
  if (info.kind == DTypeKind::None) {
    fail(ErrorCode::InvalidModel, "element type {}: got an undefined type, expected a stored one",
         static_cast<int>(dtype));
  }
  if (count < 0) fail(ErrorCode::InvalidModel, "element count: got {}, expected >= 0", count);
  if (info.kind != DTypeKind::Block) {
    return checked_add(checked_mul(count, info.block_bytes), info.block_elements - 1) / info.block_elements;
  }
  const std::int64_t blocks = checked_add(count, info.block_elements - 1) / info.block_elements;
  return checked_mul(blocks, info.block_bytes);
}

}  // namespace naru
