// Library: a plug-in's shared object, checked and loaded, with its table of functions.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "naru/naru_plugin.h"

namespace naru::plugin {

/// `PATH[,key=value]...` or `NAME[,key=value]...`, taken apart.
struct Target {
  std::filesystem::path path;  ///< of the library, absolute
  int device = 0;              ///< option `device`
  bool in_process = false;     ///< option `mode`: worker (default) or inprocess
  std::int64_t timeout_ms = 30'000;           ///< option `timeout_ms`: for a submission
  std::int64_t compile_timeout_ms = 600'000;  ///< option `compile_timeout_ms`
  std::int64_t open_timeout_ms = 10'000;      ///< option `open_timeout_ms`: for opening and for questions
  std::vector<std::pair<std::string, std::string>> options;  ///< the rest, for the plug-in
};

/// A name without a slash means the library of this name in plugin_folder().
/// @throws Error InvalidArgument for what cannot be read, or a relative path.
Target parse_target(std::string_view text);

/// Where plug-ins are found by name: `naru/plugins` beside libnaru.
std::filesystem::path plugin_folder();

/// @throws Error InvalidArgument unless the file and its folder belong to root or this user and nobody
/// else may write them. Native code runs with the rights of this process, so that who may write it owns
/// the process.
void check_permissions(const std::filesystem::path& path);

/// A loaded plug-in. Stays loaded: libraries that start threads do not survive being unloaded.
class Library {
 public:
  /// @throws Error Device for a library that does not load, has not the symbol, or another ABI.
  explicit Library(const std::filesystem::path& path);

  const naru_plugin& api() const { return *api_; }
  const std::string& name() const { return name_; }

 private:
  const naru_plugin* api_ = nullptr;
  std::string name_;
};

}  // namespace naru::plugin
