// How far the writing of a model has come.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

namespace naru {

/// Called before each tensor with its name, and the bytes written so far and in all.
using WriteProgress = std::function<void(std::string_view tensor, std::int64_t done, std::int64_t total)>;

}  // namespace naru
