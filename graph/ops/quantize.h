// Linear quantisation of wide values, shared by all operators that produce quantised elements.
#pragma once

#include "graph/op_def.h"
#include "graph/ops/type_set.h"

namespace naru {

/// Element types that hold quantised values.
inline constexpr TypeSet kQuantized =
    kFloat8s | TypeSet{DType::I8, DType::U8, DType::I16, DType::U16, DType::I4,
                       DType::U4, DType::I2, DType::U2,  DType::F4E2M1, DType::F6E2M3, DType::F6E3M2};

/// What quantisation stores for `scaled` = x / scale: rounded to the nearest even integer, shifted
/// by the zero point and clamped to the range of `dtype`; float types are only shifted.
double quantized(DType dtype, double scaled, double zero_point);

/// `value` rounded to the precision of a float type.
double rounded_to(DType dtype, double value);

}  // namespace naru
