// Suites, logs, sessions and reports, on the synthetic system.
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "benchmarks/analyse/requests.h"
#include "benchmarks/log/journal.h"
#include "benchmarks/log/raw_log.h"
#include "benchmarks/log/sha256.h"
#include "benchmarks/report/report.h"
#include "benchmarks/session/session.h"
#include "benchmarks/sut/synthetic.h"
#include "naru/error.h"

namespace naru::bench {
namespace {

namespace fs = std::filesystem;

class SessionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("naru-bench-" + std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()) + std::to_string(getpid()));
    fs::create_directories(folder_);
    std::ofstream(folder_ / "model.bin") << "x";
  }
  void TearDown() override { fs::remove_all(folder_); }

  Suite suite(const std::string& more = "") const {
    return parse_suite(R"({"schema":"naru.suite/1","name":"t","runs":5,"models":[
      {"id":"m","kind":"generate","path":")" + (folder_ / "model.bin").string() + R"("},
      {"id":"huge","kind":"generate","weights_bytes":1000000000000000},
      {"id":"absent","kind":"generate","path":"absent.gguf","context":64}],
      "grids":[{"models":["m"],"input_tokens":[8],"output_tokens":[4],"concurrency":[1,2],"requests":8},
               {"models":["huge"],"input_tokens":[8],"output_tokens":[4]},
               {"models":["absent"],"input_tokens":[8,128],"output_tokens":[4]})" + more + "]}", {});
  }
  SessionOptions options(const char* name) const {
    SessionOptions made;
    made.folder = folder_ / name;
    made.gate = made.probes = false;
    return made;
  }
  SystemFactory factory(SyntheticTruth truth = {.ttft_ns = 2'000'000, .tpot_ns = 1'000'000}) const {
    return [truth](const Condition&) { return make_synthetic(truth); };
  }
  fs::path folder_;
};

ErrorCode code_of(const std::string& text) {
  try {
    parse_suite(text, {});
  } catch (const Error& error) {
    return error.code();
  }
  return ErrorCode::Internal;
}

TEST(Suite, BadFilesAreRefused) {
  const std::string head = R"({"schema":"naru.suite/1","name":"t","models":[{"id":"m","kind":"generate"}],"grids":[)";
  EXPECT_EQ(code_of("{"), ErrorCode::InvalidArgument);
  EXPECT_EQ(code_of("[]"), ErrorCode::InvalidArgument);
  EXPECT_EQ(code_of(R"({"schema":"naru.suite/2","name":"t"})"), ErrorCode::InvalidArgument);
  for (const char* grid : {R"({"models":["m"]})", R"({"models":["x"],"input_tokens":[1],"output_tokens":[1]})",
                           R"({"models":["m"],"input_tokens":[0],"output_tokens":[1]})", R"({"models":["m"],"input_tokens":[1],"output_tokens":[1],"speed":3})",
                           R"({"models":["m"],"input_tokens":[1],"output_tokens":[1],"scenario":"poisson"})",
                           R"({"models":["m"],"input_tokens":[1],"output_tokens":[1],"rate":[2]})",
                           R"({"models":["m"],"input_tokens":[1],"output_tokens":[1],"concurrency":[1.5]})",
                           R"({"models":["m"],"input_tokens":[1,1],"output_tokens":[1]})",
                           R"({"models":["m"],"input_tokens":[1],"output_tokens":[1],"scenario":"trace","arrivals_ms":[3,2]})"}) {
    EXPECT_EQ(code_of(head + grid + "]}"), ErrorCode::InvalidArgument) << grid;
  }
  EXPECT_EQ(code_of(head + "]}"), ErrorCode::InvalidArgument);
}

TEST(Suite, BuiltinSuitesParse) { EXPECT_GT(parse_suite(suite_text("quick"), {}).rows.size(), 5u); }

TEST(Suite, ExtremesComeFirst) {
  const Suite suite = parse_suite(R"({"schema":"naru.suite/1","name":"t","models":[{"id":"m","kind":"generate"}],
    "grids":[{"models":["m"],"input_tokens":[1,2,3,4,5],"output_tokens":[1]}]})", {});
  const std::vector<std::size_t> order = extremes_first(suite.rows);
  EXPECT_EQ(order, (std::vector<std::size_t>{0, 4, 1, 3, 2}));
}

TEST_F(SessionTest, TornLogsAreReadAsFarAsTheyAreSound) {
  const fs::path path = folder_ / "torn.evt";
  {
    RawLog log(path);
    log.append({RunEventKind::Begin, 0, 0, 7});
    log.flush();
    log.append({RunEventKind::End, 0, 5, 0});
    log.flush();
  }
  EXPECT_TRUE(read_raw_log(path).whole);
  fs::resize_file(path, fs::file_size(path) - 3);
  const RawRun run = read_raw_log(path);
  EXPECT_FALSE(run.whole);
  ASSERT_EQ(run.events.size(), 1u);
  EXPECT_EQ(run.events[0].value, 7);
}

