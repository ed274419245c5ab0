// WorkerLink: a device of a plug-in that is loaded in a process of its own, with a watchdog.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>

#include "backends/plugin/library.h"
#include "backends/plugin/link.h"
#include "backends/plugin/memory.h"
#include "backends/plugin/process.h"
#include "backends/plugin/wire.h"

namespace naru::plugin {

class WorkerLink final : public Link {
 public:
  /// Starts a worker and opens the device in it. @throws Error.
  WorkerLink(const Target& target, std::shared_ptr<Arena> arena);

  const DeviceFacts& facts() const override { return facts_; }
  std::vector<Verdict> support(const SharedMemory& fragment, std::size_t node_count) override;
  Compiled compile(const SharedMemory& fragment) override;
  void destroy(std::uint64_t id) noexcept override;
  void submit(std::uint64_t id, std::span<const Binding> inputs, std::span<const Binding> outputs,
              std::vector<NodeSpan>* spans) override;
  Telemetry telemetry() override;
  std::vector<std::byte> save(std::uint64_t id) override;
  Compiled load(Bytes artefact) override;
  void end() noexcept override { process_.kill(); }

 private:
  Message ask(int channel, const Message& message, const std::vector<int>& descriptors, std::int64_t timeout_ms,
              const char* call);
  Message ask_control(const Message& message, const std::vector<int>& descriptors, std::int64_t timeout_ms,
                      const char* call);
  void map_segments();
  std::size_t take_channel();
  void return_channel(std::size_t index);
  void put_bindings(Message& message, std::span<const Binding> bindings) const;

  Target target_;
  std::shared_ptr<Arena> arena_;
  WorkerProcess process_;
  DeviceFacts facts_;
  std::mutex control_mutex_;
  std::size_t mapped_segments_ = 0;  ///< under control_mutex_
  std::mutex channel_mutex_;
  std::condition_variable channel_free_;
  std::vector<Descriptor> channels_;
  std::vector<std::size_t> free_channels_;
};

}  // namespace naru::plugin
