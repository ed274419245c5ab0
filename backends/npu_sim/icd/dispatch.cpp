// The dispatch table: this driver's entry points, and for all others functions that refuse.
#include <cstring>
#include <tuple>

#include "backends/npu_sim/icd/entry_points.h"

namespace npu::icd {
namespace {

/// The status of a refused call goes where its signature wants it: the result, or the last argument.
template <typename F>
struct Refusal;

template <typename R, typename... A>
struct Refusal<R(CL_API_CALL*)(A...)> {
  static R CL_API_CALL call(A... arguments) {
    if constexpr (std::is_same_v<R, cl_int>) {
      return CL_INVALID_OPERATION;
    } else if constexpr (!std::is_void_v<R>) {
      using Last = std::tuple_element_t<sizeof...(A) - 1, std::tuple<A...>>;
      if constexpr (std::is_same_v<Last, cl_int*>) {
        cl_int* const status = std::get<sizeof...(A) - 1>(std::tie(arguments...));
        if (status != nullptr) *status = CL_INVALID_OPERATION;
      }
      return nullptr;
    }
  }
};

/// Entries that the headers leave without a type.
template <>
struct Refusal<void*> {
  static cl_int call() { return CL_INVALID_OPERATION; }
};

template <typename F>
void refuse_all(F& entry) {
  if constexpr (std::is_same_v<F, void*>) {
    entry = reinterpret_cast<void*>(&Refusal<void*>::call);
  } else {
    entry = &Refusal<F>::call;
  }
}

cl_icd_dispatch make() {
  cl_icd_dispatch table{};
#define REFUSED(name) refuse_all(table.name);
#include "backends/npu_sim/icd/refused.def"
#undef REFUSED
#define CL(name) table.cl##name = &name;
#include "backends/npu_sim/icd/entry_points.def"
#undef CL
  table.clGetExtensionFunctionAddress = &clGetExtensionFunctionAddress;
  return table;
}

}  // namespace

const cl_icd_dispatch& dispatch() {
  static const cl_icd_dispatch table = make();
  return table;
}

}  // namespace npu::icd
