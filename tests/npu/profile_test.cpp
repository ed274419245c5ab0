// Device profiles: what a vendor may write, what is refused, and how a profile changes where nodes run.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "backends/opencl/built_in/device_profile.h"
#include "naru/error.h"
#include "tests/backends/compare.h"
#include "tests/npu/environment.h"

namespace naru::npu_testing {
namespace {

namespace fs = std::filesystem;

std::string shipped() {
  std::ifstream file(PROFILE);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  const std::size_t at = text.find(what);
  EXPECT_NE(at, std::string::npos) << what;
  return text.replace(at, what.size(), by);
}

/// A profile in a folder of its own, in force while this lives.
class WrittenProfile {
 public:
  explicit WrittenProfile(const std::string& text)
      : folder_(fs::temp_directory_path() / ("naru_profile_" + std::to_string(getpid()))), path_(folder_.string()) {
    fs::create_directories(folder_);
    std::ofstream(folder_ / "device.json") << text;
  }
  ~WrittenProfile() { fs::remove_all(folder_); }

 private:
  fs::path folder_;
  ProfileFile path_;
};

TEST(DeviceProfile, ReadsTheOneThatShips) {
  const opencl::DeviceProfile profile = opencl::parse_device_profile(shipped(), "naru_npu.json");
  EXPECT_EQ(profile.device_name, "Naru simulated NPU");
  EXPECT_GT(profile.rows.size(), 20u);
  EXPECT_EQ(profile.check, opencl::Check::Canary);
}

TEST(DeviceProfile, NamesThePlaceOfWhatIsWrong) {
  const std::string good = shipped();
  const struct {
    std::string text, part;
  } bad[] = {
      {"{", "no valid JSON"},
      {"[]", "expected an object"},
      {std::string(100, '['), "nested deeper"},
      {replaced(good, "\"check\"", "\"chek\""), "profile.chek: got an unknown key"},
      {replaced(good, "\"canary\"", "\"hope\""), "profile.check: got 'hope'"},
      {replaced(good, "[0, 2, 3, 1]", "[0, 2, 2, 1]"), "profile.layouts.nhwc32.order: expected each axis once"},
      {replaced(good, "[1, 1, 1, 32]", "[1, 1, 0, 32]"), "align[2]: got 0"},
      {replaced(good, "\"X\": \"nhwc32\"", "\"X\": \"nope\""), "profile.kernels[0].layouts.X: got layout 'nope'"},
      {replaced(good, "\"int X.extent[0]\"", "\"uint X.extent[0]\""), "profile.kernels[0].arguments[4]: got 'uint X.extent[0]'"},
      {replaced(good, "group ? 1", "group ? one"), "expected a number behind '?'"},
      {replaced(good, "\"launch_s\": 5e-06", "\"launch_s\": -1"), "profile.cost.launch_s: got -1"},
      {replaced(good, "[\"f32\", \"f16\", \"bf16\"]", "[\"f33\"]"), "got element type 'f33'"},
  };
  for (const auto& [text, part] : bad) {
    try {
      opencl::parse_device_profile(text, "bad.json");
      ADD_FAILURE() << "expected: " << part;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::InvalidModel);
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
      EXPECT_NE(std::string(error.what()).find("bad.json"), std::string::npos) << error.what();
    }
  }
}

TEST(DeviceProfile, ADeviceWithoutOneIsListedWithTheReason) {
  const ProfileFile none("/no/such/folder");
  try {
    open_npu();
    FAIL() << "expected a refusal";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::Unsupported);
    EXPECT_NE(error.message().find("no device profile fits"), std::string::npos) << error.message();
  }
  const WrittenProfile broken("{}");
  EXPECT_THROW(open_npu(), Error);
}

TEST(DeviceProfile, HoldsF32AsF16WhereItSaysSo) {
  const WrittenProfile fast(replaced(shipped(), "\"types\"", "\"stored_as\": {\"f32\": \"f16\"}, \"types\""));
  const std::unique_ptr<Device> device = open_npu();
  test::Case network = test::network();
  const std::string steps = test::expect_like_reference(*device, network, {2e-3, 2e-2});
  EXPECT_NE(steps.find("npu.conv2d.f16"), std::string::npos) << steps;
}

TEST(DeviceProfile, RowsThatADeviceLacksAreNoKernels) {
  const WrittenProfile other(replaced(shipped(), "npu.softmax.{type}", "npu.other.{type}"));
  const std::unique_ptr<Device> device = open_npu();
  test::Case test;
  test.output(test.add("Softmax", {test.input({1, 8})}));
  EXPECT_EQ(device->support(test.graph)[0].reason, "the device lacks the built-in kernel npu.other.f32");
}

}  // namespace
}  // namespace naru::npu_testing
