// BuiltInDevice: a device without a compiler, which runs what its profile says its built-in kernels can.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "backends/backend.h"
#include "backends/fence.h"
#include "backends/generated/constant_pool.h"
#include "backends/host_queue.h"
#include "backends/opencl/built_in/choice.h"
#include "backends/opencl/built_in/executable.h"
#include "backends/opencl/built_in/runner.h"

namespace naru::opencl {

class BuiltInDevice final : public Device {
 public:
  BuiltInDevice(const Profile& device, DeviceProfile profile, DeviceInfo info);

  const DeviceInfo& info() const override { return info_; }
  bool dispensable() const override { return true; }
  std::vector<Verdict> support(const Graph& graph) const override;
  std::unique_ptr<Buffer> allocate(std::int64_t size_bytes) override;
  void write(const BufferView& to, const std::byte* from) override;
  void read(const BufferView& from, std::byte* to) override;
  std::shared_ptr<const Executable> compile(std::shared_ptr<const Graph> fragment) override;
  EventPtr submit(Submission submission) override;

 private:
  void run(const Submission& submission);
  void run_checked(const Submission& submission, const CallExecutable& executable);
  void make_canary();
  void check_canary();
  /// Runs `body` unless the fence is up; counts its faults.
  template <typename Body>
  auto guarded(Body&& body) -> decltype(body());

  DeviceInfo info_;
  DeviceProfile profile_;
  Chooser chooser_;
  Fence fence_;
  Runner runner_;
  generated::ConstantPool constants_;
  std::shared_ptr<const CallExecutable> canary_;
  std::unique_ptr<Buffer> canary_input_, canary_output_;
  std::vector<std::byte> canary_result_;
  HostQueue queue_;  // last: its thread uses the rest
};

}  // namespace naru::opencl
