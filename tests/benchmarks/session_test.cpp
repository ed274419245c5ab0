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
#include "benchmarks/session/capacity.h"
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

TEST(Suite, GridsHoldWhatTheirNamesPromise) {
  EXPECT_GT(parse_suite(suite_text("quick"), {}).rows.size(), 5u);
  EXPECT_EQ(parse_suite(suite_text("llm"), {}).rows.size(), 5u * 5 * 3 * 5);
  EXPECT_GT(parse_suite(suite_text("edge"), {}).rows.size(), 20u);
  SuiteTargets two;
  two.systems = {{"a", "B-tok", true}, {"b", "B-net", false}};
  const Suite peer = parse_suite(suite_text("peer"), two);
  EXPECT_EQ(peer.rows.size(), 2 * parse_suite(suite_text("peer"), {}).rows.size());
  EXPECT_NE(peer.rows[0].id(), peer.rows[4].id());
}

TEST(Suite, BatchGoesWhereTheSuiteSays) {
  const Suite suite = parse_suite(R"({"schema":"naru.suite/1","name":"t","models":[{"id":"m","kind":"infer",
    "shapes":{"x":["batch",3],"state":[2,"batch",5],"rate":[]},"values":{"rate":16000}}],"grids":[{"models":["m"],"batch":[4]}]})", {});
  std::map<std::string, InputSpec> inputs;
  for (const InputSpec& input : at_batch(suite.rows[0].model.inputs, suite.rows[0].batch)) inputs[input.name] = input;
  EXPECT_EQ(inputs["x"].dims, (std::vector<std::int64_t>{4, 3}));
  EXPECT_EQ(inputs["state"].dims, (std::vector<std::int64_t>{2, 4, 5}));
  EXPECT_TRUE(inputs["rate"].dims.empty() && inputs["rate"].known_shape);
  EXPECT_EQ(inputs["rate"].value, 16000.0);
  EXPECT_THROW(at_batch({{"x", true, {1, 3}, {}}}, 2), Error);
}

TEST(Capacity, SearchComesWithinFivePercent) {
  for (const double truth : {0.03, 1.0, 7.3, 800.0}) {
    int calls = 0;
    const std::optional<double> found = search_capacity(3, [&](double rate) { return ++calls, rate <= truth; });
    ASSERT_TRUE(found) << truth;
    EXPECT_LE(*found, truth);
    EXPECT_GT(*found * 1.05, truth);
    EXPECT_LT(calls, 25);
  }
  EXPECT_FALSE(search_capacity(3, [](double) { return false; }));
}

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

TEST_F(SessionTest, OtherScenariosHaveTheirOwnFigures) {
  const std::string head = R"({"schema":"naru.suite/1","name":"t","runs":2,"models":[{"id":"m","kind":"generate","path":")" + (folder_ / "model.bin").string() + R"("}],"grids":[)";
  const auto grid = [](const std::string& scenario, const std::string& more) {
    return R"({"models":["m"],"input_tokens":[8],"output_tokens":[4],"scenario":")" + scenario + R"(")" + more + "}";
  };
  const Suite suite = parse_suite(head + grid("capacity", R"(,"rate":[30],"requests":60,"seconds":0.4,"limits":{"ttft_ms":40})") + "," +
                                      grid("sustained", R"(,"seconds":0.5,"concurrency":[2])") + "," + grid("cold_start", "") + "," +
                                      grid("trace", R"(,"arrivals_ms":[0,5,5,20])") + "]}", {});
  const SessionOptions made = options("a");
  // One at a time, 10 ms each: more than about 100 a second cannot be.
  EXPECT_EQ(run_session(suite, factory({.ttft_ns = 7'000'000, .tpot_ns = 1'000'000, .servers = 1}), made).measured, 4);
  const nlohmann::json rows = write_report(made.folder).at("rows");
  const double capacity = rows[0].at("metrics").at("capacity").at("estimate");
  EXPECT_GT(capacity, 20);
  EXPECT_LT(capacity, 110);
  EXPECT_GT(rows[0].at("search").size(), 2u);
  EXPECT_EQ(rows[1].at("runs").size(), 1u);
  EXPECT_NEAR(rows[1].at("metrics").at("drift").at("estimate").get<double>(), 0, 0.2);
  EXPECT_NEAR(rows[2].at("metrics").at("cold_start").at("estimate").get<double>(), 0.007, 0.003);
  EXPECT_FALSE(rows[2].at("metrics").contains("output_tokens_per_s"));
  EXPECT_EQ(rows[3].at("runs")[0].at("requests"), 4);
  EXPECT_TRUE(verify_report(made.folder).empty());
}

std::map<std::string, std::string> audit_results(const nlohmann::json& row) {
  std::map<std::string, std::string> results;
  for (const nlohmann::json& test : row.at("audit")) results[test.at("test")] = test.at("result");
  return results;
}

TEST_F(SessionTest, AuditFindsACacheAndNothingElse) {
  const auto audited = [&](const char* name, const SyntheticTruth& truth) {
    SessionOptions made = options(name);
    run_session(suite(), factory(truth), made);
    made.resume = true;
    EXPECT_EQ(audit_session(suite_of(made.folder), factory(truth), made, false).measured, 1);
    const nlohmann::json report = write_report(made.folder);
    EXPECT_TRUE(report.at("complete").get<bool>());
    EXPECT_TRUE(verify_report(made.folder).empty());
    return audit_results(report.at("rows")[0]);
  };
  const auto honest = audited("honest", {.ttft_ns = 4'000'000, .tpot_ns = 1'000'000});
  EXPECT_EQ(honest.size(), 5u);
  for (const auto& [test, result] : honest) EXPECT_NE(result, "fail") << test;
  EXPECT_EQ(honest.at("lengths"), "pass");
  EXPECT_EQ(honest.at("end_token"), "pass");
  const auto cached = audited("cached", {.ttft_ns = 4'000'000, .tpot_ns = 1'000'000, .cached_ttft_ns = 1'000'000});
  EXPECT_EQ(cached.at("same_prompt"), "fail");
  EXPECT_EQ(cached.at("lengths"), "pass");
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
