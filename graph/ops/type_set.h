// TypeSet: the element types that a formal input of an operator accepts.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>

#include "graph/op_def.h"

namespace naru {

/// A set of element types other than block formats, whose values are below 64.
struct TypeSet {
  std::uint64_t bits = 0;

  constexpr TypeSet() = default;
  constexpr TypeSet(std::initializer_list<DType> types) {
    for (DType type : types) bits |= bit(type);
  }
  constexpr bool contains(DType type) const { return (bits & bit(type)) != 0; }
  constexpr TypeSet operator|(TypeSet other) const {
    other.bits |= bits;
    return other;
  }

 private:
  static constexpr std::uint64_t bit(DType type) {
    return static_cast<unsigned>(type) < 64 ? UINT64_C(1) << static_cast<unsigned>(type) : 0;
  }
};

inline constexpr TypeSet kFloats{DType::F64, DType::F32, DType::F16, DType::BF16};
inline constexpr TypeSet kFloat8s{DType::F8E4M3FN, DType::F8E4M3FNUZ, DType::F8E5M2, DType::F8E5M2FNUZ};
inline constexpr TypeSet kSignedInts{DType::I64, DType::I32, DType::I16, DType::I8};
inline constexpr TypeSet kUnsignedInts{DType::U64, DType::U32, DType::U16, DType::U8};
inline constexpr TypeSet kInts = kSignedInts | kUnsignedInts;
inline constexpr TypeSet kNumbers = kFloats | kInts;
/// What ONNX's reductions and cumulations take: no integers below 32 bits.
inline constexpr TypeSet kWideNumbers = kFloats | TypeSet{DType::I64, DType::I32, DType::U64, DType::U32};
inline constexpr TypeSet kBool{DType::Bool};

/// For example "f32|f16".
std::string to_string(TypeSet types);

/// Throws InvalidModel unless input `i` is a tensor of one of `types`; a type not known yet passes.
void require_type(const InferContext& ctx, std::size_t i, TypeSet types);

/// As require_type() for inputs [first, last) that are present, which must have one common type.
/// Returns that type, Undefined while none is known.
DType require_common_type(const InferContext& ctx, std::size_t first, std::size_t last, TypeSet types);

}  // namespace naru
