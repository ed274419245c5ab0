// Sixteen ways a plug-in fails, each through the library, `naru run` and eight clients at once: the answer
// is right and comes from the cpu, or is a typed error, and the host lives.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "graph/serialize.h"
#include "naru/engine.h"
#include "naru/error.h"
#include "runtime/engine_impl.h"
#include "tests/plugin/sample.h"

namespace naru::plugin_testing {
namespace {

/// What a mode leads to.
enum class End {
  Refused,  ///< the engine does not open it: InvalidArgument
  Absent,   ///< opened as a device that takes no node
  Moved,    ///< fails a run, which another device takes over
  Serves,   ///< what it does wrong does not show in one run
};

struct Mode {
  const char* name;
  const char* library;
  End end;
  const char* part;  ///< of the text that names the fault
};

constexpr Mode kModes[] = {
    {"wrong_abi", "fault_abi", End::Absent, "ABI 2"},
    {"missing_symbol", "fault_symbol", End::Absent, "has no symbol"},
    {"planted", "planted", End::Refused, "others may write"},
    {"throw_compile", "fault", End::Moved, "threw an exception"},
    {"throw", "fault", End::Moved, "threw an exception"},
    {"exit", "fault", End::Moved, "ended itself with code 3"},
    {"crash", "fault", End::Moved, "signal 11"},
    {"hang_open", "fault", End::Absent, "took over"},
    {"hang_compile", "fault", End::Moved, "compile took over"},
    {"hang_submit", "fault", End::Moved, "submit took over"},
    {"answer_twice", "fault", End::Moved, "twice"},
    {"overrun", "fault", End::Moved, "past the end"},
    {"absurd_memory", "fault", End::Moved, "claims 0 bytes of weights and 9223372036854775808"},
    {"nan", "fault", End::Moved, "NaN"},
    {"leak", "fault", End::Serves, ""},
    {"not_thread_safe", "fault", End::Serves, ""},
    {"error", "fault", End::Moved, "the link to the card went down"},
};

std::ostream& operator<<(std::ostream& out, const Mode& mode) { return out << mode.name; }

class Faults : public testing::TestWithParam<Mode> {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("naru_fault_" + std::to_string(getpid()));
    std::filesystem::create_directories(folder_);
    chmod(folder_.c_str(), 0700);
    start_ = std::chrono::steady_clock::now();
  }
  void TearDown() override {
    EXPECT_LT(std::chrono::steady_clock::now() - start_, std::chrono::seconds(5)) << "an answer took too long";
    std::filesystem::remove_all(folder_);
  }

  /// A library that everybody may replace, for the mode that is about where it lies.
  std::string library() const {
    if (GetParam().end != End::Refused) return plugin_path(GetParam().library);
    const std::filesystem::path planted = folder_ / "planted.so";
    std::filesystem::copy_file(plugin_path("fault"), planted, std::filesystem::copy_options::overwrite_existing);
    chmod(planted.c_str(), 0777);
    return planted.string();
  }
  std::string device() const {
    return "plugin:" + library() + ",timeout_ms=500,compile_timeout_ms=500,open_timeout_ms=1500,fault=" + GetParam().name;
  }
  EngineOptions options() const {
    EngineOptions options;
    options.devices = {device(), "cpu"};
    options.threads = 1;
    return options;
  }

  std::filesystem::path folder_;
  std::chrono::steady_clock::time_point start_;
};

void expect_named(const Mode& mode, const Engine& engine, const Model& model) {
  const std::vector<std::string> moved = engine.metrics().moved;
  if (mode.end == End::Moved) {
    ASSERT_FALSE(moved.empty());
    EXPECT_NE(moved.front().find(mode.part), std::string::npos) << moved.front();
  }
  if (mode.end == End::Absent) {
    const PlacementRow row = model.placement({Datum(small_input())}).front();
    EXPECT_EQ(row.device, "cpu:0");
    EXPECT_NE(engine.impl()->devices.front()->info().description.find(mode.part), std::string::npos)
        << engine.impl()->devices.front()->info().description;
  }
}

TEST_P(Faults, Library) {
  const Mode& mode = GetParam();
  if (mode.end == End::Refused) {
    try {
      const Engine engine(options());
      FAIL() << "expected a refusal";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::InvalidArgument);
      EXPECT_NE(error.message().find(mode.part), std::string::npos) << error.message();
    }
    return;
  }
  const Engine engine(options());
  const Model model = make_model(engine.impl(), small_graph(), {});
  Session session = model.create_session();
  EXPECT_TRUE(is_small_output(session.run({small_input()})[0].tensor));
  EXPECT_TRUE(is_small_output(session.run({small_input()})[0].tensor));
  expect_named(mode, engine, model);
}

TEST_P(Faults, EightClients) {
  if (GetParam().end == End::Refused) {
    EXPECT_THROW(const Engine engine(options()), Error);
    return;
  }
  EngineOptions eight = options();
  eight.streams = 8;
  const Engine engine(eight);
  const Model model = make_model(engine.impl(), small_graph(), {});
  std::atomic<int> right{0};
  {
    std::vector<std::jthread> clients;
    for (int client = 0; client < 8; ++client) {
      clients.emplace_back([&] {
        Session session = model.create_session();
        for (int i = 0; i < 3; ++i) right += is_small_output(session.run({small_input()})[0].tensor);
      });
    }
  }
  EXPECT_EQ(right, 24);
}

TEST_P(Faults, NaruRun) {
  const std::filesystem::path file = folder_ / "small.naru";
  save_naru(small_graph(), file);
  const std::string command = std::string(NARU_PROGRAM) + " run " + file.string() + " --threads 1 --device " + device() +
                              ",cpu >" + (folder_ / "out").string() + " 2>" + (folder_ / "err").string();
  const int status = std::system(command.c_str());
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), GetParam().end == End::Refused ? 3 : 0) << command;
}

std::string mode_name(const testing::TestParamInfo<Mode>& info) { return info.param.name; }
INSTANTIATE_TEST_SUITE_P(Modes, Faults, testing::ValuesIn(kModes), mode_name);

}  // namespace
}  // namespace naru::plugin_testing
