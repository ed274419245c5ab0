// fail(): throws an Error with a formatted message; the short form used inside the library.
#pragma once

#include <fmt/format.h>

#include <utility>

#include "naru/error.h"

namespace naru {

/// Throws Error `code` with the formatted message. Style: "<subject>: got <x>, expected <y>".
template <typename... Args>
[[noreturn]] void fail(ErrorCode code, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(code, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace naru
