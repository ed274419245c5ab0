// Discovery: the GPUs of this machine, and what the driver says of each.
#pragma once

#include <string>
#include <vector>

#include "backends/backend.h"
#include "backends/cuda/nvrtc.h"
#include "backends/generated/kernel_device.h"
#include "compiler/kernel/target.h"

namespace naru::cuda {

/// The oldest driver whose functions the backend knows: CUDA 12.0.
inline constexpr int kOldestDriver = 12000;

/// A GPU as its queries describe it.
struct Profile {
  int ordinal = 0;
  std::string name;
  Architecture architecture;
  int driver_version = 0;  ///< 12040 is CUDA 12.4
  std::int64_t memory_bytes = 0;
  std::int64_t multiprocessors = 1;
  std::int64_t clock_kilohertz = 0;
  std::int64_t memory_clock_kilohertz = 0;
  std::int64_t memory_bus_bits = 0;
  bool memory_pools = false;

  DeviceInfo info() const;
  generated::Rates rates() const;
};

/// What kernels are generated for, on every GPU: items are lanes.
kernel::Target kernel_target();

/// The GPUs, or why there are none.
struct Discovery {
  std::vector<Profile> profiles;
  std::string reason;
};
Discovery find_devices();

}  // namespace naru::cuda
