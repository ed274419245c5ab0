// Platform and device queries, the dispatch table's place, and the entry points that the ICD loader looks up.
#include <algorithm>
#include <cstring>

#include "backends/npu_sim/icd/entry_points.h"

namespace npu::icd {
namespace {

constexpr const char* kVersion = "OpenCL 1.2 naru-npu 1";
constexpr const char* kExtensions = "cl_khr_icd cl_naru_simulated_time";
constexpr std::size_t kMaxParameter = 1024;

const Chip kChip;

std::size_t max_allocation() { return static_cast<std::size_t>(kChip.memory_bytes / 4); }

cl_int device_number(cl_device_info what, const Answer& answer) {
  switch (what) {
    case CL_DEVICE_TYPE: return answer.number<cl_device_type>(CL_DEVICE_TYPE_CUSTOM);
    case CL_DEVICE_VENDOR_ID: return answer.number<cl_uint>(_cl_mem::kMark);
    case CL_DEVICE_MAX_COMPUTE_UNITS: return answer.number<cl_uint>(1);
    case CL_DEVICE_MAX_WORK_ITEM_DIMENSIONS: return answer.number<cl_uint>(3);
    case CL_DEVICE_MAX_WORK_GROUP_SIZE: return answer.number<std::size_t>(1);
    case CL_DEVICE_MAX_WORK_ITEM_SIZES: return answer.list(std::vector<std::size_t>(3, 1));
    case CL_DEVICE_MAX_CLOCK_FREQUENCY: return answer.number<cl_uint>(static_cast<cl_uint>(kChip.clock_hz / 1e6));
    case CL_DEVICE_ADDRESS_BITS: return answer.number<cl_uint>(64);
    case CL_DEVICE_MAX_MEM_ALLOC_SIZE: return answer.number<cl_ulong>(max_allocation());
    case CL_DEVICE_MAX_PARAMETER_SIZE: return answer.number<std::size_t>(kMaxParameter);
    case CL_DEVICE_MEM_BASE_ADDR_ALIGN: return answer.number(static_cast<cl_uint>(8 * kChip.buffer_alignment));
    case CL_DEVICE_MIN_DATA_TYPE_ALIGN_SIZE: return answer.number(static_cast<cl_uint>(kChip.buffer_alignment));
    case CL_DEVICE_GLOBAL_MEM_CACHE_TYPE: return answer.number<cl_device_mem_cache_type>(CL_NONE);
    case CL_DEVICE_GLOBAL_MEM_SIZE: return answer.number(static_cast<cl_ulong>(kChip.memory_bytes));
    case CL_DEVICE_LOCAL_MEM_TYPE: return answer.number<cl_device_local_mem_type>(CL_NONE);
    case CL_DEVICE_PROFILING_TIMER_RESOLUTION: return answer.number<std::size_t>(1);
    case CL_DEVICE_PLATFORM: return answer.number(platform());
    case CL_DEVICE_PARENT_DEVICE: return answer.number<cl_device_id>(nullptr);
    case CL_DEVICE_REFERENCE_COUNT: return answer.number<cl_uint>(1);
    case CL_DEVICE_EXECUTION_CAPABILITIES: return answer.number<cl_device_exec_capabilities>(0);
    case CL_DEVICE_QUEUE_PROPERTIES: return answer.number<cl_command_queue_properties>(CL_QUEUE_PROFILING_ENABLE);
    case CL_DEVICE_ENDIAN_LITTLE:
    case CL_DEVICE_AVAILABLE:
    case CL_DEVICE_PREFERRED_INTEROP_USER_SYNC: return answer.number<cl_bool>(CL_TRUE);
    // Nothing of what a compiler needs, and no images.
    case CL_DEVICE_COMPILER_AVAILABLE:
    case CL_DEVICE_LINKER_AVAILABLE:
    case CL_DEVICE_ERROR_CORRECTION_SUPPORT:
    case CL_DEVICE_HOST_UNIFIED_MEMORY:
    case CL_DEVICE_IMAGE_SUPPORT: return answer.number<cl_bool>(CL_FALSE);
    case CL_DEVICE_SINGLE_FP_CONFIG:
    case CL_DEVICE_DOUBLE_FP_CONFIG:
    case CL_DEVICE_HALF_FP_CONFIG: return answer.number<cl_device_fp_config>(0);
    case CL_DEVICE_LOCAL_MEM_SIZE:
    case CL_DEVICE_GLOBAL_MEM_CACHE_SIZE:
    case CL_DEVICE_MAX_CONSTANT_BUFFER_SIZE: return answer.number<cl_ulong>(0);
    case CL_DEVICE_IMAGE2D_MAX_WIDTH:
    case CL_DEVICE_IMAGE2D_MAX_HEIGHT:
    case CL_DEVICE_IMAGE3D_MAX_WIDTH:
    case CL_DEVICE_IMAGE3D_MAX_HEIGHT:
    case CL_DEVICE_IMAGE3D_MAX_DEPTH:
    case CL_DEVICE_IMAGE_MAX_BUFFER_SIZE:
    case CL_DEVICE_IMAGE_MAX_ARRAY_SIZE:
    case CL_DEVICE_PRINTF_BUFFER_SIZE: return answer.number<std::size_t>(0);
    case CL_DEVICE_MAX_READ_IMAGE_ARGS:
    case CL_DEVICE_MAX_WRITE_IMAGE_ARGS:
    case CL_DEVICE_MAX_SAMPLERS:
    case CL_DEVICE_MAX_CONSTANT_ARGS:
    case CL_DEVICE_GLOBAL_MEM_CACHELINE_SIZE:
    case CL_DEVICE_PARTITION_MAX_SUB_DEVICES:
    case CL_DEVICE_PREFERRED_VECTOR_WIDTH_CHAR:
    case CL_DEVICE_PREFERRED_VECTOR_WIDTH_SHORT:
    case CL_DEVICE_PREFERRED_VECTOR_WIDTH_INT:
    case CL_DEVICE_PREFERRED_VECTOR_WIDTH_LONG:
    case CL_DEVICE_PREFERRED_VECTOR_WIDTH_FLOAT:
    case CL_DEVICE_PREFERRED_VECTOR_WIDTH_DOUBLE:
    case CL_DEVICE_PREFERRED_VECTOR_WIDTH_HALF:
    case CL_DEVICE_NATIVE_VECTOR_WIDTH_CHAR:
    case CL_DEVICE_NATIVE_VECTOR_WIDTH_SHORT:
    case CL_DEVICE_NATIVE_VECTOR_WIDTH_INT:
    case CL_DEVICE_NATIVE_VECTOR_WIDTH_LONG:
    case CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT:
    case CL_DEVICE_NATIVE_VECTOR_WIDTH_DOUBLE:
    case CL_DEVICE_NATIVE_VECTOR_WIDTH_HALF: return answer.number<cl_uint>(0);
    case CL_DEVICE_PARTITION_PROPERTIES:
    case CL_DEVICE_PARTITION_TYPE: return answer.number<cl_device_partition_property>(0);
    case CL_DEVICE_PARTITION_AFFINITY_DOMAIN: return answer.number<cl_device_affinity_domain>(0);
    default: return CL_INVALID_VALUE;
  }
}

}  // namespace

cl_platform_id platform() {
  static _cl_platform_id the;
  return &the;
}

cl_device_id device() {
  static _cl_device_id the;
  return &the;
}

std::string kernel_names() {
  std::string names;
  for (const Kernel& kernel : kernels()) names += (names.empty() ? "" : ";") + kernel.name;
  return names;
}

cl_int status_of(Status status) {
  switch (status) {
    case Status::Ok: return CL_SUCCESS;
    case Status::BadArguments: return CL_INVALID_KERNEL_ARGS;
    case Status::Lost: return CL_DEVICE_NOT_AVAILABLE;
    case Status::OutOfMemory:
    case Status::TimedOut: return CL_OUT_OF_RESOURCES;
  }
  return CL_OUT_OF_RESOURCES;
}

cl_int Answer::bytes(const void* data, std::size_t size) const {
  if (value_ != nullptr) {
    if (size_ < size) return CL_INVALID_VALUE;
    if (size > 0) std::memcpy(value_, data, size);
  }
  if (needed_ != nullptr) *needed_ = size;
  return CL_SUCCESS;
}

cl_int CL_API_CALL GetPlatformIDs(cl_uint count, cl_platform_id* platforms, cl_uint* found) {
  if ((count == 0 && platforms != nullptr) || (platforms == nullptr && found == nullptr)) return CL_INVALID_VALUE;
  if (platforms != nullptr) platforms[0] = platform();
  if (found != nullptr) *found = 1;
  return CL_SUCCESS;
}

cl_int CL_API_CALL GetPlatformInfo(cl_platform_id id, cl_platform_info what, std::size_t size, void* value, std::size_t* needed) {
  if (id != platform()) return CL_INVALID_PLATFORM;
  const Answer answer(size, value, needed);
  switch (what) {
    case CL_PLATFORM_PROFILE: return answer.text("FULL_PROFILE");
    case CL_PLATFORM_VERSION: return answer.text(kVersion);
    case CL_PLATFORM_NAME: return answer.text("Naru NPU simulator");
    case CL_PLATFORM_VENDOR: return answer.text("Naru");
    case CL_PLATFORM_EXTENSIONS: return answer.text(kExtensions);
    case CL_PLATFORM_ICD_SUFFIX_KHR: return answer.text("NARU");
    default: return CL_INVALID_VALUE;
  }
}

cl_int CL_API_CALL GetDeviceIDs(cl_platform_id id, cl_device_type type, cl_uint count, cl_device_id* devices, cl_uint* found) {
  if (id != platform()) return CL_INVALID_PLATFORM;
  if ((count == 0 && devices != nullptr) || (devices == nullptr && found == nullptr)) return CL_INVALID_VALUE;
  constexpr cl_device_type kKnown = CL_DEVICE_TYPE_DEFAULT | CL_DEVICE_TYPE_CPU | CL_DEVICE_TYPE_GPU | CL_DEVICE_TYPE_ACCELERATOR | CL_DEVICE_TYPE_CUSTOM;
  if (type != CL_DEVICE_TYPE_ALL && (type == 0 || (type & ~kKnown) != 0)) return CL_INVALID_DEVICE_TYPE;
  // ALL leaves custom devices out in versions before 3.0.17; DEFAULT never is one.
  if (type == CL_DEVICE_TYPE_ALL || (type & CL_DEVICE_TYPE_CUSTOM) == 0) {
    if (found != nullptr) *found = 0;
    return CL_DEVICE_NOT_FOUND;
  }
  if (devices != nullptr) devices[0] = device();
  if (found != nullptr) *found = 1;
  return CL_SUCCESS;
}

cl_int CL_API_CALL GetDeviceInfo(cl_device_id id, cl_device_info what, std::size_t size, void* value, std::size_t* needed) {
  if (id != device()) return CL_INVALID_DEVICE;
  const Answer answer(size, value, needed);
  switch (what) {
    case CL_DEVICE_NAME: return answer.text(kChip.name);
    case CL_DEVICE_VENDOR: return answer.text("Naru");
    case CL_DRIVER_VERSION: return answer.text("1.0");
    case CL_DEVICE_PROFILE: return answer.text("FULL_PROFILE");
    case CL_DEVICE_VERSION: return answer.text(kVersion);
    case CL_DEVICE_OPENCL_C_VERSION: return answer.text("OpenCL C 1.2 none");
    case CL_DEVICE_EXTENSIONS: return answer.text(kExtensions);
    case CL_DEVICE_BUILT_IN_KERNELS: return answer.text(kernel_names());
    default: return device_number(what, answer);
  }
}

cl_int CL_API_CALL RetainDevice(cl_device_id id) { return id == device() ? CL_SUCCESS : CL_INVALID_DEVICE; }
cl_int CL_API_CALL ReleaseDevice(cl_device_id id) { return id == device() ? CL_SUCCESS : CL_INVALID_DEVICE; }

cl_int CL_API_CALL CreateSubDevices(cl_device_id id, const cl_device_partition_property*, cl_uint, cl_device_id*, cl_uint*) {
  return id == device() ? CL_INVALID_VALUE : CL_INVALID_DEVICE;  // no way to partition it
}

cl_int CL_API_CALL UnloadCompiler() { return CL_SUCCESS; }
cl_int CL_API_CALL UnloadPlatformCompiler(cl_platform_id id) { return id == platform() ? CL_SUCCESS : CL_INVALID_PLATFORM; }

void* CL_API_CALL GetExtensionFunctionAddressForPlatform(cl_platform_id id, const char* name) {
  return id == platform() ? clGetExtensionFunctionAddress(name) : nullptr;
}

}  // namespace npu::icd

extern "C" {

[[gnu::visibility("default")]] void* CL_API_CALL clGetExtensionFunctionAddress(const char* name) {
  if (name != nullptr && std::strcmp(name, "clIcdGetPlatformIDsKHR") == 0) return reinterpret_cast<void*>(&clIcdGetPlatformIDsKHR);
  return nullptr;
}

[[gnu::visibility("default")]] cl_int CL_API_CALL clIcdGetPlatformIDsKHR(cl_uint count, cl_platform_id* platforms, cl_uint* found) {
  return npu::icd::GetPlatformIDs(count, platforms, found);
}

[[gnu::visibility("default")]] cl_int CL_API_CALL clGetPlatformInfo(cl_platform_id id, cl_platform_info what, size_t size, void* value,
                                                                    size_t* needed) {
  return npu::icd::GetPlatformInfo(id, what, size, value, needed);
}

}  // extern "C"