TEST_F(SessionTest, JournalIsAChain) {
  const fs::path path = folder_ / "j.jsonl";
  {
    Journal journal(path);
    journal.append({{"kind", "a"}});
    journal.append({{"kind", "b"}});
  }
  EXPECT_EQ(read_journal(path).size(), 2u);
  std::ofstream(path, std::ios::app) << "{\"kind\":\"torn";
  EXPECT_EQ(Journal(path).entries().size(), 2u);
  std::string text = read_file(path);
  text[9] ^= 1;
  write_file(path, text);
  EXPECT_THROW(read_journal(path), Error);
}

TEST_F(SessionTest, EveryRowHasFiguresOrAReason) {
  const SessionOptions made = options("a");
  const SessionOutcome outcome = run_session(suite(), factory(), made);
  EXPECT_EQ(outcome.measured, 2);
  EXPECT_EQ(outcome.failed, 1);
  EXPECT_EQ(outcome.skipped, 2);
  const nlohmann::json report = write_report(made.folder);
  const nlohmann::json& rows = report.at("rows");
  EXPECT_EQ(rows[2].at("reasons")[0].at("code"), "OOM");
  EXPECT_NE(rows[2].at("reasons")[0].at("detail").get<std::string>().find("needs 1e+15 B"), std::string::npos);
  EXPECT_EQ(rows[3].at("reasons")[0].at("code"), "NO_MODEL_FILE");
  EXPECT_EQ(rows[4].at("reasons")[0].at("code"), "CONTEXT_TOO_SHORT");
  EXPECT_NEAR(rows[0].at("metrics").at("tpot").at("mean").at("estimate").get<double>(), 1e-3, 3e-4);
  EXPECT_TRUE(verify_report(made.folder).empty());
}

TEST_F(SessionTest, AnyFlippedByteFailsVerification) {
  const SessionOptions made = options("a");
  run_session(suite(), factory(), made);
  write_report(made.folder);
  ASSERT_TRUE(verify_report(made.folder).empty());
  for (const auto& entry : fs::recursive_directory_iterator(made.folder)) {
    if (!entry.is_regular_file()) continue;
    const std::string bytes = read_file(entry.path());
    for (const std::size_t at : {std::size_t{0}, bytes.size() / 2, bytes.size() - 1}) {
      std::string changed = bytes;
      changed[at] ^= 1;
      write_file(entry.path(), changed);
      EXPECT_FALSE(verify_report(made.folder).empty()) << entry.path() << " byte " << at;
    }
    write_file(entry.path(), bytes);
  }
  EXPECT_TRUE(verify_report(made.folder).empty());
}

TEST_F(SessionTest, InterruptedSessionsGiveAValidReportAndResume) {
  std::atomic<bool> stop = false;
  SessionOptions made = options("a");
  made.stop = &stop;
  int lines = 0;
  made.progress = [&](const std::string&) { if (++lines == 2) stop = true; };
  const SessionOutcome first = run_session(suite(), factory(), made);
  EXPECT_TRUE(first.interrupted);
  EXPECT_FALSE(write_report(made.folder).at("complete").get<bool>());
  EXPECT_TRUE(verify_report(made.folder).empty());
  EXPECT_THROW(run_session(suite(), factory(), made), Error);
  stop = false;
  lines = 100;
  made.resume = true;
  EXPECT_FALSE(run_session(suite(), factory(), made).interrupted);
  const nlohmann::json report = write_report(made.folder);
  EXPECT_TRUE(report.at("complete").get<bool>());
  EXPECT_EQ(report.at("rows")[0].at("runs").size(), 5u);
  EXPECT_EQ(report.at("rows")[1].at("runs").size(), 5u);
  EXPECT_TRUE(verify_report(made.folder).empty());
}

TEST_F(SessionTest, FailuresOfTheSystemAreCountedWithTheirReason) {
  const SessionOptions made = options("a");
  run_session(suite(), factory({.ttft_ns = 1'000'000, .tpot_ns = 500'000, .fail_every = 4}), made);
  const nlohmann::json row = build_report(made.folder).at("rows")[0];
  EXPECT_NEAR(row.at("metrics").at("failed_share").at("estimate").get<double>(), 0.25, 0.05);
  EXPECT_EQ(row.at("metrics").at("ttft").at("max"), "inf");
}

}  // namespace
}  // namespace naru::bench
