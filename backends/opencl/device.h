// ClDevice: memory, programs and queues of one OpenCL device for generated kernels.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "backends/generated/kernel_device.h"
#include "backends/generated/program_cache.h"
#include "backends/opencl/memory.h"
#include "backends/opencl/profile.h"

namespace naru::opencl {

/// Builds OpenCL C in one context.
class ClCompiler final : public generated::ProgramCompiler {
 public:
  ClCompiler(cl_context context, const Profile& profile) : context_(context), profile_(profile) {}
  kernel::Dialect dialect() const override { return kernel::Dialect::OpenCl; }
  std::string identity() const override;
  /// By name for people; what tells drivers apart is part of the options.
  std::vector<std::string> targets() const override { return {"opencl:" + profile_.name}; }
  std::string options() const override { return identity(); }
  Output compile(const std::string& text) override;
  generated::Program load(std::span<const std::byte> binary) override;

 private:
  ProgramHandle build(const std::string& text) const;

  cl_context context_;
  const Profile& profile_;
};

class ClDevice final : public generated::KernelDevice {
 public:
  ClDevice(Profile profile, int workers);

  kernel::Target target() const override { return profile_.target(); }
  generated::Rates rates() const override;
  bool host_memory() const override { return profile_.host_memory; }
  generated::Memory allocate(std::int64_t size_bytes) override { return pool_->allocate(size_bytes); }
  generated::Memory wrap_host(const std::byte* data, std::int64_t size_bytes) override;
  void write(const Location& to, const std::byte* from, std::int64_t size_bytes) override;
  void read(const Location& from, std::byte* to, std::int64_t size_bytes) override;
  void add_code(std::span<const CodeBlob> code) override { programs_.add(code); }
  generated::ProgramCompiler& compiler() { return compiler_; }
  std::vector<generated::BuiltKernel> build(std::span<const kernel::Kernel* const> kernels) override { return programs_.get(kernels); }
  std::unique_ptr<generated::Sequence> sequence(std::vector<const kernel::Launch*> launches, std::vector<generated::BuiltKernel> built,
                                                int worker) override;

 private:
  friend class ClSequence;
  /// An in-order queue; the one of kSetupWorker serves any thread, under its mutex.
  struct Line {
    Queue queue;
    std::mutex mutex;
  };
  Line& line_of(int worker) { return *lines_[static_cast<std::size_t>(worker - generated::kSetupWorker)]; }

  Profile profile_;
  Context context_;
  std::shared_ptr<Pool> pool_;
  ClCompiler compiler_;
  generated::ProgramCache programs_;
  std::vector<std::unique_ptr<Line>> lines_;
};

}  // namespace naru::opencl
