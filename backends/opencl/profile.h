// Discovery: the platforms and devices of this machine, and what each says of itself.
#pragma once

#include <string>
#include <vector>

#include "backends/backend.h"
#include "backends/opencl/api.h"
#include "compiler/kernel/target.h"

namespace naru::opencl {

/// A device as its queries describe it.
struct Profile {
  cl_platform_id platform = nullptr;
  cl_device_id device = nullptr;
  std::string name;
  std::string version;         ///< of OpenCL
  std::string driver;
  std::string platform_name;
  std::string extensions;
  cl_device_type type = 0;
  bool compiler = false;       ///< builds OpenCL C
  bool available = false;
  bool fp64 = false;
  bool fp16 = false;
  bool host_memory = false;    ///< a CPU device: host pointers are used in place
  std::int64_t memory_bytes = 0;
  std::int64_t max_allocation_bytes = 0;
  std::int64_t max_group = 1;
  std::int64_t compute_units = 1;
  std::int64_t float_lanes = 1;
  std::string built_in_kernels;

  bool has(std::string_view extension) const;
  kernel::Target target() const;
  DeviceInfo info(int index) const;
  /// What tells compiled programs of one device and driver from those of another.
  std::string identity() const;
};

/// All devices of all platforms, CUSTOM ones included, each once.
std::vector<Profile> find_devices();

}  // namespace naru::opencl
