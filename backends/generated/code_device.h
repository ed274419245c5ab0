// CodeDevice: the device that compiles kernels ahead of time and runs nothing.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "backends/backend.h"
#include "backends/generated/kernel_device.h"
#include "backends/generated/program_compiler.h"

namespace naru::generated {

class CodeDevice final : public Device {
 public:
  CodeDevice(std::shared_ptr<ProgramCompiler> compiler, const kernel::Target& target, const Rates& rates, std::string name);

  const DeviceInfo& info() const override { return info_; }
  std::vector<Verdict> support(const Graph& graph) const override;
  std::unique_ptr<Buffer> allocate(std::int64_t size_bytes) override;
  void write(const BufferView& to, const std::byte* from) override;
  void read(const BufferView& from, std::byte* to) override;
  /// Compiles the fragment's kernels that were not compiled yet, together as one program.
  std::shared_ptr<const Executable> compile(std::shared_ptr<const Graph> fragment) override;
  EventPtr submit(Submission submission) override;
  std::vector<CodeBlob> code() const override;

 private:
  [[noreturn]] void refuse() const;

  std::shared_ptr<ProgramCompiler> compiler_;
  kernel::Target target_;
  Rates rates_;
  DeviceInfo info_;
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<const std::string>> programs_;  // by the key of a kernel
};

}  // namespace naru::generated
