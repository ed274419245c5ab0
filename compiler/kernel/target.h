// Target: what lowering must know of a device to choose kernels.
#pragma once

#include <cstdint>

namespace naru::kernel {

struct Target {
  bool f64 = true;                  ///< doubles are computed
  std::int32_t vector_lanes = 8;    ///< f32 lanes of a vector register; 1 where items are lanes, and for CUDA C
  std::int32_t vector_registers = 16;
  std::int32_t max_group = 256;     ///< items of a group
  std::int64_t max_buffer_bytes = INT64_C(1) << 30;
};

}  // namespace naru::kernel
