// How long a command takes on the simulated NPU and what energy: functions of its work and the chip's figures.
#pragma once

#include <cstdint>

#include "backends/npu_sim/chip.h"
#include "backends/npu_sim/element.h"

namespace npu {

/// What a kernel does, counted.
struct Work {
  Type type = Type::F32;           ///< of what is multiplied
  std::int64_t macs = 0;
  std::int64_t vector_ops = 0;
  std::int64_t ddr_bytes = 0;      ///< DMA between memory and the chip
  std::int64_t host_bytes = 0;     ///< over the link to the host
};

/// What that takes: simulated time, never that of the machine the simulator runs on.
struct Cost {
  std::int64_t ns = 0;
  std::int64_t picojoules = 0;
};

/// Compute and DMA overlap: the slower one decides.
Cost cost_of(const Chip& chip, const Work& work);

/// Work of C[rows, columns] = A[rows, depth] * B[depth, columns], `count` times. Tiles of A and B stream
/// through on-chip memory twice each, so that DMA runs beside compute, while a tile of C stays there; of
/// all tile sizes that fit the one with the least traffic is taken.
struct Product {
  Type type = Type::F32;
  std::int64_t count = 1;
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t depth = 0;
  /// How many times the rows of A overlap: a convolution's windows read each pixel once for all taps.
  std::int64_t overlap = 1;
};
Work work_of(const Chip& chip, const Product& product);

}  // namespace npu
