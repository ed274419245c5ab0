// Kernels compiled ahead of time: made without a GPU, carried by a model, run without a compiler.
#include <gtest/gtest.h>

#include "backends/registry.h"
#include "graph/serialize.h"
#include "naru/engine.h"
#include "tests/backends/cuda/fixture.h"

namespace naru::test {
namespace {

class CudaAheadOfTime : public Cuda {
 protected:
  void SetUp() override {
    Cuda::SetUp();
    setenv("NARU_CACHE", "", 1);
  }
};

std::vector<CodeBlob> code_for(const std::string& target, const Case& test) {
  const std::unique_ptr<Device> compiler = open_compiler(target);
  compiler->compile(std::make_shared<const Graph>(test.graph));
  return compiler->code();
}

/// Runs on cuda:0 with carried code; returns how many programs had to be compiled.
int compilations_with(const std::vector<CodeBlob>& code, Case& test) {
  const std::unique_ptr<Device> device = open_device("cuda");
  device->add_code(code);
  emulator::forget_calls();
  expect_like_reference(*device, test);
  return emulator::count("nvrtcCompileProgram");
}

TEST_F(CudaAheadOfTime, RunsCarriedKernelsWithoutACompiler) {
  emulator::reset({.gpus = 0});
  Case test = network();
  const std::vector<CodeBlob> code = code_for("cuda:sm_90", test);
  ASSERT_GE(code.size(), 4U);
  for (const CodeBlob& blob : code) EXPECT_EQ(blob.target, "cuda:sm_90");
  emulator::reset();
  EXPECT_EQ(compilations_with(code, test), 0);
}

TEST_F(CudaAheadOfTime, RunsMachineCodeOfAnOlderGpuOfTheSameMajorVersionOnly) {
  Case test;
  test.output(test.add("Sigmoid", {test.input({40})}));
  const std::vector<CodeBlob> code = code_for("cuda:sm_80", test);
  emulator::reset({.capability_major = 8, .capability_minor = 6});
  EXPECT_EQ(compilations_with(code, test), 0);
  emulator::reset({.capability_major = 9});
  EXPECT_EQ(compilations_with(code, test), 1);
}

TEST_F(CudaAheadOfTime, CompilesAgainWhatIsDamaged) {
  Case test;
  test.output(test.add("Sigmoid", {test.input({40})}));
  std::vector<CodeBlob> code = code_for("cuda:sm_90", test);
  std::vector<std::byte> damaged(code[0].bytes.begin(), code[0].bytes.end());
  damaged[damaged.size() / 2] ^= std::byte{1};
  for (CodeBlob& blob : code) blob.bytes = damaged;
  EXPECT_EQ(compilations_with(code, test), 1);
}

TEST_F(CudaAheadOfTime, SaysWhatItCannotCompileFor) {
  expect_says(error_of([] { open_compiler("cuda:sm_75"); }), ErrorCode::InvalidArgument, "got target 'sm_75', expected sm_80 or a later one");
  expect_says(error_of([] { open_compiler("cuda:90"); }), ErrorCode::InvalidArgument, "got target '90'");
  expect_says(error_of([] { open_compiler("cpu:0"); }), ErrorCode::Unsupported, "compiles nothing ahead of time");
  Case test = network();
  expect_says(error_of([&] { code_for("cuda:sm_130", test); }), ErrorCode::Unsupported, "compiles for sm_80, sm_90, sm_100, sm_120, got sm_130");
  expect_says(error_of([] { open_compiler("cuda:sm_90")->allocate(16); }), ErrorCode::Unsupported, "runs nothing");
}

TEST_F(CudaAheadOfTime, IsCarriedByAModelAndRunOnlyWhenTrusted) {
  const emulator::ScratchFolder folder;
  Case test = network();
  save_naru(test.graph, folder / "plain.naru");
  EngineOptions options;
  options.devices = {"reference"};
  const std::vector<Datum> inputs = {test.feeds[0]};
  Engine(options).load(folder / "plain.naru").save(folder / "compiled.naru", {"cuda:sm_90", "cuda:sm_80"}, inputs);
  verify_naru_hashes(folder / "compiled.naru");
  options.devices = {"cuda"};
  for (const bool trust : {true, false}) {
    options.trust_code = trust;
    emulator::forget_calls();
    Engine engine(options);
    EXPECT_EQ(engine.load(folder / "compiled.naru").create_session().run(inputs).size(), 1U);
    EXPECT_EQ(emulator::count("nvrtcCompileProgram") == 0, trust);
  }
}

}  // namespace
}  // namespace naru::test
