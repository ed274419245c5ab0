// What the tests of the simulated NPU share: its settings, and the device as Naru sees it.
#pragma once

#include <cstdlib>
#include <memory>
#include <string>

#include "backends/registry.h"

namespace naru::npu_testing {

/// Settings of the devices that are opened while this lives.
class NpuSettings {
 public:
  explicit NpuSettings(const std::string& json) { setenv("NARU_NPU_CONFIG", json.c_str(), 1); }
  ~NpuSettings() { unsetenv("NARU_NPU_CONFIG"); }
  NpuSettings(const NpuSettings&) = delete;
  NpuSettings& operator=(const NpuSettings&) = delete;
};

/// Another device profile than the one beside the driver.
class ProfileFile {
 public:
  explicit ProfileFile(const std::string& path) { setenv("NARU_DEVICE_PROFILES", path.c_str(), 1); }
  ~ProfileFile() { unsetenv("NARU_DEVICE_PROFILES"); }
  ProfileFile(const ProfileFile&) = delete;
  ProfileFile& operator=(const ProfileFile&) = delete;
};

/// OCL_ICD_VENDORS names the simulated NPU alone.
inline std::unique_ptr<Device> open_npu() { return open_device("opencl:0"); }

}  // namespace naru::npu_testing
