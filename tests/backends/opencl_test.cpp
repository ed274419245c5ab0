// The opencl backend against the interpreter: fragments, copied memory, the program cache, errors.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "backends/registry.h"
#include "naru/error.h"
#include "tests/backends/compare.h"

namespace naru::test {
namespace {

namespace fs = std::filesystem;
using Ints = std::vector<std::int64_t>;

/// Why there is nothing to test on, or empty.
std::string missing_device() {
  for (const auto& backend : backends()) {
    if (backend->name() != "opencl") continue;
    const DeviceInfo info = backend->devices().front();
    return info.available ? "" : info.unavailable_reason;
  }
  return "this build has no opencl backend";
}

/// Sets an environment variable for one scope.
class ScopedVariable {
 public:
  ScopedVariable(const char* name, const std::string& value) : name_(name) { setenv(name, value.c_str(), 1); }
  ~ScopedVariable() { unsetenv(name_); }
  ScopedVariable(const ScopedVariable&) = delete;
  ScopedVariable& operator=(const ScopedVariable&) = delete;

 private:
  const char* name_;
};

class OpenCl : public testing::Test {
 protected:
  void SetUp() override {
    if (const std::string reason = missing_device(); !reason.empty()) GTEST_SKIP() << reason;
  }
};

TEST_F(OpenCl, RunsANetworkInHostMemory) {
  const std::unique_ptr<Device> device = open_device("opencl");
  Case test = network();
  const std::string steps = expect_like_reference(*device, test);
  EXPECT_NE(steps.find("once"), std::string::npos) << steps;  // weights are packed when compiled
}

TEST_F(OpenCl, RunsANetworkInItsOwnMemory) {
  const ScopedVariable memory("NARU_OPENCL_MEMORY", "device");
  const std::unique_ptr<Device> device = open_device("opencl");
  EXPECT_FALSE(device->info().host_memory);
  Case test = network();
  expect_like_reference(*device, test);
}

TEST_F(OpenCl, ReusesMemoryOfBuffersThatAreGone) {
  const ScopedVariable memory("NARU_OPENCL_MEMORY", "device");
  const std::unique_ptr<Device> device = open_device("opencl");
  const std::vector<std::byte> written(1000, std::byte{7});
  for (int round = 0; round < 100; ++round) {
    const std::unique_ptr<Buffer> a = device->allocate(1000);
    const std::unique_ptr<Buffer> b = device->allocate(64 << 20);
    device->write({a.get(), 0, 1000}, written.data());
    std::vector<std::byte> read(500);
    device->read({a.get(), 500, 500}, read.data());
    EXPECT_EQ(read, std::vector<std::byte>(500, std::byte{7}));
  }
  EXPECT_THROW(device->allocate(INT64_C(1) << 60), Error);
}

TEST_F(OpenCl, LoadsCachedProgramsAndDoubtsDamagedOnes) {
  const fs::path folder = fs::temp_directory_path() / "naru_opencl_cache_test";
  fs::remove_all(folder);
  const ScopedVariable cache("NARU_CACHE", folder.string());
  const auto run = [] {
    const std::unique_ptr<Device> device = open_device("opencl");
    Case test;
    test.output(test.add("Sigmoid", {test.input({40})}));
    expect_like_reference(*device, test);
  };
  run();
  std::vector<fs::path> programs;
  for (const auto& entry : fs::directory_iterator(folder / "opencl")) {
    if (entry.path().extension() == ".program") programs.push_back(entry.path());
  }
  ASSERT_EQ(programs.size(), 1u);
  const auto written = fs::last_write_time(programs[0]);
  run();
  EXPECT_EQ(fs::last_write_time(programs[0]), written);  // loaded, not compiled
  {
    std::fstream file(programs[0], std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(200);
    file.put('?');
  }
  run();
  EXPECT_NE(fs::last_write_time(programs[0]), written);  // compiled again
  fs::permissions(folder / "opencl", fs::perms::others_write, fs::perm_options::add);
  fs::remove(programs[0]);
  run();
  EXPECT_FALSE(fs::exists(programs[0]));  // a folder that others can write to is left alone
  fs::remove_all(folder);
}

TEST_F(OpenCl, RunsCodeThatAModelCarriesAndDoubtsDamagedCode) {
  const ScopedVariable cache("NARU_CACHE", "");
  Case test;
  test.output(test.add("Sigmoid", {test.input({40})}));
  const std::unique_ptr<Device> compiler = open_compiler("opencl:0");
  compiler->compile(std::make_shared<const Graph>(test.graph));
  std::vector<CodeBlob> code = compiler->code();
  ASSERT_EQ(code.size(), 1u);
  EXPECT_EQ(code[0].target, "opencl:" + open_device("opencl")->info().name);
  std::vector<std::byte> bytes(code[0].bytes.begin(), code[0].bytes.end());
  for (const bool damaged : {false, true}) {
    if (damaged) bytes[bytes.size() / 2] ^= std::byte{1};
    code[0].bytes = bytes;
    const std::unique_ptr<Device> device = open_device("opencl");
    device->add_code(code);
    expect_like_reference(*device, test);
  }
}

TEST_F(OpenCl, ReportsIndicesOutOfRangeWithTheNode) {
  const std::unique_ptr<Device> device = open_device("opencl");
  Case test;
  test.output(test.add("Gather", {test.input({4, 5}), test.input({2}, 7, 9, DType::I64)}));
  const auto fragment = std::make_shared<const Graph>(test.graph);
  const auto executable = device->compile(fragment);
  try {
    run_on(*device, executable, test.graph, test.feeds);
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::InvalidArgument);
    EXPECT_NE(std::string(error.what()).find("Gather"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("index out of range"), std::string::npos) << error.what();
  }
}

TEST_F(OpenCl, RunsSideBySide) {
  const std::unique_ptr<Device> device = open_device("opencl", {.threads = 0, .streams = 2});
  Case test = network();
  const auto fragment = std::make_shared<const Graph>(test.graph);
  const auto executable = device->compile(fragment);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 10; ++round) run_on(*device, executable, test.graph, test.feeds);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace naru::test
