// Kernel objects and their arguments.
#include <algorithm>
#include <cstring>

#include "backends/npu_sim/icd/entry_points.h"

namespace npu::icd {
namespace {

bool is_scalar(Role role) { return role == Role::Int || role == Role::Float; }

cl_kernel make_kernel(cl_program program, const Kernel* kernel) {
  auto* object = new _cl_kernel;
  object->program = Ref(program);
  object->kernel = kernel;
  object->slots.resize(kernel->parameters.size());
  return object;
}

cl_int set_scalar(_cl_kernel::Slot& slot, Role role, std::size_t size, const void* value) {
  if (size != sizeof(cl_int)) return CL_INVALID_ARG_SIZE;
  if (value == nullptr) return CL_INVALID_ARG_VALUE;
  if (role == Role::Int) {
    std::int32_t number = 0;
    std::memcpy(&number, value, sizeof(number));
    slot.scalar = number;
  } else {
    float number = 0;
    std::memcpy(&number, value, sizeof(number));
    slot.scalar = number;
  }
  return CL_SUCCESS;
}

cl_int set_memory(_cl_kernel::Slot& slot, const _cl_context* context, std::size_t size, const void* value) {
  if (size != sizeof(cl_mem)) return CL_INVALID_ARG_SIZE;
  cl_mem memory = nullptr;
  if (value != nullptr) std::memcpy(&memory, value, sizeof(memory));
  if (memory != nullptr && (!valid(memory) || memory->context.get() != context)) return CL_INVALID_MEM_OBJECT;
  slot.memory = Ref(memory);
  return CL_SUCCESS;
}

}  // namespace

cl_kernel CL_API_CALL CreateKernel(cl_program program, const char* name, cl_int* status) {
  if (!valid(program)) return refuse(CL_INVALID_PROGRAM, status);
  if (name == nullptr) return refuse(CL_INVALID_VALUE, status);
  if (program->kernels.empty()) return refuse(CL_INVALID_PROGRAM_EXECUTABLE, status);
  const auto found = std::find_if(program->kernels.begin(), program->kernels.end(), [&](const Kernel* kernel) { return kernel->name == name; });
  if (found == program->kernels.end()) return refuse(CL_INVALID_KERNEL_NAME, status);
  try {
    return hand_out(make_kernel(program, *found), status);
  } catch (const std::bad_alloc&) {
    return refuse(CL_OUT_OF_HOST_MEMORY, status);
  }
}

cl_int CL_API_CALL CreateKernelsInProgram(cl_program program, cl_uint count, cl_kernel* kernels, cl_uint* found) {
  if (!valid(program)) return CL_INVALID_PROGRAM;
  if (program->kernels.empty()) return CL_INVALID_PROGRAM_EXECUTABLE;
  if (kernels != nullptr && count < program->kernels.size()) return CL_INVALID_VALUE;
  if (kernels != nullptr) {
    std::transform(program->kernels.begin(), program->kernels.end(), kernels, [&](const Kernel* kernel) { return make_kernel(program, kernel); });
  }
  if (found != nullptr) *found = static_cast<cl_uint>(program->kernels.size());
  return CL_SUCCESS;
}

cl_int CL_API_CALL RetainKernel(cl_kernel kernel) {
  if (!valid(kernel)) return CL_INVALID_KERNEL;
  retain(kernel);
  return CL_SUCCESS;
}

cl_int CL_API_CALL ReleaseKernel(cl_kernel kernel) {
  if (!valid(kernel)) return CL_INVALID_KERNEL;
  release(kernel);
  return CL_SUCCESS;
}

cl_int CL_API_CALL SetKernelArg(cl_kernel kernel, cl_uint index, std::size_t size, const void* value) {
  if (!valid(kernel)) return CL_INVALID_KERNEL;
  if (index >= kernel->slots.size()) return CL_INVALID_ARG_INDEX;
  const Role role = kernel->kernel->parameters[index].role;
  _cl_kernel::Slot& slot = kernel->slots[index];
  const cl_int status = is_scalar(role) ? set_scalar(slot, role, size, value) : set_memory(slot, kernel->program->context.get(), size, value);
  slot.set = slot.set || status == CL_SUCCESS;
  return status;
}

cl_int CL_API_CALL GetKernelInfo(cl_kernel kernel, cl_kernel_info what, std::size_t size, void* value, std::size_t* needed) {
  if (!valid(kernel)) return CL_INVALID_KERNEL;
  const Answer answer(size, value, needed);
  switch (what) {
    case CL_KERNEL_FUNCTION_NAME: return answer.text(kernel->kernel->name);
    case CL_KERNEL_NUM_ARGS: return answer.number(static_cast<cl_uint>(kernel->slots.size()));
    case CL_KERNEL_REFERENCE_COUNT: return answer.number<cl_uint>(kernel->references);
    case CL_KERNEL_CONTEXT: return answer.number(kernel->program->context.get());
    case CL_KERNEL_PROGRAM: return answer.number(kernel->program.get());
    case CL_KERNEL_ATTRIBUTES: return answer.text("");
    default: return CL_INVALID_VALUE;
  }
}

cl_int CL_API_CALL GetKernelArgInfo(cl_kernel kernel, cl_uint index, cl_kernel_arg_info what, std::size_t size, void* value, std::size_t* needed) {
  if (!valid(kernel)) return CL_INVALID_KERNEL;
  if (index >= kernel->slots.size()) return CL_INVALID_ARG_INDEX;
  const Answer answer(size, value, needed);
  const Parameter& parameter = kernel->kernel->parameters[index];
  const bool scalar = is_scalar(parameter.role);
  switch (what) {
    case CL_KERNEL_ARG_NAME: return answer.text(parameter.name);
    case CL_KERNEL_ARG_TYPE_NAME: return answer.text(parameter.role == Role::Int ? "int" : parameter.role == Role::Float ? "float" : "void*");
    case CL_KERNEL_ARG_ADDRESS_QUALIFIER:
      return answer.number<cl_kernel_arg_address_qualifier>(scalar ? CL_KERNEL_ARG_ADDRESS_PRIVATE : CL_KERNEL_ARG_ADDRESS_GLOBAL);
    case CL_KERNEL_ARG_ACCESS_QUALIFIER: return answer.number<cl_kernel_arg_access_qualifier>(CL_KERNEL_ARG_ACCESS_NONE);
    case CL_KERNEL_ARG_TYPE_QUALIFIER:
      return answer.number<cl_kernel_arg_type_qualifier>(scalar || parameter.role == Role::Output ? CL_KERNEL_ARG_TYPE_NONE : CL_KERNEL_ARG_TYPE_CONST);
    default: return CL_INVALID_VALUE;
  }
}

cl_int CL_API_CALL GetKernelWorkGroupInfo(cl_kernel kernel, cl_device_id id, cl_kernel_work_group_info what, std::size_t size, void* value,
                                          std::size_t* needed) {
  if (!valid(kernel)) return CL_INVALID_KERNEL;
  if (id != nullptr && id != device()) return CL_INVALID_DEVICE;
  const Answer answer(size, value, needed);
  switch (what) {
    case CL_KERNEL_WORK_GROUP_SIZE:
    case CL_KERNEL_PREFERRED_WORK_GROUP_SIZE_MULTIPLE: return answer.number<std::size_t>(1);
    case CL_KERNEL_COMPILE_WORK_GROUP_SIZE: return answer.list(std::vector<std::size_t>(3, 0));
    case CL_KERNEL_GLOBAL_WORK_SIZE: return answer.list(std::vector<std::size_t>(3, 1));
    case CL_KERNEL_LOCAL_MEM_SIZE:
    case CL_KERNEL_PRIVATE_MEM_SIZE: return answer.number<cl_ulong>(0);
    default: return CL_INVALID_VALUE;
  }
}

}  // namespace npu::icd
