// PluginDevice: a plug-in's device as Naru's compiler and scheduler see it.
#pragma once

#include <memory>
#include <mutex>

#include "backends/backend.h"
#include "backends/fence.h"
#include "backends/host_queue.h"
#include "backends/plugin/library.h"
#include "backends/plugin/link.h"
#include "backends/plugin/memory.h"

namespace naru::plugin {

/// A link and its number: executables belong to one link, and a new worker means a new link.
struct NumberedLink {
  std::shared_ptr<Link> link;
  std::uint64_t number = 0;
};

class PluginDevice final : public Device {
 public:
  /// Opens the device. One that cannot be opened is a device that refuses every node with the reason.
  /// @throws Error InvalidArgument for a target that must not be loaded.
  PluginDevice(Target target, const DeviceOptions& options);
  ~PluginDevice() override;

  const DeviceInfo& info() const override { return info_; }
  bool dispensable() const override { return true; }
  std::vector<Verdict> support(const Graph& graph) const override;
  std::unique_ptr<Buffer> allocate(std::int64_t size_bytes) override;
  void write(const BufferView& to, const std::byte* from) override;
  void read(const BufferView& from, std::byte* to) override;
  std::shared_ptr<const Executable> compile(std::shared_ptr<const Graph> fragment) override;
  EventPtr submit(Submission submission) override;

  /// The open link, a new one after a fault. @throws Error Device when the device is fenced.
  NumberedLink link() const;
  /// Runs `body` with the link; a Device error of it is a fault of the plug-in.
  template <typename Body>
  auto guarded(Body&& body) const;

 private:
  void run(const Submission& submission);
  void describe(const DeviceFacts& facts);
  std::shared_ptr<Link> open_link() const;
  void fault(const std::string& text, std::uint64_t link_number) const;

  Target target_;
  DeviceInfo info_;
  std::shared_ptr<Arena> arena_;  ///< worker mode
  mutable Fence fence_;
  mutable std::mutex mutex_;
  mutable NumberedLink link_;
  std::unique_ptr<HostQueue> queue_;  ///< last: its threads use the rest
};

}  // namespace naru::plugin
