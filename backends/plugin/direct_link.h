// DirectLink: a device of a plug-in that is loaded in this process.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <shared_mutex>

#include "backends/plugin/library.h"
#include "backends/plugin/link.h"

namespace naru::plugin {

class DirectLink final : public Link {
 public:
  /// Opens the device. @throws Error.
  DirectLink(const Library& library, const Target& target);
  ~DirectLink() override;

  const DeviceFacts& facts() const override { return facts_; }
  std::vector<Verdict> support(const SharedMemory& fragment, std::size_t node_count) override;
  Compiled compile(const SharedMemory& fragment) override;
  void destroy(std::uint64_t id) noexcept override;
  void submit(std::uint64_t id, std::span<const Binding> inputs, std::span<const Binding> outputs,
              std::vector<NodeSpan>* spans) override;
  Telemetry telemetry() override;
  std::vector<std::byte> save(std::uint64_t id) override;
  Compiled load(Bytes artefact) override;

 private:
  template <typename Call>
  void call(const char* name, Call&& body) const;
  void open(const Target& target);
  void close() noexcept;
  Compiled adopt(naru_executable* executable);
  naru_executable* find(std::uint64_t id) const;
  void wait(naru_submission* submission) const;
  void submit_bound(naru_executable* executable, std::span<const naru_binding* const> inputs,
                    std::span<const naru_binding* const> outputs, std::vector<NodeSpan>* spans);
  bool uses_device_memory() const;

  const naru_plugin& api_;
  std::string name_;
  std::int64_t timeout_ns_;
  DeviceFacts facts_;
  naru_device* device_ = nullptr;
  mutable std::recursive_mutex serial_;  ///< held in each call unless the plug-in is thread-safe
  mutable std::shared_mutex mutex_;      ///< of the map
  std::map<std::uint64_t, naru_executable*> executables_;
  std::uint64_t next_id_ = 1;
};

}  // namespace naru::plugin
