// The opencl backend: generated OpenCL C on every device that the ICD loader finds.
#include <algorithm>
#include <charconv>
#include <utility>

#include "backends/backend.h"
#include "backends/generated/code_device.h"
#include "backends/generated/program_device.h"
#include "backends/opencl/device.h"
#include "graph/fail.h"

namespace naru {
namespace opencl {
namespace {

class ClBackend final : public Backend {
 public:
  std::string name() const override { return "opencl"; }

  std::vector<DeviceInfo> devices() const override {
    if (!missing().empty()) return {absent(missing())};
    std::vector<DeviceInfo> list;
    for (const Profile& profile : find_devices()) list.push_back(profile.info(static_cast<int>(list.size())));
    if (list.empty()) return {absent("no OpenCL device: install the driver of one (for the CPU, Debian: pocl-opencl-icd)")};
    return list;
  }

  std::unique_ptr<Device> open(int index, const DeviceOptions& options) const override {
    const Profile profile = profile_of(index);
    const int workers = std::max(options.streams, 1);
    return std::make_unique<generated::ProgramDevice>(std::make_unique<ClDevice>(profile, workers), profile.info(index), workers);
  }

  /// OpenCL compiles for the devices that are there: `target` is an index.
  std::unique_ptr<Device> open_compiler(std::string_view target) const override {
    if (!missing().empty()) fail(ErrorCode::Unsupported, "opencl: {}", missing());
    int index = -1;
    std::from_chars(target.data(), target.data() + target.size(), index);
    const Profile profile = profile_of(index);
    const auto device = std::make_shared<ClDevice>(profile, 1);
    return std::make_unique<generated::CodeDevice>(std::shared_ptr<generated::ProgramCompiler>(device, &device->compiler()), device->target(),
                                                   device->rates(), profile.name);
  }

 private:
  static DeviceInfo absent(std::string reason) { return generated::unavailable_device("opencl:0", "OpenCL", std::move(reason)); }

  static Profile profile_of(int index) {
    const std::vector<Profile> profiles = find_devices();
    if (index < 0 || static_cast<std::size_t>(index) >= profiles.size()) {
      fail(ErrorCode::Device, "opencl: got device {}, expected one below {}", index, profiles.size());
    }
    return profiles[static_cast<std::size_t>(index)];
  }
};

}  // namespace
}  // namespace opencl

std::unique_ptr<Backend> make_opencl_backend() { return std::make_unique<opencl::ClBackend>(); }

}  // namespace naru
