// The opencl backend: generated OpenCL C on every device that the ICD loader finds.
#include <algorithm>
#include <utility>

#include "backends/backend.h"
#include "backends/generated/code_device.h"
#include "backends/generated/program_device.h"
#include "backends/opencl/built_in/device.h"
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
    for (const Profile& profile : find_devices()) list.push_back(info_of(profile, static_cast<int>(list.size())));
    if (list.empty()) return {absent("no OpenCL device: install the driver of one (for the CPU, Debian: pocl-opencl-icd)")};
    return list;
  }

  std::unique_ptr<Device> open(int index, const DeviceOptions& options) const override {
    const Profile profile = profile_of(index);
    if (!profile.compiler) return open_built_in(profile, index);
    const int workers = std::max(options.streams, 1);
    return std::make_unique<generated::ProgramDevice>(std::make_unique<ClDevice>(profile, workers), profile.info(index), workers);
  }

  /// OpenCL compiles for the devices that are there: `target` is an index.
  std::unique_ptr<Device> open_compiler(std::string_view target) const override {
    if (!missing().empty()) fail(ErrorCode::Unsupported, "opencl: {}", missing());
    const std::optional<int> index = parse_device_index(target);
    if (!index) fail(ErrorCode::InvalidArgument, "target 'opencl:{}': got '{}', expected the index of a device", target, target);
    const Profile profile = profile_of(*index);
    if (!profile.compiler) fail(ErrorCode::Unsupported, "target 'opencl:{}': {} has no compiler", target, profile.name);
    const auto device = std::make_shared<ClDevice>(profile, 1);
    return std::make_unique<generated::CodeDevice>(std::shared_ptr<generated::ProgramCompiler>(device, &device->compiler()), device->target(),
                                                   device->rates(), profile.name);
  }

 private:
  static DeviceInfo absent(std::string reason) { return generated::unavailable_device("opencl:0", "OpenCL", std::move(reason)); }

  /// A device without a compiler is of use when a profile says what its built-in kernels do.
  static DeviceInfo info_of(const Profile& profile, int index) {
    DeviceInfo info = profile.info(index);
    if (profile.compiler || !profile.available) return info;
    std::vector<std::string> problems;
    const std::optional<DeviceProfile> built_in = find_device_profile(profile, problems);
    info.available = built_in.has_value();
    if (!built_in) {
      info.unavailable_reason += "; no device profile fits it (NARU_DEVICE_PROFILES)";
      for (const std::string& problem : problems) info.unavailable_reason += "; " + problem;
      return info;
    }
    info.unavailable_reason.clear();
    info.automatic = built_in->automatic;
    info.description += ", built-in kernels by " + built_in->path;
    for (std::string_view rest = profile.built_in_kernels; !rest.empty();) {
      const std::size_t end = std::min(rest.find(';'), rest.size());
      info.features.push_back("kernel " + std::string(rest.substr(0, end)));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return info;
  }

  static std::unique_ptr<Device> open_built_in(const Profile& profile, int index) {
    std::vector<std::string> problems;
    std::optional<DeviceProfile> built_in = find_device_profile(profile, problems);
    DeviceInfo info = info_of(profile, index);
    if (!built_in) fail(ErrorCode::Unsupported, "device '{}': {}", info.id, info.unavailable_reason);
    return std::make_unique<BuiltInDevice>(profile, std::move(*built_in), std::move(info));
  }

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
