// ONNX's element type codes (TensorProto.DataType), as attributes such as Cast's `to` carry them.
#pragma once

#include <cstdint>
#include <optional>

#include "naru/dtype.h"

namespace naru {

/// The type of an ONNX code; nullopt for a code that ONNX or naru does not have.
std::optional<DType> find_onnx_dtype(std::int64_t code) noexcept;

/// As find_onnx_dtype(). @throws Error InvalidModel for an unknown code.
DType dtype_from_onnx(std::int64_t code);

/// The ONNX code of a type. @throws Error InvalidModel for a type without one (block formats).
std::int64_t onnx_code(DType dtype);

}  // namespace naru
