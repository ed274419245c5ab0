// CudaDevice: its parts put together.
#include "backends/cuda/device.h"

#include "backends/cuda/sequence.h"
#include "graph/fail.h"

namespace naru::cuda {

CudaDevice::CudaDevice(const Profile& profile, int workers)
    : profile_(profile),
      context_(std::make_shared<const Context>(profile.ordinal)),
      pool_(std::make_shared<Pool>(context_, profile.memory_pools)),
      staging_(context_),
      compiler_(context_, profile.architecture),
      programs_(compiler_, "cuda") {
  const Context::Current current = context_->enter();
  for (int worker = generated::kSetupWorker; worker < workers; ++worker) {
    lines_.push_back(std::make_unique<Line>());
    lines_.back()->stream = make_stream(context_);
  }
}

generated::Memory CudaDevice::wrap_host(const std::byte*, std::int64_t) {
  fail(ErrorCode::Internal, "cuda: host memory is copied, never used in place");
}

std::unique_ptr<generated::Sequence> CudaDevice::sequence(std::vector<const kernel::Launch*> launches,
                                                          std::vector<generated::BuiltKernel> built, int worker) {
  Line& line = *lines_[static_cast<std::size_t>(worker - generated::kSetupWorker)];
  return std::make_unique<CudaSequence>(context_, line, std::move(launches), std::move(built));
}

}  // namespace naru::cuda
