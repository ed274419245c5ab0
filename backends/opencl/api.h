// OpenCL's functions, found in the ICD loader at run time; handles; status codes as Error.
#pragma once

#define CL_TARGET_OPENCL_VERSION 120
#define CL_USE_DEPRECATED_OPENCL_1_2_APIS
#include <CL/cl.h>

#include <string>
#include <utility>

namespace naru::opencl {

struct Api {
#define CL(name) decltype(&::cl##name) name = nullptr;
#include "backends/opencl/api.def"
#undef CL
};

/// Why there is no OpenCL on this machine, or empty.
const std::string& missing();
/// The functions; only when missing() is empty.
const Api& api();

/// The name of a status code, for example "CL_OUT_OF_RESOURCES".
std::string status_name(cl_int status);
/// @throws Error OutOfMemory, InvalidArgument or Device with the name, unless `status` is success.
void check(cl_int status, const char* what);

/// Owns one OpenCL object; `Release` is the member of Api that lets go of it.
template <typename T, auto Release>
class Handle {
 public:
  Handle() = default;
  explicit Handle(T value) : value_(value) {}
  ~Handle() { reset(); }
  Handle(Handle&& other) noexcept : value_(std::exchange(other.value_, nullptr)) {}
  Handle& operator=(Handle&& other) noexcept {
    if (this != &other) {
      reset();
      value_ = std::exchange(other.value_, nullptr);
    }
    return *this;
  }
  T get() const { return value_; }
  explicit operator bool() const { return value_ != nullptr; }

 private:
  void reset() noexcept {
    if (value_ != nullptr) (api().*Release)(value_);
    value_ = nullptr;
  }
  T value_ = nullptr;
};

using Context = Handle<cl_context, &Api::ReleaseContext>;
using Queue = Handle<cl_command_queue, &Api::ReleaseCommandQueue>;
using Memory = Handle<cl_mem, &Api::ReleaseMemObject>;
using ProgramHandle = Handle<cl_program, &Api::ReleaseProgram>;
using KernelHandle = Handle<cl_kernel, &Api::ReleaseKernel>;
using EventHandle = Handle<cl_event, &Api::ReleaseEvent>;

}  // namespace naru::opencl
