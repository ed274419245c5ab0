// Compiles every kernel that the ONNX cases need as CUDA C for each architecture, by NVRTC; needs no GPU.
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "backends/cuda/nvrtc.h"
#include "backends/cuda/profile.h"
#include "backends/generated/code_device.h"
#include "compiler/pipeline.h"
#include "graph/fail.h"
#include "graph/import/onnx.h"
#include "runtime/executor.h"
#include "tests/onnx/case_values.h"

namespace naru {
namespace {

namespace fs = std::filesystem;

constexpr const char* kUsage = "usage: naru_cuda_kernels --cases DIR [--architecture sm_90]...\n";
constexpr int kSkipped = 77;  // what ctest takes for "skipped"
/// Compilers start slowly, and take long over long programs.
constexpr std::size_t kTextBytes = 200'000;

/// Keeps what it is asked to compile; CodeDevice asks for each kernel once.
class Collector final : public generated::ProgramCompiler {
 public:
  kernel::Dialect dialect() const override { return kernel::Dialect::Cuda; }
  std::string identity() const override { return "collector"; }
  std::vector<std::string> targets() const override { return {"collector:0"}; }
  std::string options() const override { return {}; }
  generated::Program load(std::span<const std::byte>) override { return nullptr; }

  Output compile(const std::string& text) override {
    const std::string prelude = kernel::prelude(kernel::Dialect::Cuda);
    if (texts.empty() || texts.back().size() > kTextBytes) texts.push_back(prelude);
    texts.back() += text.substr(prelude.size());
    for (std::size_t at = 0; (at = text.find("__global__", at)) != std::string::npos; ++at) ++kernels;
    return {};
  }

  std::vector<std::string> texts;
  std::size_t kernels = 0;
};

void collect(Device& device, const nlohmann::json& record, const fs::path& folder) {
  Graph graph = load_onnx(folder / "model.onnx");
  optimize(graph, generic_pipeline(2));
  const std::vector<Datum> inputs = read_case_values(folder / "test_data_set_0", "input", record["inputs"]);
  Executor executor(std::make_shared<const Graph>(std::move(graph)), {&device}, {});
  executor.plan_for(inputs, {});
}

void collect_all(Device& device, const fs::path& cases) {
  std::ifstream file(cases / "cases.json");
  if (!file) fail(ErrorCode::Io, "cases: '{}' has no cases.json", cases.native());
  for (const auto& record : nlohmann::json::parse(file)) {
    if (record["suite"] != "node" && record["suite"] != "contrib") continue;
    try {
      collect(device, record, cases / record["suite"] / record["name"]);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::Unsupported) throw;
    }
  }
}

/// Compiles every text for every architecture; returns the compiler's complaints.
std::vector<std::string> compile_all(const std::vector<std::string>& texts, const std::vector<std::string>& architectures) {
  std::vector<std::string> complaints;
  std::mutex mutex;
  std::atomic<std::size_t> next = 0;
  const auto work = [&] {
    for (std::size_t job = next++; job < texts.size() * architectures.size(); job = next++) {
      try {
        cuda::compile_cubin(texts[job / architectures.size()], cuda::architecture_from(architectures[job % architectures.size()]));
      } catch (const std::exception& error) {
        const std::lock_guard lock(mutex);
        complaints.emplace_back(error.what());
      }
    }
  };
  std::vector<std::jthread> threads;
  for (unsigned i = 0; i < std::max(1U, std::thread::hardware_concurrency()); ++i) threads.emplace_back(work);
  threads.clear();
  return complaints;
}

int run(int count, char** values) {
  fs::path cases;
  std::vector<std::string> architectures;
  for (int i = 1; i + 1 < count; i += 2) {
    const std::string name = values[i];
    if (name == "--cases") cases = values[i + 1];
    else if (name == "--architecture") architectures.emplace_back(values[i + 1]);
    else fail(ErrorCode::InvalidArgument, "{}: unknown\n{}", name, kUsage);
  }
  if (cases.empty()) fail(ErrorCode::InvalidArgument, "--cases: missing\n{}", kUsage);
  if (architectures.empty()) architectures = {"sm_80", "sm_90", "sm_100", "sm_120"};
  if (!cuda::nvrtc_missing().empty()) {
    fmt::print("skipped: {}\n", cuda::nvrtc_missing());
    return kSkipped;
  }
  const auto collector = std::make_shared<Collector>();
  generated::CodeDevice device(collector, cuda::kernel_target(), {1e12, 1e12, 5e-6}, "collector");
  collect_all(device, cases);
  const std::vector<std::string> complaints = compile_all(collector->texts, architectures);
  for (const std::string& complaint : complaints) fmt::print("{}\n", complaint);
  fmt::print("{} kernels in {} programs for {}, by NVRTC {}: {} programs failed\n", collector->kernels, collector->texts.size(),
             fmt::join(architectures, ", "), cuda::nvrtc_version(), complaints.size());
  return complaints.empty() ? 0 : 1;
}

}  // namespace
}  // namespace naru

int main(int count, char** values) {
  try {
    return naru::run(count, values);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 2;
  }
}
