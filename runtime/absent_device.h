// AbsentDevice: stands in the place of a device that failed, so that the others keep their numbers.
#pragma once

#include "backends/backend.h"
#include "graph/fail.h"

namespace naru {

/// Refuses every node with what went wrong.
class AbsentDevice final : public Device {
 public:
  AbsentDevice(DeviceInfo info, std::string reason) : info_(std::move(info)), reason_(std::move(reason)) {}

  const DeviceInfo& info() const override { return info_; }
  std::vector<Verdict> support(const Graph& graph) const override {
    return std::vector<Verdict>(graph.nodes.size(), Verdict{Tier::None, reason_, 0});
  }
  std::unique_ptr<Buffer> allocate(std::int64_t) override { refuse(); }
  void write(const BufferView&, const std::byte*) override { refuse(); }
  void read(const BufferView&, std::byte*) override { refuse(); }
  std::shared_ptr<const Executable> compile(std::shared_ptr<const Graph>) override { refuse(); }
  EventPtr submit(Submission) override { refuse(); }

 private:
  [[noreturn]] void refuse() const { fail(ErrorCode::Device, "device {}: {}", info_.id, reason_); }

  DeviceInfo info_;
  std::string reason_;
};

}  // namespace naru
