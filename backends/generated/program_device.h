// ProgramDevice: the Device that runs fragments as programs of generated kernels on a KernelDevice.
#pragma once

#include <memory>
#include <vector>

#include "backends/backend.h"
#include "backends/generated/program_executable.h"
#include "backends/host_queue.h"

namespace naru::generated {

/// One verdict per node: which generated kernel runs it on such a device, or why none does.
std::vector<Verdict> support_of(const Graph& graph, const kernel::Target& target, const Rates& rates);

/// The entry that a backend without devices lists: it says what is missing.
DeviceInfo unavailable_device(std::string id, std::string name, std::string reason);

class ProgramDevice final : public Device {
 public:
  ProgramDevice(std::unique_ptr<KernelDevice> device, DeviceInfo info, int workers);

  const DeviceInfo& info() const override { return info_; }
  bool dispensable() const override { return device_->dispensable(); }
  std::vector<Verdict> support(const Graph& graph) const override;
  std::unique_ptr<Buffer> allocate(std::int64_t size_bytes) override;
  void write(const BufferView& to, const std::byte* from) override;
  void read(const BufferView& from, std::byte* to) override;
  std::shared_ptr<const Executable> compile(std::shared_ptr<const Graph> fragment) override;
  void add_code(std::span<const CodeBlob> code) override { device_->add_code(code); }
  EventPtr submit(Submission submission) override;

 private:
  DeviceInfo info_;
  std::unique_ptr<KernelDevice> device_;
  kernel::Target target_;
  ConstantPool constants_;
  std::vector<Arena> arenas_;  // by worker
  HostQueue queue_;            // last: its threads use the rest
};

}  // namespace naru::generated
