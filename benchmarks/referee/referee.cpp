// Referee: MLPerf LoadGen and our load generator drive the same system; their figures are held side by side.
#include <loadgen.h>
#include <query_sample_library.h>
#include <system_under_test.h>
#include <test_settings.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "benchmarks/analyse/row.h"
#include "benchmarks/analyse/statistics.h"
#include "benchmarks/load/driver.h"
#include "benchmarks/load/timing.h"
#include "benchmarks/sut/synthetic.h"
#include "graph/fail.h"
#include "runtime/event_log.h"

namespace naru::bench {
namespace {

constexpr std::int64_t kTokens = 10;
constexpr double kAgreement = 0.01;

struct Comparison {
  const char* scenario;
  const char* metric;
  double loadgen, ours;
  double ratio() const { return ours / loadgen; }
  bool agrees() const { return std::abs(ratio() - 1) <= kAgreement; }
};

/// One of our systems as LoadGen sees it.
class Adapter : public mlperf::SystemUnderTest, public Sink {
 public:
  explicit Adapter(System& system) : system_(system) {}

  const std::string& Name() override { return name_; }
  void FlushQueries() override {}
  void IssueQuery(const std::vector<mlperf::QuerySample>& samples) override {
    for (const mlperf::QuerySample& sample : samples) {
      const std::int64_t now = now_ns();
      SystemRequest request;
      request.max_tokens = kTokens;
      request.prompt = prompt_;
      {
        const std::lock_guard lock(mutex_);
        request.id = next_++;
        waiting_[request.id] = {sample.id, false};
        issued_ns_.push_back(now);
      }
      system_.submit(request, *this);
    }
  }
  /// When samples were issued, from the first.
  std::vector<std::int64_t> arrivals() const {
    std::vector<std::int64_t> times;
    for (const std::int64_t time : issued_ns_) times.push_back(time - issued_ns_.front());
    return times;
  }

  void tokens(std::uint32_t request, std::span<const std::int32_t>) override {
    mlperf::ResponseId id = 0;
    {
      const std::lock_guard lock(mutex_);
      Waiting& waiting = waiting_.at(request);
      if (std::exchange(waiting.first, true)) return;
      id = waiting.id;
    }
    mlperf::QuerySampleResponse response{id, 0, 0};
    mlperf::FirstTokenComplete(&response, 1);
  }
  void complete(std::uint32_t request) override {
    mlperf::ResponseId id = 0;
    {
      const std::lock_guard lock(mutex_);
      id = waiting_.at(request).id;
      waiting_.erase(request);
    }
    mlperf::QuerySampleResponse response{id, 0, 0, kTokens};
    mlperf::QuerySamplesComplete(&response, 1);
  }
  void chunk(std::uint32_t, std::int64_t) override {}
  void claimed(std::uint32_t, std::int64_t) override {}
  void prompted(std::uint32_t, std::int64_t, std::int64_t) override {}
  void failed(std::uint32_t request, Reason, const std::string&) override { complete(request); }

 private:
  struct Waiting {
    mlperf::ResponseId id;
    bool first;
  };
  System& system_;
  const std::string name_ = "naru";
  const std::vector<std::int32_t> prompt_ = std::vector<std::int32_t>(8, 1);
  std::mutex mutex_;
  std::uint32_t next_ = 0;
  std::map<std::uint32_t, Waiting> waiting_;
  std::vector<std::int64_t> issued_ns_;
};

/// Samples of no content: the synthetic system needs none.
class Library : public mlperf::QuerySampleLibrary {
 public:
  const std::string& Name() override { return name_; }
  size_t TotalSampleCount() override { return 1024; }
  size_t PerformanceSampleCount() override { return 1024; }
  void LoadSamplesToRam(const std::vector<mlperf::QuerySampleIndex>&) override {}
  void UnloadSamplesFromRam(const std::vector<mlperf::QuerySampleIndex>&) override {}

 private:
  const std::string name_ = "none";
};

/// LoadGen's summary: the number behind the name of a line.
class Summary {
 public:
  explicit Summary(const std::filesystem::path& folder) {
    std::ifstream file(folder / "mlperf_log_summary.txt");
    for (std::string line; std::getline(file, line);) {
      const std::size_t colon = line.rfind(':');
      if (colon == std::string::npos) continue;
      std::string name = line.substr(0, colon);
      name.erase(name.find_last_not_of(' ') + 1);
      values_[name] = line.substr(colon + 1);
    }
  }
  double operator()(const std::string& name) const {
    const auto found = values_.find(name);
    if (found == values_.end()) fail(ErrorCode::Internal, "the referee's summary has no line '{}'", name);
    return std::stod(found->second);
  }

 private:
  std::map<std::string, std::string> values_;
};

class Referee {
 public:
  Referee() : folder_(std::filesystem::temp_directory_path() / fmt::format("naru-referee-{}", getpid())) { std::filesystem::create_directories(folder_); }
  ~Referee() { std::filesystem::remove_all(folder_); }

  std::vector<Comparison> compare() {
    single_stream();
    server();
    offline();
    return std::move(rows_);
  }

 private:
  static SyntheticTruth truth(int servers) {
    SyntheticTruth truth;
    truth.ttft_ns = 40'000'000;
    truth.tpot_ns = 2'000'000;
    truth.servers = servers;
    return truth;
  }

  static mlperf::TestSettings settings(mlperf::TestScenario scenario, bool token_latencies) {
    mlperf::TestSettings settings;
    settings.scenario = scenario;
    settings.mode = mlperf::TestMode::PerformanceOnly;
    settings.min_duration_ms = 3000;
    settings.min_query_count = 64;
    settings.use_token_latencies = token_latencies;
    return settings;
  }

