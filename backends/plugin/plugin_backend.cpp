// The plugin backend: devices of vendors' libraries, opened by path or by name from one folder.
#include "backends/backend.h"
#include "backends/plugin/device.h"
#include "backends/plugin/library.h"
#include "graph/fail.h"

namespace naru {
namespace {

class PluginBackend final : public Backend {
 public:
  std::string name() const override { return "plugin"; }

  /// What lies in the folder. Nothing is loaded for a list: that happens to a device that is asked for.
  std::vector<DeviceInfo> devices() const override {
    std::vector<DeviceInfo> list;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(plugin::plugin_folder(), error)) {
      if (entry.path().extension() != ".so") continue;
      DeviceInfo info;
      info.id = "plugin:" + entry.path().stem().string();
      info.name = entry.path().filename().string();
      info.description = "a vendor's plug-in, described when it is opened";
      info.automatic = false;
      check(entry.path(), info);
      list.push_back(std::move(info));
    }
    std::sort(list.begin(), list.end(), [](const DeviceInfo& a, const DeviceInfo& b) { return a.id < b.id; });
    return list;
  }

  std::unique_ptr<Device> open(int index, const DeviceOptions& options) const override {
    const std::string id = devices()[static_cast<std::size_t>(index)].id;
    return open_named(id.substr(id.find(':') + 1), options);
  }

  std::unique_ptr<Device> open_named(std::string_view target, const DeviceOptions& options) const override {
    return std::make_unique<plugin::PluginDevice>(plugin::parse_target(target), options);
  }

 private:
  static void check(const std::filesystem::path& path, DeviceInfo& info) {
    try {
      plugin::check_permissions(path);
    } catch (const Error& error) {
      info.available = false;
      info.unavailable_reason = error.message();
    }
  }
};

}  // namespace

std::unique_ptr<Backend> make_plugin_backend() { return std::make_unique<PluginBackend>(); }

}  // namespace naru
