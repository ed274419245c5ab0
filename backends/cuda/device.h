// CudaDevice: memory, modules and streams of one GPU for generated kernels.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "backends/cuda/compiler.h"
#include "backends/cuda/memory.h"
#include "backends/cuda/profile.h"
#include "backends/generated/program_cache.h"

namespace naru::cuda {

/// What runs in order: a worker's stream, or that of kSetupWorker, which serves any thread under its mutex.
struct Line {
  std::mutex mutex;
  Stream stream;
};

class CudaDevice final : public generated::KernelDevice {
 public:
  CudaDevice(const Profile& profile, int workers);

  kernel::Target target() const override { return kernel_target(); }
  generated::Rates rates() const override { return profile_.rates(); }
  bool host_memory() const override { return false; }
  bool dispensable() const override { return true; }
  generated::Memory allocate(std::int64_t size_bytes) override { return pool_->allocate(size_bytes); }
  generated::Memory wrap_host(const std::byte* data, std::int64_t size_bytes) override;
  void write(const generated::Location& to, const std::byte* from, std::int64_t size_bytes) override {
    staging_.write(address_of(to), from, size_bytes);
  }
  void read(const generated::Location& from, std::byte* to, std::int64_t size_bytes) override {
    staging_.read(address_of(from), to, size_bytes);
  }
  /// Without NVRTC only code that a model carries runs here.
  std::string build_obstacle() const override { return programs_.has_code() ? std::string() : nvrtc_missing(); }
  void add_code(std::span<const CodeBlob> code) override { programs_.add(code); }
  std::vector<generated::BuiltKernel> build(std::span<const kernel::Kernel* const> kernels) override { return programs_.get(kernels); }
  std::unique_ptr<generated::Sequence> sequence(std::vector<const kernel::Launch*> launches, std::vector<generated::BuiltKernel> built,
                                                int worker) override;

 private:
  Profile profile_;
  ContextPtr context_;
  std::shared_ptr<Pool> pool_;
  Staging staging_;
  CudaCompiler compiler_;
  generated::ProgramCache programs_;
  std::vector<std::unique_ptr<Line>> lines_;
};

}  // namespace naru::cuda
