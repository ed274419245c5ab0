// The entry points of this driver, as the dispatch table names them without the prefix "cl".
#pragma once

#include "backends/npu_sim/icd/objects.h"

extern "C" {
void* CL_API_CALL clGetExtensionFunctionAddress(const char* name);
cl_int CL_API_CALL clIcdGetPlatformIDsKHR(cl_uint count, cl_platform_id* platforms, cl_uint* found);
}

namespace npu::icd {

#define CL(name) std::remove_pointer_t<decltype(cl_icd_dispatch::cl##name)> name;
#include "backends/npu_sim/icd/entry_points.def"
#undef CL

}  // namespace npu::icd
