// The cuda backend: generated CUDA C on NVIDIA GPUs, through the driver that is found at run time.
#include <algorithm>

#include "backends/backend.h"
#include "backends/cuda/device.h"
#include "backends/generated/code_device.h"
#include "backends/generated/program_device.h"
#include "graph/fail.h"

namespace naru {
namespace cuda {
namespace {

class CudaBackend final : public Backend {
 public:
  std::string name() const override { return "cuda"; }

  std::vector<DeviceInfo> devices() const override {
    const Discovery found = find_devices();
    if (!found.reason.empty()) return {generated::unavailable_device("cuda:0", "CUDA", found.reason)};
    std::vector<DeviceInfo> list;
    for (const Profile& profile : found.profiles) list.push_back(profile.info());
    return list;
  }

  std::unique_ptr<Device> open(int index, const DeviceOptions& options) const override {
    const Discovery found = find_devices();
    if (!found.reason.empty()) fail(ErrorCode::Unsupported, "cuda: {}", found.reason);
    if (index < 0 || static_cast<std::size_t>(index) >= found.profiles.size()) {
      fail(ErrorCode::Device, "cuda: got device {}, expected one below {}", index, found.profiles.size());
    }
    const Profile& profile = found.profiles[static_cast<std::size_t>(index)];
    const int workers = std::max(options.streams, 1);
    return std::make_unique<generated::ProgramDevice>(std::make_unique<CudaDevice>(profile, workers), profile.info(), workers);
  }

  /// `target` is an architecture, "sm_90"; neither a GPU nor its driver is needed.
  std::unique_ptr<Device> open_compiler(std::string_view target) const override {
    const Architecture architecture = architecture_from(std::string(target));
    if (!nvrtc_missing().empty()) fail(ErrorCode::Unsupported, "cuda: {}", nvrtc_missing());
    return std::make_unique<generated::CodeDevice>(std::make_shared<CudaCompiler>(nullptr, architecture), kernel_target(),
                                                   generated::Rates{1e12, 1e12, 5e-6}, to_string(architecture));
  }
};

}  // namespace
}  // namespace cuda

std::unique_ptr<Backend> make_cuda_backend() { return std::make_unique<cuda::CudaBackend>(); }

}  // namespace naru
