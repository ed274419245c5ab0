// Discovery: device queries.
#include "backends/opencl/profile.h"

#include <algorithm>
#include <cstdlib>

#include "graph/fail.h"

namespace naru::opencl {
namespace {

std::string text(cl_device_id device, cl_device_info what) {
  std::size_t size = 0;
  if (api().GetDeviceInfo(device, what, 0, nullptr, &size) != CL_SUCCESS || size == 0) return "";
  std::string value(size, '\0');
  if (api().GetDeviceInfo(device, what, size, value.data(), nullptr) != CL_SUCCESS) return "";
  value.resize(value.find('\0') == std::string::npos ? size : value.find('\0'));
  return value;
}

template <typename T>
T number(cl_device_id device, cl_device_info what, T otherwise = {}) {
  T value = otherwise;
  return api().GetDeviceInfo(device, what, sizeof(value), &value, nullptr) == CL_SUCCESS ? value : otherwise;
}

Profile describe(cl_platform_id platform, cl_device_id device) {
  Profile profile;
  profile.platform = platform;
  profile.device = device;
  profile.name = text(device, CL_DEVICE_NAME);
  profile.version = text(device, CL_DEVICE_VERSION);
  profile.driver = text(device, CL_DRIVER_VERSION);
  profile.extensions = text(device, CL_DEVICE_EXTENSIONS);
  profile.built_in_kernels = text(device, CL_DEVICE_BUILT_IN_KERNELS);
  std::size_t size = 0;
  if (api().GetPlatformInfo(platform, CL_PLATFORM_NAME, 0, nullptr, &size) == CL_SUCCESS && size > 0) {
    profile.platform_name.resize(size);
    api().GetPlatformInfo(platform, CL_PLATFORM_NAME, size, profile.platform_name.data(), nullptr);
    profile.platform_name.resize(size - 1);
  }
  profile.type = number<cl_device_type>(device, CL_DEVICE_TYPE);
  profile.compiler = number<cl_bool>(device, CL_DEVICE_COMPILER_AVAILABLE) != 0;
  profile.available = number<cl_bool>(device, CL_DEVICE_AVAILABLE) != 0;
  profile.fp64 = profile.has("cl_khr_fp64");
  profile.fp16 = profile.has("cl_khr_fp16");
  const char* memory = std::getenv("NARU_OPENCL_MEMORY");
  profile.host_memory = (profile.type & CL_DEVICE_TYPE_CPU) != 0 &&
                        number<cl_bool>(device, CL_DEVICE_HOST_UNIFIED_MEMORY) != 0 &&
                        (memory == nullptr || std::string_view(memory) != "device");
  profile.memory_bytes = static_cast<std::int64_t>(number<cl_ulong>(device, CL_DEVICE_GLOBAL_MEM_SIZE));
  profile.max_allocation_bytes = static_cast<std::int64_t>(number<cl_ulong>(device, CL_DEVICE_MAX_MEM_ALLOC_SIZE));
  profile.max_group = static_cast<std::int64_t>(number<std::size_t>(device, CL_DEVICE_MAX_WORK_GROUP_SIZE, 1));
  profile.compute_units = number<cl_uint>(device, CL_DEVICE_MAX_COMPUTE_UNITS, 1);
  profile.float_lanes = number<cl_uint>(device, CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT, 1);
  return profile;
}

std::vector<cl_device_id> ids_of(cl_platform_id platform, cl_device_type type) {
  cl_uint count = 0;
  if (api().GetDeviceIDs(platform, type, 0, nullptr, &count) != CL_SUCCESS || count == 0) return {};
  std::vector<cl_device_id> ids(count);
  if (api().GetDeviceIDs(platform, type, count, ids.data(), nullptr) != CL_SUCCESS) return {};
  return ids;
}

std::string why_unavailable(const Profile& profile) {
  if (!profile.available) return "the driver says that the device is not available";
  if (!profile.compiler) return "the device has no compiler for OpenCL C; its built-in kernels: " +
                                (profile.built_in_kernels.empty() ? "none" : profile.built_in_kernels);
  return "";
}

const char* type_name(cl_device_type type) {
  if ((type & CL_DEVICE_TYPE_CPU) != 0) return "CPU";
  if ((type & CL_DEVICE_TYPE_GPU) != 0) return "GPU";
  if ((type & CL_DEVICE_TYPE_ACCELERATOR) != 0) return "accelerator";
  if ((type & CL_DEVICE_TYPE_CUSTOM) != 0) return "custom device";
  return "device";
}

}  // namespace

bool Profile::has(std::string_view extension) const {
  for (std::size_t at = extensions.find(extension); at != std::string::npos; at = extensions.find(extension, at + 1)) {
    const std::size_t end = at + extension.size();
    if ((at == 0 || extensions[at - 1] == ' ') && (end == extensions.size() || extensions[end] == ' ')) return true;
  }
  return false;
}

kernel::Target Profile::target() const {
  kernel::Target target;
  target.f64 = fp64;
  // A GPU's items are its lanes; short vectors keep its registers.
  const std::int64_t lanes = (type & CL_DEVICE_TYPE_GPU) != 0 ? 4 : float_lanes;
  target.vector_lanes = lanes >= 16 ? 16 : lanes >= 8 ? 8 : 4;
  target.vector_registers = target.vector_lanes >= 16 ? 32 : 16;
  target.max_group = static_cast<std::int32_t>(std::min<std::int64_t>(max_group, 256));
  target.max_buffer_bytes = max_allocation_bytes;
  return target;
}

DeviceInfo Profile::info(int index) const {
  DeviceInfo info;
  info.id = fmt::format("opencl:{}", index);
  info.name = name;
  info.description = fmt::format("{}, {}, driver {}, {}, {} compute units", type_name(type), platform_name, driver, version,
                                 compute_units);
  info.memory_bytes = memory_bytes;
  info.host_memory = host_memory;
  if (fp64) info.features.emplace_back("fp64");
  if (fp16) info.features.emplace_back("fp16");
  for (const char* extension : {"cl_khr_integer_dot_product", "cl_khr_subgroups", "cl_khr_command_buffer", "cl_khr_il_program",
                                "cl_naru_simulated_time"}) {
    if (has(extension)) info.features.emplace_back(extension);
  }
  // On a CPU device the cpu backend is the better choice.
  info.automatic = (type & CL_DEVICE_TYPE_CPU) == 0;
  info.unavailable_reason = why_unavailable(*this);
  info.available = info.unavailable_reason.empty();
  return info;
}

std::string Profile::identity() const { return platform_name + "\n" + name + "\n" + version + "\n" + driver; }

std::vector<Profile> find_devices() {
  std::vector<Profile> profiles;
  cl_uint count = 0;
  if (api().GetPlatformIDs(0, nullptr, &count) != CL_SUCCESS || count == 0) return profiles;
  std::vector<cl_platform_id> platforms(count);
  check(api().GetPlatformIDs(count, platforms.data(), nullptr), "listing platforms");
  for (const cl_platform_id platform : platforms) {
    // Whether ALL holds CUSTOM devices depends on the version of the standard.
    for (const cl_device_type type : {cl_device_type{CL_DEVICE_TYPE_ALL}, cl_device_type{CL_DEVICE_TYPE_ACCELERATOR},
                                      cl_device_type{CL_DEVICE_TYPE_CUSTOM}}) {
      for (const cl_device_id id : ids_of(platform, type)) {
        const bool known = std::any_of(profiles.begin(), profiles.end(), [&](const Profile& p) { return p.device == id; });
        if (!known) profiles.push_back(describe(platform, id));
      }
    }
  }
  return profiles;
}

}  // namespace naru::opencl
