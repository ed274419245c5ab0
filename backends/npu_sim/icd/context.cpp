// Contexts: each a simulated device of its own.
#include <algorithm>
#include <stdexcept>

#include "backends/npu_sim/icd/entry_points.h"

namespace npu::icd {
namespace {

using Notify = void(CL_CALLBACK*)(const char*, const void*, std::size_t, void*);

/// The name-value pairs up to and with the ending zero; nothing when they are no properties of a context.
std::optional<std::vector<cl_context_properties>> read_properties(const cl_context_properties* properties, cl_int& status) {
  std::vector<cl_context_properties> list;
  if (properties == nullptr) return list;
  for (; *properties != 0; properties += 2) {
    const bool known = properties[0] == CL_CONTEXT_PLATFORM || properties[0] == CL_CONTEXT_INTEROP_USER_SYNC;
    const bool twice = [&] {
      for (std::size_t i = 0; i < list.size(); i += 2) {
        if (list[i] == properties[0]) return true;
      }
      return false;
    }();
    if (!known || twice) {
      status = CL_INVALID_PROPERTY;
      return std::nullopt;
    }
    if (properties[0] == CL_CONTEXT_PLATFORM && reinterpret_cast<cl_platform_id>(properties[1]) != platform()) {
      status = CL_INVALID_PLATFORM;
      return std::nullopt;
    }
    list.insert(list.end(), {properties[0], properties[1]});
  }
  list.push_back(0);
  return list;
}

cl_context open_context(const cl_context_properties* properties, Notify notify, void* data, cl_int* status) {
  if (notify == nullptr && data != nullptr) return refuse(CL_INVALID_VALUE, status);
  cl_int why = CL_SUCCESS;
  auto list = read_properties(properties, why);
  if (!list) return refuse(why, status);
  try {
    auto context = std::make_unique<_cl_context>();
    context->device = std::make_shared<Device>(settings_of_environment());
    context->properties = std::move(*list);
    context->notify = notify;
    context->notify_data = data;
    return hand_out(context.release(), status);
  } catch (const std::runtime_error& error) {
    if (notify != nullptr) notify(error.what(), nullptr, 0, data);
    return refuse(CL_DEVICE_NOT_AVAILABLE, status);
  } catch (const std::bad_alloc&) {
    return refuse(CL_OUT_OF_HOST_MEMORY, status);
  }
}

}  // namespace

cl_context CL_API_CALL CreateContext(const cl_context_properties* properties, cl_uint count, const cl_device_id* devices, Notify notify, void* data,
                                     cl_int* status) {
  if (count == 0 || devices == nullptr) return refuse(CL_INVALID_VALUE, status);
  if (std::any_of(devices, devices + count, [](cl_device_id id) { return id != device(); })) return refuse(CL_INVALID_DEVICE, status);
  return open_context(properties, notify, data, status);
}

cl_context CL_API_CALL CreateContextFromType(const cl_context_properties* properties, cl_device_type type, Notify notify, void* data, cl_int* status) {
  cl_uint found = 0;
  if (const cl_int none = GetDeviceIDs(platform(), type, 0, nullptr, &found); none != CL_SUCCESS) return refuse(none, status);
  return open_context(properties, notify, data, status);
}

cl_int CL_API_CALL RetainContext(cl_context context) {
  if (!valid(context)) return CL_INVALID_CONTEXT;
  retain(context);
  return CL_SUCCESS;
}

cl_int CL_API_CALL ReleaseContext(cl_context context) {
  if (!valid(context)) return CL_INVALID_CONTEXT;
  release(context);
  return CL_SUCCESS;
}

cl_int CL_API_CALL GetContextInfo(cl_context context, cl_context_info what, std::size_t size, void* value, std::size_t* needed) {
  if (!valid(context)) return CL_INVALID_CONTEXT;
  const Answer answer(size, value, needed);
  switch (what) {
    case CL_CONTEXT_REFERENCE_COUNT: return answer.number<cl_uint>(context->references);
    case CL_CONTEXT_NUM_DEVICES: return answer.number<cl_uint>(1);
    case CL_CONTEXT_DEVICES: return answer.number(device());
    case CL_CONTEXT_PROPERTIES: return answer.list(context->properties);
    default: return CL_INVALID_VALUE;
  }
}

}  // namespace npu::icd
