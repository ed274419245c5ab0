// Faults of the simulated NPU under load: each request is answered rightly, moved to the cpu, or fails with a
// typed error, in time, and nothing is left behind.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include "graph/evaluate.h"
#include "naru/engine.h"
#include "naru/error.h"
#include "runtime/engine_impl.h"
#include "tests/backends/compare.h"
#include "tests/npu/environment.h"

namespace naru::npu_testing {
namespace {

using Clock = std::chrono::steady_clock;

/// What a mode leads to.
enum class End {
  Right,   ///< every answer is right: the fault does not show, or the device takes no node
  Moved,   ///< every answer is right, some from the cpu
  Memory,  ///< the device is full: OutOfMemory, typed
};

struct Mode {
  const char* name;
  const char* settings;
  const char* profile;  ///< what replaces the profile's check and time limit
  End end;
};

constexpr const char* kCanary = R"("check": "canary", "time_limit_ms": 300)";
constexpr const char* kRepeat = R"("check": "repeat", "time_limit_ms": 300)";

constexpr Mode kModes[] = {
    {"healthy", "{}", kCanary, End::Right},
    {"time_out", R"({"time_out_ms": 2000, "fault": {"kind": "time-out", "after": 40}})", kCanary, End::Moved},
    {"lost_at_once", R"({"fault": {"kind": "device-lost"}})", kCanary, End::Moved},
    {"lost_later", R"({"fault": {"kind": "device-lost", "after": 75}})", kCanary, End::Moved},
    {"wrong_from_then_on", R"({"fault": {"kind": "wrong-result", "after": 60}})", kCanary, End::Moved},
    {"wrong_now_and_then", R"({"fault": {"kind": "wrong-result", "after": 20, "every": 17}})", kRepeat, End::Moved},
    {"no_memory", R"({"fault": {"kind": "out-of-memory", "after": 1}})", kCanary, End::Memory},
    {"no_memory_at_all", R"({"fault": {"kind": "out-of-memory"}})", kCanary, End::Right},
};

std::ostream& operator<<(std::ostream& out, const Mode& mode) { return out << mode.name; }

std::string shipped_with(const char* settings) {
  std::ifstream file(PROFILE);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  const std::string old = R"("check": "canary",
  "time_limit_ms": 10000)";
  return text.replace(text.find(old), old.size(), settings);
}

bool equal(const Tensor& a, const Tensor& b) {
  for (std::int64_t i = 0; i < a.numel(); ++i) {
    if (!(std::abs(a.as<float>()[i] - b.as<float>()[i]) < 1e-4)) return false;
  }
  return true;
}

/// More than the device has taken so far.
test::Case large() {
  test::Case made;
  made.output(made.add("Relu", {made.input({5, 1024, 1024})}));
  return made;
}

class Faults : public testing::TestWithParam<Mode> {};

TEST_P(Faults, EightClientsAreAnsweredRightlyOrWithATypedError) {
  const Mode& mode = GetParam();
  const std::filesystem::path path = std::filesystem::temp_directory_path() / ("naru_npu_" + std::to_string(getpid()) + ".json");
  std::ofstream(path) << shipped_with(mode.profile);
  const ProfileFile profile(path.string());
  const NpuSettings settings(mode.settings);
  const test::Case network = mode.end == End::Memory ? large() : test::network();
  const std::vector<Datum> inputs(network.feeds.begin(), network.feeds.end());
  const Tensor expected = evaluate(network.graph, inputs)[0].tensor;
  constexpr auto kDeadline = std::chrono::seconds(3);
  std::atomic<int> right{0}, wrong{0}, typed{0}, late{0};
  EngineOptions options;
  options.devices = {"opencl:0", "cpu"};
  options.threads = 1;
  options.streams = 8;
  const Engine engine(options);
  const Model model = make_model(engine.impl(), network.graph, {});
  {
    std::vector<std::jthread> clients;
    for (int client = 0; client < 8; ++client) {
      clients.emplace_back([&] {
        Session session = model.create_session();
        for (int i = 0; i < 12; ++i) {
          const Clock::time_point start = Clock::now();
          RunOptions run;
          run.deadline = start + kDeadline;
          try {
            (equal(session.run(inputs, run)[0].tensor, expected) ? right : wrong) += 1;
          } catch (const Error& error) {
            EXPECT_EQ(error.code(), ErrorCode::OutOfMemory) << error.what();
            ++typed;
          }
          if (Clock::now() - start > kDeadline + std::chrono::seconds(1)) ++late;
        }
      });
    }
  }
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(late, 0);
  EXPECT_EQ(right, mode.end == End::Memory ? 0 : 96);
  EXPECT_EQ(right + typed, 96);
  EXPECT_EQ(engine.metrics().moved.empty(), mode.end != End::Moved);
  std::printf("%s: %d right, %d typed errors\n", mode.name, right.load(), typed.load());
  std::filesystem::remove(path);
}

INSTANTIATE_TEST_SUITE_P(Modes, Faults, testing::ValuesIn(kModes), [](const auto& p) { return std::string(p.param.name); });

}  // namespace
}  // namespace naru::npu_testing
