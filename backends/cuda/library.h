// Library: a shared library opened at run time, and why it is not there.
#pragma once

#include <initializer_list>
#include <string>

namespace naru::cuda {

/// Stays open for the life of the process: its code may run in threads of its own.
class Library {
 public:
  /// Opens the first of `names` that there is.
  Library(std::initializer_list<const char*> names, const char* advice);
  /// The function, or null, which makes the library count as missing.
  template <typename Function>
  void find(const char* symbol, Function*& function) {
    function = reinterpret_cast<Function*>(address(symbol));
  }
  /// Why the library cannot be used, and what to do; empty when it can.
  const std::string& missing() const { return missing_; }

 private:
  void* address(const char* symbol);

  void* handle_ = nullptr;
  const char* advice_;
  std::string missing_;
};

}  // namespace naru::cuda
