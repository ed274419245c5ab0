// Opening of the ICD loader and names of status codes.
#include "backends/opencl/api.h"

#include <dlfcn.h>

#include <algorithm>
#include <iterator>

#include "graph/fail.h"

namespace naru::opencl {
namespace {

struct Loader {
  Api api;
  std::string missing;

  Loader() {
    void* library = dlopen("libOpenCL.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
      missing = fmt::format("no OpenCL loader (Debian: ocl-icd-libopencl1): {}", dlerror());
      return;
    }
    const auto find = [&](const char* name) {
      void* symbol = dlsym(library, name);
      if (symbol == nullptr && missing.empty()) missing = fmt::format("the OpenCL loader lacks {}, expected version 1.2", name);
      return symbol;
    };
#define CL(name) api.name = reinterpret_cast<decltype(&::cl##name)>(find("cl" #name));
#include "backends/opencl/api.def"
#undef CL
  }
};

const Loader& loader() {
  static const Loader instance;
  return instance;
}

struct StatusRow {
  cl_int status;
  const char* name;
};

constexpr StatusRow kStatuses[] = {
    {CL_DEVICE_NOT_FOUND, "CL_DEVICE_NOT_FOUND"},
    {CL_DEVICE_NOT_AVAILABLE, "CL_DEVICE_NOT_AVAILABLE"},
    {CL_COMPILER_NOT_AVAILABLE, "CL_COMPILER_NOT_AVAILABLE"},
    {CL_MEM_OBJECT_ALLOCATION_FAILURE, "CL_MEM_OBJECT_ALLOCATION_FAILURE"},
    {CL_OUT_OF_RESOURCES, "CL_OUT_OF_RESOURCES"},
    {CL_OUT_OF_HOST_MEMORY, "CL_OUT_OF_HOST_MEMORY"},
    {CL_BUILD_PROGRAM_FAILURE, "CL_BUILD_PROGRAM_FAILURE"},
    {CL_INVALID_VALUE, "CL_INVALID_VALUE"},
    {CL_INVALID_BINARY, "CL_INVALID_BINARY"},
    {CL_INVALID_KERNEL_NAME, "CL_INVALID_KERNEL_NAME"},
    {CL_INVALID_KERNEL_ARGS, "CL_INVALID_KERNEL_ARGS"},
    {CL_INVALID_ARG_SIZE, "CL_INVALID_ARG_SIZE"},
    {CL_INVALID_WORK_GROUP_SIZE, "CL_INVALID_WORK_GROUP_SIZE"},
    {CL_INVALID_WORK_ITEM_SIZE, "CL_INVALID_WORK_ITEM_SIZE"},
    {CL_INVALID_BUFFER_SIZE, "CL_INVALID_BUFFER_SIZE"},
    {CL_INVALID_HOST_PTR, "CL_INVALID_HOST_PTR"},
};

}  // namespace

const std::string& missing() { return loader().missing; }
const Api& api() { return loader().api; }

std::string status_name(cl_int status) {
  const auto found = std::find_if(std::begin(kStatuses), std::end(kStatuses),
                                  [&](const StatusRow& row) { return row.status == status; });
  return found != std::end(kStatuses) ? found->name : fmt::format("status {}", status);
}

void check(cl_int status, const char* what) {
  if (status == CL_SUCCESS) return;
  const bool memory = status == CL_MEM_OBJECT_ALLOCATION_FAILURE || status == CL_OUT_OF_HOST_MEMORY ||
                      status == CL_INVALID_BUFFER_SIZE;
  fail(memory ? ErrorCode::OutOfMemory : ErrorCode::Device, "opencl: {} failed with {}", what, status_name(status));
}

}  // namespace naru::opencl
