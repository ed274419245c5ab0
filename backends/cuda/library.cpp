// Library: dlopen and dlsym with reasons.
#include "backends/cuda/library.h"

#include <dlfcn.h>
#include <fmt/format.h>

namespace naru::cuda {

Library::Library(std::initializer_list<const char*> names, const char* advice) : advice_(advice) {
  std::string error;
  for (const char* name : names) {
    handle_ = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (handle_ != nullptr) return;
    if (error.empty()) error = dlerror();
  }
  missing_ = fmt::format("{}: {}", advice_, error);
}

void* Library::address(const char* symbol) {
  if (handle_ == nullptr) return nullptr;
  void* found = dlsym(handle_, symbol);
  if (found == nullptr && missing_.empty()) missing_ = fmt::format("{}: the library is too old, it lacks {}", advice_, symbol);
  return found;
}

}  // namespace naru::cuda
