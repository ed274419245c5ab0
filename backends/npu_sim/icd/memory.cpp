// Buffers and sub-buffers in the device's memory.
#include <cstring>

#include "backends/npu_sim/icd/entry_points.h"

_cl_mem::~_cl_mem() {
  for (auto callback = callbacks.rbegin(); callback != callbacks.rend(); ++callback) callback->first(this, callback->second);
}

namespace npu::icd {
namespace {

constexpr cl_mem_flags kDeviceAccess = CL_MEM_READ_WRITE | CL_MEM_WRITE_ONLY | CL_MEM_READ_ONLY;
constexpr cl_mem_flags kHostPointer = CL_MEM_USE_HOST_PTR | CL_MEM_ALLOC_HOST_PTR | CL_MEM_COPY_HOST_PTR;
constexpr cl_mem_flags kHostAccess = CL_MEM_HOST_WRITE_ONLY | CL_MEM_HOST_READ_ONLY | CL_MEM_HOST_NO_ACCESS;

bool at_most_one(cl_mem_flags flags) { return (flags & (flags - 1)) == 0; }

bool valid_flags(cl_mem_flags flags) {
  const bool use_and_other = (flags & CL_MEM_USE_HOST_PTR) != 0 && (flags & (CL_MEM_ALLOC_HOST_PTR | CL_MEM_COPY_HOST_PTR)) != 0;
  return (flags & ~(kDeviceAccess | kHostPointer | kHostAccess)) == 0 && at_most_one(flags & kDeviceAccess) && at_most_one(flags & kHostAccess) &&
         !use_and_other;
}

}  // namespace

cl_mem CL_API_CALL CreateBuffer(cl_context context, cl_mem_flags flags, std::size_t size, void* host, cl_int* status) {
  if (!valid(context)) return refuse(CL_INVALID_CONTEXT, status);
  if (!valid_flags(flags)) return refuse(CL_INVALID_VALUE, status);
  cl_ulong most = 0;
  GetDeviceInfo(device(), CL_DEVICE_MAX_MEM_ALLOC_SIZE, sizeof(most), &most, nullptr);
  if (size == 0 || size > most) return refuse(CL_INVALID_BUFFER_SIZE, status);
  const bool wants_host = (flags & (CL_MEM_USE_HOST_PTR | CL_MEM_COPY_HOST_PTR)) != 0;
  if (wants_host != (host != nullptr)) return refuse(CL_INVALID_HOST_PTR, status);
  try {
    auto memory = std::make_unique<_cl_mem>();
    memory->context = Ref(context);
    memory->flags = (flags & kDeviceAccess) != 0 ? flags : flags | CL_MEM_READ_WRITE;
    memory->size = size;
    memory->host_pointer = (flags & CL_MEM_USE_HOST_PTR) != 0 ? host : nullptr;
    memory->block = context->device->allocate(static_cast<std::int64_t>(size));
    if (memory->block == nullptr) return refuse(CL_MEM_OBJECT_ALLOCATION_FAILURE, status);
    if (wants_host) std::memcpy(memory->data(), host, size);
    return hand_out(memory.release(), status);
  } catch (const std::bad_alloc&) {
    return refuse(CL_OUT_OF_HOST_MEMORY, status);
  }
}

cl_mem CL_API_CALL CreateSubBuffer(cl_mem parent, cl_mem_flags flags, cl_buffer_create_type type, const void* info, cl_int* status) {
  if (!valid(parent) || parent->parent.get() != nullptr) return refuse(CL_INVALID_MEM_OBJECT, status);
  if (!valid_flags(flags) || (flags & kHostPointer) != 0 || type != CL_BUFFER_CREATE_TYPE_REGION || info == nullptr) {
    return refuse(CL_INVALID_VALUE, status);
  }
  const bool writes_more = (parent->flags & CL_MEM_READ_ONLY) != 0 && (flags & (CL_MEM_READ_WRITE | CL_MEM_WRITE_ONLY)) != 0;
  const bool reads_more = (parent->flags & CL_MEM_WRITE_ONLY) != 0 && (flags & (CL_MEM_READ_WRITE | CL_MEM_READ_ONLY)) != 0;
  if (writes_more || reads_more) return refuse(CL_INVALID_VALUE, status);
  const auto& region = *static_cast<const cl_buffer_region*>(info);
  if (region.size == 0) return refuse(CL_INVALID_BUFFER_SIZE, status);
  if (region.origin > parent->size || region.size > parent->size - region.origin) return refuse(CL_INVALID_VALUE, status);
  if (region.origin % static_cast<std::size_t>(Chip().buffer_alignment) != 0) return refuse(CL_MISALIGNED_SUB_BUFFER_OFFSET, status);
  auto* memory = new (std::nothrow) _cl_mem;
  if (memory == nullptr) return refuse(CL_OUT_OF_HOST_MEMORY, status);
  memory->context = parent->context;
  memory->parent = Ref(parent);
  memory->block = parent->block;
  memory->flags = (flags & kDeviceAccess) != 0 ? flags : flags | (parent->flags & kDeviceAccess);
  memory->offset = region.origin;
  memory->size = region.size;
  return hand_out(memory, status);
}

cl_int CL_API_CALL RetainMemObject(cl_mem memory) {
  if (!valid(memory)) return CL_INVALID_MEM_OBJECT;
  retain(memory);
  return CL_SUCCESS;
}

cl_int CL_API_CALL ReleaseMemObject(cl_mem memory) {
  if (!valid(memory)) return CL_INVALID_MEM_OBJECT;
  release(memory);
  return CL_SUCCESS;
}

cl_int CL_API_CALL GetMemObjectInfo(cl_mem memory, cl_mem_info what, std::size_t size, void* value, std::size_t* needed) {
  if (!valid(memory)) return CL_INVALID_MEM_OBJECT;
  const Answer answer(size, value, needed);
  switch (what) {
    case CL_MEM_TYPE: return answer.number<cl_mem_object_type>(CL_MEM_OBJECT_BUFFER);
    case CL_MEM_FLAGS: return answer.number(memory->flags);
    case CL_MEM_SIZE: return answer.number(memory->size);
    case CL_MEM_HOST_PTR: return answer.number(memory->host_pointer);
    case CL_MEM_MAP_COUNT: {
      const std::lock_guard lock(memory->mutex);
      return answer.number(static_cast<cl_uint>(memory->mappings.size()));
    }
    case CL_MEM_REFERENCE_COUNT: return answer.number<cl_uint>(memory->references);
    case CL_MEM_CONTEXT: return answer.number(memory->context.get());
    case CL_MEM_ASSOCIATED_MEMOBJECT: return answer.number(memory->parent.get());
    case CL_MEM_OFFSET: return answer.number(memory->offset);
    default: return CL_INVALID_VALUE;
  }
}

cl_int CL_API_CALL SetMemObjectDestructorCallback(cl_mem memory, void(CL_CALLBACK* callback)(cl_mem, void*), void* data) {
  if (!valid(memory)) return CL_INVALID_MEM_OBJECT;
  if (callback == nullptr) return CL_INVALID_VALUE;
  const std::lock_guard lock(memory->mutex);
  memory->callbacks.emplace_back(callback, data);
  return CL_SUCCESS;
}

cl_int CL_API_CALL GetSupportedImageFormats(cl_context context, cl_mem_flags, cl_mem_object_type, cl_uint, cl_image_format*, cl_uint* found) {
  if (!valid(context)) return CL_INVALID_CONTEXT;
  if (found != nullptr) *found = 0;
  return CL_SUCCESS;
}

}  // namespace npu::icd
