// Shows on standard error how far the writing of a model has come.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <iostream>

#include <fmt/format.h>

#include "graph/export/progress.h"
#include "tools/naru/table.h"

namespace naru::tool {

/// A line that renews itself on a terminal; nothing elsewhere.
inline WriteProgress write_progress() {
  if (::isatty(STDERR_FILENO) == 0) return [](std::string_view, std::int64_t, std::int64_t) {};
  return [](std::string_view tensor, std::int64_t done, std::int64_t total) {
    const double share = total > 0 ? static_cast<double>(done) / static_cast<double>(total) : 1.0;
    std::cerr << fmt::format("\rnaru: {:3.0f} %  {:<40}", 100 * share, tensor) << std::flush;
  };
}

inline void report_written(const std::filesystem::path& path) {
  const auto size = static_cast<std::int64_t>(std::filesystem::file_size(path));
  std::cerr << fmt::format("{}naru: wrote '{}', {}\n", ::isatty(STDERR_FILENO) == 0 ? "" : "\r", path.native(),
                           bytes_text(size));
}

}  // namespace naru::tool
