// The cuda backend on the emulated machine: results, order of work, graphs, memory, faults.
#include <gtest/gtest.h>

#include <thread>

#include "backends/cuda/api.h"
#include "backends/registry.h"
#include "graph/serialize.h"
#include "naru/engine.h"
#include "tests/backends/cuda/fixture.h"

namespace naru::test {
namespace {

using Ints = std::vector<std::int64_t>;

DeviceInfo first_device() {
  for (const auto& backend : backends()) {
    if (backend->name() == "cuda") return backend->devices().front();
  }
  return {};
}

TEST_F(Cuda, ListsWhatTheDriverFinds) {
  emulator::reset({.gpus = 2, .capability_major = 9, .capability_minor = 0});
  const DeviceInfo info = first_device();
  EXPECT_TRUE(info.available) << info.unavailable_reason;
  EXPECT_EQ(info.id, "cuda:0");
  EXPECT_EQ(info.name, "emulated GPU");
  EXPECT_NE(info.description.find("sm_90"), std::string::npos) << info.description;
  EXPECT_NE(info.description.find("driver CUDA 12.4"), std::string::npos) << info.description;
  EXPECT_EQ(open_device("cuda:1")->info().id, "cuda:1");
}

TEST_F(Cuda, GivesTheReasonWhereNoGpuCanBeUsed) {
  emulator::reset({.driver_version = 11040});
  EXPECT_EQ(first_device().unavailable_reason, "the NVIDIA driver is too old: got CUDA 11.4, expected 12.0 or later");
  emulator::reset({.init_status = 100});
  EXPECT_EQ(first_device().unavailable_reason, "the NVIDIA driver does not start: CUDA_ERROR_NO_DEVICE");
  emulator::reset({.gpus = 0});
  EXPECT_EQ(first_device().unavailable_reason, "the NVIDIA driver finds no GPU");
  expect_says(error_of([] { open_device("cuda"); }), ErrorCode::Unsupported, "finds no GPU");
  emulator::reset({.capability_major = 7, .capability_minor = 5});
  EXPECT_EQ(first_device().unavailable_reason, "got compute capability 7.5, expected 8.0 or later");
}

TEST_F(Cuda, SaysWhatAnAbsentOrOldLibraryLacks) {
  EXPECT_NE(cuda::open_driver("libnone.so.1").missing.find("no NVIDIA driver (install"), std::string::npos);
  EXPECT_NE(cuda::open_driver("libm.so.6").missing.find("too old, it lacks cuInit"), std::string::npos);
}

TEST_F(Cuda, RunsANetwork) {
  const std::unique_ptr<Device> device = open_device("cuda");
  Case test = network();
  const std::string steps = expect_like_reference(*device, test);
  EXPECT_NE(steps.find("once"), std::string::npos) << steps;  // weights are packed when compiled
}

TEST_F(Cuda, RunsWithoutMemoryPools) {
  emulator::reset({.memory_pools = false});
  const std::unique_ptr<Device> device = open_device("cuda");
  Case test = network();
  expect_like_reference(*device, test);
  EXPECT_EQ(emulator::count("cuMemAllocFromPoolAsync"), 0);
}

TEST_F(Cuda, CompilesPtxForANewerGpuThanTheCompilerKnows) {
  emulator::reset({.capability_major = 13, .architectures = {80, 90}});
  const std::unique_ptr<Device> device = open_device("cuda");
  Case test;
  test.output(test.add("Sigmoid", {test.input({40})}));
  expect_like_reference(*device, test);
}

TEST_F(Cuda, CopiesLargeBuffersInParts) {
  const std::unique_ptr<Device> device = open_device("cuda");
  const std::size_t size = (std::size_t{4} << 20) * 3 + 5;
  std::vector<std::byte> written(size);
  for (std::size_t i = 0; i < size; ++i) written[i] = static_cast<std::byte>(i * 31 >> 3);
  const std::unique_ptr<Buffer> buffer = device->allocate(static_cast<std::int64_t>(size) + 3);
  emulator::forget_calls();
  device->write({buffer.get(), 3, static_cast<std::int64_t>(size)}, written.data());
  EXPECT_EQ(emulator::count("cuMemcpyHtoDAsync"), 4);
  std::vector<std::byte> read(size);
  device->read({buffer.get(), 3, static_cast<std::int64_t>(size)}, read.data());
  EXPECT_TRUE(read == written);
}

/// One run with buffers that the caller keeps.
void run_with(Device& device, const std::shared_ptr<const Executable>& executable, Buffer& input, Buffer& output) {
  Submission submission;
  submission.executable = executable;
  submission.inputs = {{&input, 0, input.size_bytes()}};
  submission.outputs = {{&output, 0, output.size_bytes()}};
  device.submit(std::move(submission))->wait();
}

TEST_F(Cuda, LaunchesAGraphFromTheSecondRunOn) {
  const std::unique_ptr<Device> device = open_device("cuda");
  Case test = network();
  const auto executable = device->compile(std::make_shared<const Graph>(test.graph));
  const std::unique_ptr<Buffer> input = device->allocate(test.feeds[0].size_bytes());
  const std::unique_ptr<Buffer> output = device->allocate(40);
  device->write({input.get(), 0, input->size_bytes()}, test.feeds[0].data());
  std::vector<std::vector<std::byte>> results;
  for (int run = 0; run < 4; ++run) {
    emulator::forget_calls();
    run_with(*device, executable, *input, *output);
    EXPECT_EQ(emulator::count("cuGraphLaunch"), run == 0 ? 0 : 1);
    EXPECT_EQ(emulator::count("cuGraphInstantiate"), run == 1 ? 1 : 0);
    EXPECT_EQ(emulator::count("cuLaunchKernel") == 0, run > 0);
    results.emplace_back(40);
    device->read({output.get(), 0, 40}, results.back().data());
  }
  EXPECT_TRUE(results[0] == results[1] && results[1] == results[2] && results[2] == results[3]);
}

TEST_F(Cuda, UpdatesTheGraphWhereAddressesChange) {
  const std::unique_ptr<Device> device = open_device("cuda");
  Case test;
  ValueId x = test.input({64});
  for (int i = 0; i < 3; ++i) x = test.add("CumSum", {x, test.ints({0})});
  test.output(x);
  const auto executable = device->compile(std::make_shared<const Graph>(test.graph));
  const std::vector<float> ones(64, 1.0F);
  const std::unique_ptr<Buffer> inputs[2] = {device->allocate(256), device->allocate(256)};
  const std::unique_ptr<Buffer> outputs[2] = {device->allocate(256), device->allocate(256)};
  for (const auto& input : inputs) device->write({input.get(), 0, 256}, reinterpret_cast<const std::byte*>(ones.data()));
  for (int run = 0; run < 3; ++run) run_with(*device, executable, *inputs[0], *outputs[0]);
  EXPECT_EQ(emulator::count("cuGraphExecKernelNodeSetParams"), 0);
  run_with(*device, executable, *inputs[1], *outputs[1]);
  EXPECT_EQ(emulator::count("cuGraphInstantiate"), 1);
  EXPECT_EQ(emulator::count("cuGraphExecKernelNodeSetParams"), 2);  // the first and the last of the chain
  std::vector<float> sums(64);
  device->read({outputs[1].get(), 0, 256}, reinterpret_cast<std::byte*>(sums.data()));
  EXPECT_EQ(sums[2], 10.0F);  // 1 + 3 + 6
}

TEST_F(Cuda, FoldsGridsThatTheDriverDoesNotTake) {
  const std::unique_ptr<Device> device = open_device("cuda");
  const Shape shape = {70001, 2, 3};
  Case transpose;
  transpose.output(transpose.add("Transpose", {transpose.input(shape)}, {{"perm", Ints{0, 2, 1}}}));
  expect_like_reference(*device, transpose);
  Case slice;
  slice.output(slice.add("Slice", {slice.input(shape), slice.ints({0, 1, 0}), slice.ints({70001, 2, 2})}));
  expect_like_reference(*device, slice);
}

TEST_F(Cuda, TimesEachKernel) {
  const std::unique_ptr<Device> device = open_device("cuda");
  Case test = network();
  const auto executable = device->compile(std::make_shared<const Graph>(test.graph));
  const std::unique_ptr<Buffer> input = device->allocate(test.feeds[0].size_bytes());
  const std::unique_ptr<Buffer> output = device->allocate(40);
  std::vector<NodeSpan> spans;
  Submission submission;
  submission.executable = executable;
  submission.inputs = {{input.get(), 0, input->size_bytes()}};
  submission.outputs = {{output.get(), 0, 40}};
  submission.spans = &spans;
  device->submit(std::move(submission))->wait();
  ASSERT_GE(spans.size(), 4U);
  for (std::size_t i = 0; i < spans.size(); ++i) {
    EXPECT_LT(spans[i].start_ns, spans[i].end_ns) << spans[i].kernel;
    EXPECT_EQ(spans[i].start_ns, i == 0 ? spans[0].start_ns : spans[i - 1].end_ns);
  }
}

TEST_F(Cuda, ReportsIndicesOutOfRangeWithTheNode) {
  const std::unique_ptr<Device> device = open_device("cuda");
  Case test;
  test.output(test.add("Gather", {test.input({4, 5}), test.input({2}, 7, 9, DType::I64)}));
  const auto executable = device->compile(std::make_shared<const Graph>(test.graph));
  for (int run = 0; run < 2; ++run) {
    const Error error = error_of([&] { run_on(*device, executable, test.graph, test.feeds); });
    expect_says(error, ErrorCode::InvalidArgument, "Gather");
    expect_says(error, ErrorCode::InvalidArgument, "index out of range");
  }
}

TEST_F(Cuda, RunsSideBySide) {
  const std::unique_ptr<Device> device = open_device("cuda", {.threads = 0, .streams = 2});
  Case test = network();
  const auto executable = device->compile(std::make_shared<const Graph>(test.graph));
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 10; ++round) run_on(*device, executable, test.graph, test.feeds);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_F(Cuda, SaysHowMuchMemoryIsFree) {
  emulator::reset({.memory_bytes = 1 << 20});
  const std::unique_ptr<Device> device = open_device("cuda");
  const std::unique_ptr<Buffer> half = device->allocate(1 << 19);
  expect_says(error_of([&] { device->allocate(1 << 20); }), ErrorCode::OutOfMemory, "got a request for 1048576 bytes, 524288 of 1048576 are free");
  EXPECT_EQ(emulator::count("cuMemPoolTrimTo"), 1);
  EXPECT_NE(device->allocate(1 << 18), nullptr);  // the device goes on
}

TEST_F(Cuda, TrimsThePoolBeforeItGivesUp) {
  const std::unique_ptr<Device> device = open_device("cuda");
  emulator::fail("cuMemAllocFromPoolAsync", 2);
  EXPECT_NE(device->allocate(100), nullptr);
  EXPECT_EQ(emulator::count("cuMemPoolTrimTo"), 1);
}

TEST_F(Cuda, RefusesBuffersOfAnotherDevice) {
  emulator::reset({.gpus = 2});
  const std::unique_ptr<Device> device = open_device("cuda:0");
  const std::unique_ptr<Device> other = open_device("cuda:1");
  Case test;
  test.output(test.add("Relu", {test.input({4})}));
  const auto executable = device->compile(std::make_shared<const Graph>(test.graph));
  const std::unique_ptr<Buffer> input = other->allocate(16);
  const std::unique_ptr<Buffer> output = device->allocate(16);
  expect_says(error_of([&] { run_with(*device, executable, *input, *output); }), ErrorCode::InvalidArgument, "expected 16 bytes of this device's memory");
}

TEST_F(Cuda, GoesOnAfterALaunchThatWasRefused) {
  const std::unique_ptr<Device> device = open_device("cuda");
  Case test = network();
  const auto executable = device->compile(std::make_shared<const Graph>(test.graph));
  emulator::fail("cuLaunchKernel", 1, 2);  // after two launches of the run are queued
  expect_says(error_of([&] { run_on(*device, executable, test.graph, test.feeds); }), ErrorCode::Device, "launching a kernel failed");
  EXPECT_EQ(run_on(*device, executable, test.graph, test.feeds).size(), 1U);
}

/// What remains of an open device whose context is beyond use.
std::map<std::string, int> remains() { return emulator::living(); }

TEST_F(Cuda, FencesTheDeviceAfterAFaultOfAKernel) {
  {
    const std::unique_ptr<Device> device = open_device("cuda");
    EXPECT_TRUE(device->dispensable());
    Case test = network();
    const auto executable = device->compile(std::make_shared<const Graph>(test.graph));
    const std::unique_ptr<Buffer> buffer = device->allocate(16);
    emulator::fail("cuStreamSynchronize", 700, 3);  // the buffers' three, then the run
    expect_says(error_of([&] {
                  for (int run = 0; run < 3; ++run) run_on(*device, executable, test.graph, test.feeds);
                }),
                ErrorCode::Device, "CUDA_ERROR_ILLEGAL_ADDRESS");
    emulator::forget_calls();
    const Error later = error_of([&] { device->allocate(16); });
    expect_says(later, ErrorCode::Device, "cuda:0: fenced");
    expect_says(later, ErrorCode::Device, "CUDA_ERROR_ILLEGAL_ADDRESS");
    std::byte byte{};
    expect_says(error_of([&] { device->read({buffer.get(), 0, 1}, &byte); }), ErrorCode::Device, "fenced");
    expect_says(error_of([&] { run_with(*device, executable, *buffer, *buffer); }), ErrorCode::InvalidArgument, "submission");
    EXPECT_EQ(emulator::calls(), std::vector<std::string>());  // nothing is asked of the driver any more
  }
  left_ = remains();
  EXPECT_EQ(left_.count("context"), 1U);
}

TEST_F(Cuda, MovesRunsToTheNextDeviceAfterAFault) {
  const emulator::ScratchFolder folder;
  Case test = network();
  save_naru(test.graph, folder / "network.naru");
  {
    EngineOptions options;
    options.devices = {"cuda", "cpu"};
    Engine engine(options);
    Session session = engine.load(folder / "network.naru").create_session();
    const Tensor before = session.run({test.feeds[0]})[0].tensor;
    emulator::fail("cuStreamSynchronize", 719);
    for (int run = 0; run < 2; ++run) expect_close(session.run({test.feeds[0]})[0].tensor, before, {});
    EXPECT_NE(first_device().id, "");  // listing devices asks no context and goes on
  }
  left_ = remains();
}

TEST_F(Cuda, FencesADeviceThatIsGone) {
  {
    const std::unique_ptr<Device> device = open_device("cuda");
    const std::unique_ptr<Buffer> buffer = device->allocate(16);
    emulator::fail("cuMemcpyHtoDAsync", 46);
    std::byte bytes[16] = {};
    expect_says(error_of([&] { device->write({buffer.get(), 0, 16}, bytes); }), ErrorCode::Device, "CUDA_ERROR_DEVICE_UNAVAILABLE");
    expect_says(error_of([&] { device->write({buffer.get(), 0, 16}, bytes); }), ErrorCode::Device, "fenced");
  }
  left_ = remains();
}

}  // namespace
}  // namespace naru::test
