// PluginExecutable: a fragment, and what a plug-in made of it; made again after its worker died.
#pragma once

#include <mutex>

#include "backends/backend.h"
#include "backends/plugin/device.h"

namespace naru::plugin {

class PluginExecutable final : public Executable {
 public:
  /// Compiles at once. @throws Error.
  PluginExecutable(const PluginDevice& device, std::shared_ptr<const Graph> graph);
  ~PluginExecutable() override;

  MemoryUse memory() const override;
  std::string describe() const override;

  const Graph& graph() const { return *graph_; }
  /// The id that `link` knows it by.
  std::uint64_t id_on(const NumberedLink& link) const;

 private:
  const PluginDevice& device_;
  std::shared_ptr<const Graph> graph_;
  std::shared_ptr<SharedMemory> bytes_;
  mutable std::mutex mutex_;
  mutable NumberedLink link_;  ///< that `compiled_` belongs to
  mutable Compiled compiled_;
};

}  // namespace naru::plugin
