// Programs: lists of built-in kernels. Source can be handed over, as the standard asks, but not built.
#include <algorithm>
#include <string_view>

#include "backends/npu_sim/icd/entry_points.h"

namespace npu::icd {
namespace {

using BuildNotify = void(CL_CALLBACK*)(cl_program, void*);

/// The kernels named in a list with ';' between the names; nothing when one is unknown.
std::optional<std::vector<const Kernel*>> find_all(std::string_view names) {
  std::vector<const Kernel*> found;
  while (true) {
    const std::size_t end = names.find(';');
    const Kernel* const kernel = find_kernel(names.substr(0, end));
    if (kernel == nullptr) return std::nullopt;
    found.push_back(kernel);
    if (end == std::string_view::npos) return found;
    names.remove_prefix(end + 1);
  }
}

/// What is wrong with the devices of a call, which may be all (none given).
cl_int check_devices(cl_uint count, const cl_device_id* devices) {
  if ((count == 0) != (devices == nullptr)) return CL_INVALID_VALUE;
  return std::any_of(devices, devices + count, [](cl_device_id id) { return id != device(); }) ? CL_INVALID_DEVICE : CL_SUCCESS;
}

std::string names_of(const _cl_program& program) {
  std::string names;
  for (const Kernel* kernel : program.kernels) names += (names.empty() ? "" : ";") + kernel->name;
  return names;
}

}  // namespace

cl_program CL_API_CALL CreateProgramWithBuiltInKernels(cl_context context, cl_uint count, const cl_device_id* devices, const char* names,
                                                       cl_int* status) {
  if (!valid(context)) return refuse(CL_INVALID_CONTEXT, status);
  if (count == 0 || devices == nullptr || names == nullptr) return refuse(CL_INVALID_VALUE, status);
  if (const cl_int wrong = check_devices(count, devices); wrong != CL_SUCCESS) return refuse(wrong, status);
  auto kernels = find_all(names);
  if (!kernels) return refuse(CL_INVALID_VALUE, status);
  auto* program = new (std::nothrow) _cl_program;
  if (program == nullptr) return refuse(CL_OUT_OF_HOST_MEMORY, status);
  program->context = Ref(context);
  program->kernels = std::move(*kernels);
  return hand_out(program, status);
}

cl_program CL_API_CALL CreateProgramWithSource(cl_context context, cl_uint count, const char** strings, const std::size_t* lengths, cl_int* status) {
  if (!valid(context)) return refuse(CL_INVALID_CONTEXT, status);
  if (count == 0 || strings == nullptr || std::any_of(strings, strings + count, [](const char* s) { return s == nullptr; })) {
    return refuse(CL_INVALID_VALUE, status);
  }
  auto* program = new (std::nothrow) _cl_program;
  if (program == nullptr) return refuse(CL_OUT_OF_HOST_MEMORY, status);
  program->context = Ref(context);
  for (cl_uint i = 0; i < count; ++i) {
    lengths != nullptr && lengths[i] > 0 ? program->source.append(strings[i], lengths[i]) : program->source.append(strings[i]);
  }
  return hand_out(program, status);
}

cl_program CL_API_CALL CreateProgramWithBinary(cl_context context, cl_uint count, const cl_device_id* devices, const std::size_t* lengths,
                                               const unsigned char** binaries, cl_int* each, cl_int* status) {
  if (!valid(context)) return refuse(CL_INVALID_CONTEXT, status);
  if (count == 0 || devices == nullptr || lengths == nullptr || binaries == nullptr) return refuse(CL_INVALID_VALUE, status);
  if (const cl_int wrong = check_devices(count, devices); wrong != CL_SUCCESS) return refuse(wrong, status);
  if (each != nullptr) std::fill_n(each, count, CL_INVALID_BINARY);
  return refuse(CL_INVALID_BINARY, status);
}

cl_int CL_API_CALL BuildProgram(cl_program program, cl_uint count, const cl_device_id* devices, const char*, BuildNotify notify, void* data) {
  if (!valid(program)) return CL_INVALID_PROGRAM;
  if (notify == nullptr && data != nullptr) return CL_INVALID_VALUE;
  if (const cl_int wrong = check_devices(count, devices); wrong != CL_SUCCESS) return wrong;
  if (program->kernels.empty()) return CL_COMPILER_NOT_AVAILABLE;
  if (notify != nullptr) notify(program, data);
  return CL_SUCCESS;
}

cl_int CL_API_CALL CompileProgram(cl_program program, cl_uint count, const cl_device_id* devices, const char*, cl_uint, const cl_program*,
                                  const char**, BuildNotify, void*) {
  if (!valid(program)) return CL_INVALID_PROGRAM;
  if (const cl_int wrong = check_devices(count, devices); wrong != CL_SUCCESS) return wrong;
  return program->kernels.empty() ? CL_COMPILER_NOT_AVAILABLE : CL_INVALID_OPERATION;
}

cl_program CL_API_CALL LinkProgram(cl_context context, cl_uint, const cl_device_id*, const char*, cl_uint, const cl_program*, BuildNotify, void*,
                                   cl_int* status) {
  return refuse(valid(context) ? CL_LINKER_NOT_AVAILABLE : CL_INVALID_CONTEXT, status);
}

cl_int CL_API_CALL RetainProgram(cl_program program) {
  if (!valid(program)) return CL_INVALID_PROGRAM;
  retain(program);
  return CL_SUCCESS;
}

cl_int CL_API_CALL ReleaseProgram(cl_program program) {
  if (!valid(program)) return CL_INVALID_PROGRAM;
  release(program);
  return CL_SUCCESS;
}

cl_int CL_API_CALL GetProgramInfo(cl_program program, cl_program_info what, std::size_t size, void* value, std::size_t* needed) {
  if (!valid(program)) return CL_INVALID_PROGRAM;
  const Answer answer(size, value, needed);
  switch (what) {
    case CL_PROGRAM_REFERENCE_COUNT: return answer.number<cl_uint>(program->references);
    case CL_PROGRAM_CONTEXT: return answer.number(program->context.get());
    case CL_PROGRAM_NUM_DEVICES: return answer.number<cl_uint>(1);
    case CL_PROGRAM_DEVICES: return answer.number(device());
    case CL_PROGRAM_SOURCE: return answer.text(program->source);
    case CL_PROGRAM_BINARY_SIZES: return answer.number<std::size_t>(0);
    case CL_PROGRAM_BINARIES: return answer.bytes(nullptr, 0);
    case CL_PROGRAM_NUM_KERNELS:
      return program->kernels.empty() ? CL_INVALID_PROGRAM_EXECUTABLE : answer.number(program->kernels.size());
    case CL_PROGRAM_KERNEL_NAMES: return program->kernels.empty() ? CL_INVALID_PROGRAM_EXECUTABLE : answer.text(names_of(*program));
    default: return CL_INVALID_VALUE;
  }
}

cl_int CL_API_CALL GetProgramBuildInfo(cl_program program, cl_device_id id, cl_program_build_info what, std::size_t size, void* value,
                                       std::size_t* needed) {
  if (!valid(program)) return CL_INVALID_PROGRAM;
  if (id != device()) return CL_INVALID_DEVICE;
  const Answer answer(size, value, needed);
  const bool built_in = !program->kernels.empty();
  switch (what) {
    case CL_PROGRAM_BUILD_STATUS: return answer.number<cl_build_status>(built_in ? CL_BUILD_SUCCESS : CL_BUILD_NONE);
    case CL_PROGRAM_BUILD_OPTIONS: return answer.text("");
    case CL_PROGRAM_BUILD_LOG: return answer.text(built_in ? "" : "this device has built-in kernels only");
    case CL_PROGRAM_BINARY_TYPE: return answer.number<cl_program_binary_type>(built_in ? CL_PROGRAM_BINARY_TYPE_EXECUTABLE : CL_PROGRAM_BINARY_TYPE_NONE);
    default: return CL_INVALID_VALUE;
  }
}

}  // namespace npu::icd
