// Discovery: the driver's version and device queries.
#include "backends/cuda/profile.h"

#include "backends/cuda/api.h"
#include "graph/fail.h"

namespace naru::cuda {
namespace {

std::int64_t attribute(Ordinal device, Attribute what) {
  int value = 0;
  return api().DeviceGetAttribute(&value, what, device) == kSuccess ? value : 0;
}

std::string version_text(int version) { return fmt::format("{}.{}", version / 1000, version % 1000 / 10); }

Profile describe(int ordinal, int driver_version) {
  Ordinal device = 0;
  check(api().DeviceGet(&device, ordinal), "listing devices");
  Profile profile;
  profile.ordinal = ordinal;
  profile.driver_version = driver_version;
  char name[256] = {};
  if (api().DeviceGetName(name, sizeof(name) - 1, device) == kSuccess) profile.name = name;
  std::size_t bytes = 0;
  if (api().DeviceTotalMem(&bytes, device) == kSuccess) profile.memory_bytes = static_cast<std::int64_t>(bytes);
  profile.architecture = {static_cast<int>(attribute(device, kCapabilityMajor)), static_cast<int>(attribute(device, kCapabilityMinor))};
  profile.multiprocessors = attribute(device, kMultiprocessors);
  profile.clock_kilohertz = attribute(device, kClockKilohertz);
  profile.memory_clock_kilohertz = attribute(device, kMemoryClockKilohertz);
  profile.memory_bus_bits = attribute(device, kMemoryBusBits);
  profile.memory_pools = attribute(device, kMemoryPools) != 0;
  return profile;
}

}  // namespace

DeviceInfo Profile::info() const {
  DeviceInfo info;
  info.id = fmt::format("cuda:{}", ordinal);
  info.name = name;
  info.description = fmt::format("{}, {} multiprocessors, driver CUDA {}, {}", to_string(architecture), multiprocessors,
                                 version_text(driver_version),
                                 nvrtc_missing().empty() ? "NVRTC " + nvrtc_version() : "stored kernels only: " + nvrtc_missing());
  info.memory_bytes = memory_bytes;
  if (memory_pools) info.features.emplace_back("memory pools");
  // Chosen by name until measurements on hardware show where it is the better choice.
  info.automatic = false;
  if (architecture < kOldest) {
    info.available = false;
    info.unavailable_reason = fmt::format("got compute capability {}.{}, expected {}.{} or later", architecture.major, architecture.minor,
                                          kOldest.major, kOldest.minor);
  }
  return info;
}

generated::Rates Profile::rates() const {
  // Generated kernels reach a part of what the lanes and the memory can do.
  constexpr double kLanes = 128;
  constexpr double kPartOfFlops = 0.1;
  constexpr double kPartOfBytes = 0.6;
  const double flops = 2 * kLanes * 1e3 * static_cast<double>(multiprocessors) * static_cast<double>(clock_kilohertz);
  const double bytes = 2 * 1e3 * static_cast<double>(memory_clock_kilohertz) * static_cast<double>(memory_bus_bits) / 8;
  return {std::max(flops * kPartOfFlops, 1e9), std::max(bytes * kPartOfBytes, 1e9), 5e-6};
}

kernel::Target kernel_target() {
  kernel::Target target;
  target.vector_lanes = 1;
  target.vector_registers = 64;
  target.max_group = 256;
  return target;
}

Discovery find_devices() {
  Discovery found;
  const auto refuse = [&](std::string reason) {
    found.reason = std::move(reason);
    return found;
  };
  if (!missing().empty()) return refuse(missing());
  int version = 0;
  if (api().DriverGetVersion(&version) != kSuccess || version < kOldestDriver) {
    return refuse(fmt::format("the NVIDIA driver is too old: got CUDA {}, expected {} or later", version_text(version),
                              version_text(kOldestDriver)));
  }
  if (const Status status = api().Init(0); status != kSuccess) {
    return refuse(fmt::format("the NVIDIA driver does not start: {}", status_name(status)));
  }
  int count = 0;
  if (const Status status = api().DeviceGetCount(&count); status != kSuccess || count == 0) {
    return refuse(fmt::format("the NVIDIA driver finds no GPU{}", status == kSuccess ? "" : ": " + status_name(status)));
  }
  for (int ordinal = 0; ordinal < count; ++ordinal) found.profiles.push_back(describe(ordinal, version));
  return found;
}

}  // namespace naru::cuda
