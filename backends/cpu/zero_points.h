// Zero points as integers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "graph/scalar.h"

namespace naru::cpu {

/// `count` zero points of type `dtype`; zeros where `data` is null.
inline std::vector<std::int32_t> zero_points(const std::byte* data, DType dtype, std::int64_t count) {
  std::vector<std::int32_t> zeros(static_cast<std::size_t>(count), 0);
  for (std::int64_t i = 0; data != nullptr && i < count; ++i) {
    zeros[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(load_f64(dtype, data, i));
  }
  return zeros;
}

}  // namespace naru::cpu
