// The table of ONNX element type codes.
#include "graph/onnx_dtype.h"

#include <iterator>

#include "graph/fail.h"

namespace naru {
namespace {

/// Indexed by TensorProto.DataType (onnx.proto, IR version 14).
constexpr DType kByCode[] = {
    DType::Undefined,                                     // 0 UNDEFINED
    DType::F32,        DType::U8,         DType::I8,      // 1..3
    DType::U16,        DType::I16,        DType::I32,     // 4..6
    DType::I64,        DType::String,     DType::Bool,    // 7..9
    DType::F16,        DType::F64,        DType::U32,     // 10..12
    DType::U64,        DType::Complex64,  DType::Complex128,  // 13..15
    DType::BF16,       DType::F8E4M3FN,   DType::F8E4M3FNUZ,  // 16..18
    DType::F8E5M2,     DType::F8E5M2FNUZ, DType::U4,      // 19..21
    DType::I4,         DType::F4E2M1,     DType::F8E8M0,  // 22..24
    DType::U2,         DType::I2,         DType::F6E2M3,  // 25..27
    DType::F6E3M2,                                        // 28
};

}  // namespace

std::optional<DType> find_onnx_dtype(std::int64_t code) noexcept {
  if (code < 1 || code >= static_cast<std::int64_t>(std::size(kByCode))) return std::nullopt;
  return kByCode[code];
}

DType dtype_from_onnx(std::int64_t code) {
  const std::optional<DType> dtype = find_onnx_dtype(code);
  if (!dtype) fail(ErrorCode::InvalidModel, "element type: got ONNX code {}, expected a known one", code);
  return *dtype;
}

std::int64_t onnx_code(DType dtype) {
  for (std::size_t code = 1; code < std::size(kByCode); ++code) {
    if (kByCode[code] == dtype) return static_cast<std::int64_t>(code);
  }
  fail(ErrorCode::InvalidModel, "element type {}: has no ONNX code", to_string(dtype));
}

}  // namespace naru