  Summary referee(System& system, const mlperf::TestSettings& settings, std::vector<std::int64_t>* arrivals = nullptr) {
    Adapter adapter(system);
    Library library;
    mlperf::LogSettings log;
    log.log_output.outdir = folder_.string();
    log.log_output.copy_summary_to_stdout = false;
    // LoadGen counts from the scheduled moment too; it gets the same right to wake in time as our driver.
    const PromptThread prompt;
    mlperf::StartTest(&adapter, &library, settings, log, (folder_ / "no-audit.config").string());
    if (arrivals != nullptr) *arrivals = adapter.arrivals();
    return Summary(folder_);
  }

  /// The same by our own load generator and analysis.
  RunFigures ours(const SyntheticTruth& truth, const Scenario& scenario) const {
    const std::unique_ptr<System> system = make_synthetic(truth);
    Condition condition;
    condition.model.generates = true;
    condition.input_tokens = 8;
    condition.output_tokens = kTokens;
    condition.scenario = scenario;
    RunPlan plan;
    plan.scenario = scenario;
    plan.max_tokens = kTokens;
    plan.prompts = {std::vector<std::int32_t>(8, 1)};
    const std::filesystem::path path = folder_ / "run.evt";
    {
      RawLog log(path);
      run_load(*system, plan, log);
    }
    return analyse_run(fold_run(read_raw_log(path).events, kTokens), condition, {});
  }

  void add_means(const char* scenario, const Summary& theirs, const RunFigures& figures) {
    add(scenario, "mean latency [s]", theirs("Mean latency (ns)") * 1e-9, mean(figures.series.at("latency")));
    add(scenario, "mean TTFT [s]", theirs("Mean First Token latency (ns)") * 1e-9, mean(figures.series.at("ttft")));
    add(scenario, "mean TPOT [s]", theirs("Mean Time per Output Token (ns)") * 1e-9, mean(figures.series.at("tpot")));
  }

  void single_stream() {
    const std::unique_ptr<System> system = make_synthetic(truth(0));
    const Summary theirs = referee(*system, settings(mlperf::TestScenario::SingleStream, true));
    Scenario scenario;
    scenario.requests = 1 << 20;
    scenario.limit_ns = 3'000'000'000;
    const RunFigures figures = ours(truth(0), scenario);
    add_means("SingleStream", theirs, figures);
    add("SingleStream", "requests/s", theirs("QPS w/ loadgen overhead"), figures.scalars.at("requests_per_s"));
  }

  /// Our run replays the moments at which the referee issued its queries.
  void server() {
    const std::unique_ptr<System> system = make_synthetic(truth(0));
    mlperf::TestSettings wanted = settings(mlperf::TestScenario::Server, true);
    wanted.server_target_qps = 100;
    wanted.server_target_latency_ns = 1'000'000'000;
    wanted.server_ttft_latency = wanted.server_tpot_latency = 1'000'000'000;
    Scenario scenario;
    scenario.kind = ScenarioKind::Trace;
    const Summary theirs = referee(*system, wanted, &scenario.trace_ns);
    scenario.requests = static_cast<int>(scenario.trace_ns.size());
    const RunFigures figures = ours(truth(0), scenario);
    add_means("Server", theirs, figures);
    add("Server", "tokens/s", theirs("Completed tokens per second"), figures.scalars.at("whole_run_tokens_per_s"));
  }

  void offline() {
    const std::unique_ptr<System> system = make_synthetic(truth(8));
    mlperf::TestSettings wanted = settings(mlperf::TestScenario::Offline, true);
    wanted.offline_expected_qps = 120;
    std::vector<std::int64_t> arrivals;
    const Summary theirs = referee(*system, wanted, &arrivals);
    Scenario scenario;
    scenario.kind = ScenarioKind::Burst;
    scenario.requests = static_cast<int>(arrivals.size());
    const RunFigures figures = ours(truth(8), scenario);
    add("Offline", "requests/s", theirs("Samples per second"), figures.scalars.at("requests_per_s"));
    add("Offline", "tokens/s", theirs("Tokens per second"), figures.scalars.at("output_tokens_per_s"));
  }

  void add(const char* scenario, const char* metric, double theirs, double own) { rows_.push_back({scenario, metric, theirs, own}); }

  std::filesystem::path folder_;
  std::vector<Comparison> rows_;
};

int run(bool json) {
  nlohmann::json list = nlohmann::json::array();
  bool agree = true;
  for (const Comparison& row : Referee().compare()) {
    agree &= row.agrees();
    list.push_back({{"scenario", row.scenario}, {"metric", row.metric}, {"loadgen", row.loadgen}, {"ours", row.ours}, {"ratio", row.ratio()}, {"agrees", row.agrees()}});
    if (!json) fmt::print("{:13} {:18} LoadGen {:12.6g}  ours {:12.6g}  ratio {:.4f}{}\n", row.scenario, row.metric, row.loadgen, row.ours, row.ratio(), row.agrees() ? "" : "  DISAGREES");
  }
  if (json) fmt::print("{}\n", list.dump(2));
  return agree ? 0 : 6;
}

}  // namespace
}  // namespace naru::bench

int main(int argc, char** argv) {
  CLI::App app("Drives the synthetic system by MLPerf LoadGen and by Naru's load generator; exit code 6 when figures differ by more than 1 %.");
  bool json = false;
  app.add_flag("--json", json, "Print JSON");
  CLI11_PARSE(app, argc, argv);
  try {
    return naru::bench::run(json);
  } catch (const naru::Error& error) {
    std::cerr << "naru_referee: error: " << error.what() << '\n';
    return 1;
  }
}
