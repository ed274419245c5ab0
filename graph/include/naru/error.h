// The one exception type of the library: a code, a message, and a line of context per level.
#pragma once

#include <concepts>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace naru {

/// What kind of failure an Error reports. The command line maps each to an exit code.
enum class ErrorCode {
  InvalidArgument,   ///< a caller's argument, input tensor or option is wrong
  InvalidModel,      ///< a model file or graph breaks its format or its operators' rules
  Unsupported,       ///< well formed, but nothing on this machine can do it
  OutOfMemory,       ///< over a memory budget or a refused allocation
  Device,            ///< a device or its driver failed
  Io,                ///< a file or stream could not be read or written
  Cancelled,         ///< the request was cancelled by the caller
  DeadlineExceeded,  ///< the request's deadline passed
  OutOfTolerance,    ///< two results differ by more than the tolerance allows
  Internal,          ///< a bug in naru
};

/// Returns the code's stable name, for example "InvalidModel".
const char* to_string(ErrorCode code) noexcept;

/// A failure with its code and the chain of contexts it passed through.
///
/// `what()` is the whole text: the message, then one indented "while ..." line per context,
/// innermost first.
class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, std::string message);

  ErrorCode code() const noexcept { return code_; }
  const std::string& message() const noexcept { return message_; }
  const std::vector<std::string>& context() const noexcept { return context_; }

  /// Returns a copy with one more outer context line, for example "loading 'model.onnx'".
  Error with_context(std::string line) const;

 private:
  Error(ErrorCode code, std::string message, std::vector<std::string> context);

  ErrorCode code_;
  std::string message_;
  std::vector<std::string> context_;
};

/// Runs `body`; an Error or std::bad_alloc that leaves it gains the line that `describe()` returns.
/// `describe` runs only on failure.
template <std::invocable Describe, std::invocable Body>
decltype(auto) with_context(Describe&& describe, Body&& body) {
  try {
    return std::forward<Body>(body)();
  } catch (const Error& error) {
    throw error.with_context(describe());
  } catch (const std::bad_alloc&) {
    throw Error(ErrorCode::OutOfMemory, "the host refused an allocation").with_context(describe());
  }
}

/// Throws Error Internal; `expression` is the broken condition. Used by NARU_CHECK.
[[noreturn]] void check_failed(const char* expression, const char* file, int line,
                               const std::string& message);

}  // namespace naru

/// Throws Error Internal when an invariant of naru itself is broken, in every build type.
#define NARU_CHECK(condition, message)                                            \
  do {                                                                            \
    if (!(condition)) ::naru::check_failed(#condition, __FILE__, __LINE__, (message)); \
  } while (false)
