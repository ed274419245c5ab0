// The synthetic system measured, and two queues computed.
#include "benchmarks/calibrate/calibrate.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <unistd.h>

#include "benchmarks/analyse/row.h"
#include "benchmarks/analyse/statistics.h"
#include "benchmarks/load/driver.h"
#include "benchmarks/load/random.h"
#include "benchmarks/sut/synthetic.h"
#include "graph/fail.h"
#include "runtime/event_log.h"

namespace naru::bench {
namespace {

constexpr double kWatts = 25;
constexpr std::int64_t kTokens = 20;
constexpr std::size_t kRunLength = 2000, kRuns = 5, kWarmUp = 5000;

SyntheticTruth set_truth() {
  SyntheticTruth truth;
  truth.ttft_ns = 25'000'000;
  truth.tpot_ns = 5'000'000;
  truth.stall_every = 10;
  truth.stall_ns = 20'000'000;
  return truth;
}

Condition condition_of(int in_flight, double seconds) {
  Condition condition;
  condition.model.generates = true;
  condition.input_tokens = 8;
  condition.output_tokens = kTokens;
  condition.scenario.concurrency = in_flight;
  condition.scenario.requests = 1 << 20;
  condition.scenario.limit_ns = static_cast<std::int64_t>(seconds * 1e9);
  return condition;
}

RunRecord run_once(const SyntheticTruth& truth, const Condition& condition) {
  const std::unique_ptr<System> system = make_synthetic(truth);
  system->load({});
  RunPlan plan;
  plan.scenario = condition.scenario;
  plan.max_tokens = kTokens;
  plan.prompts = {std::vector<std::int32_t>(8, 1)};
  const std::int64_t start = now_ns();
  plan.read_energy = [start] { return EnergyReading{kWatts * static_cast<double>(now_ns() - start) * 1e-9}; };
  const std::filesystem::path path = std::filesystem::temp_directory_path() / fmt::format("naru-calibrate-{}.evt", getpid());
  {
    RawLog log(path);
    run_load(*system, plan, log);
  }
  const RawRun raw = read_raw_log(path);
  std::filesystem::remove(path);
  return fold_run(raw.events, kTokens);
}

/// A short loop in which each eighth request fails.
CalibrationRow failures(int in_flight) {
  SyntheticTruth truth = set_truth();
  truth.fail_every = 8;
  const RunRecord run = run_once(truth, condition_of(in_flight, 1));
  const auto failed = std::count_if(run.requests.begin(), run.requests.end(), [](const RequestRecord& record) { return !record.ok(); });
  const double count = static_cast<double>(run.requests.size());
  // They are counted by number: one more or less at the end of the run.
  return {in_flight, "failed requests", 1.0 / truth.fail_every, static_cast<double>(failed) / count, 1 / count, ""};
}

/// Requests that do not stall show the set times.
void add_times(const RunRecord& run, const SyntheticTruth& truth, std::vector<CalibrationRow>& rows, int in_flight) {
  std::vector<double> ttft, tpot, stall;
  for (const RequestRecord& record : run.requests) {
    if (!record.ok()) continue;
    ttft.push_back(static_cast<double>(record.t.front() - record.s) * 1e-9);
    std::int64_t longest = 0;
    for (std::size_t k = 1; k < record.t.size(); ++k) longest = std::max(longest, record.t[k] - record.t[k - 1]);
    const bool stalled = longest > truth.tpot_ns + truth.stall_ns / 2;
    if (stalled) stall.push_back(static_cast<double>(longest) * 1e-9);
    else tpot.push_back(static_cast<double>(record.t.back() - record.t.front()) * 1e-9 / static_cast<double>(kTokens - 1));
  }
  const double set_tpot = static_cast<double>(truth.tpot_ns) * 1e-9, set_stall = static_cast<double>(truth.tpot_ns + truth.stall_ns) * 1e-9;
  rows.push_back({in_flight, "TTFT", static_cast<double>(truth.ttft_ns) * 1e-9, mean(ttft), 100e-6, "s"});
  rows.push_back({in_flight, "TPOT", set_tpot, mean(tpot), 0.01 * set_tpot, "s"});
  rows.push_back({in_flight, "longest stall", set_stall, mean(stall), 0.01 * set_stall, "s"});
}

/// Tokens per second of a closed loop whose requests take the set times one after another.
double set_throughput(const RunRecord& run, const SyntheticTruth& truth, int in_flight) {
  double tokens = 0, seconds = 0;
  for (const RequestRecord& record : run.requests) {
    const auto number = static_cast<int>(record.id + 1);
    const std::int64_t stall = number % truth.stall_every == 0 ? truth.stall_ns : 0;
    seconds += 1e-9 * static_cast<double>(truth.ttft_ns + (kTokens - 1) * truth.tpot_ns + stall);
    tokens += static_cast<double>(kTokens);
  }
  return tokens / seconds * in_flight;
}

/// Waiting and service of one server: response times of customers in order (Lindley).
template <typename Gap, typename Service>
std::vector<double> responses(std::size_t count, Gap&& gap, Service&& service) {
  std::vector<double> values;
  double arrival = 0, free_at = 0;
  for (std::size_t i = 0; i < count; ++i) {
    arrival += gap();
    free_at = std::max(arrival, free_at) + service(i);
    values.push_back(free_at - arrival);
  }
  return values;
}

std::vector<double> sorted(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values;
}

}  // namespace

std::vector<CalibrationRow> calibrate_harness(const std::vector<int>& in_flight, double seconds) {
  std::vector<CalibrationRow> rows;
  for (const int clients : in_flight) {
    const SyntheticTruth truth = set_truth();
    const Condition condition = condition_of(clients, seconds);
    const RunRecord run = run_once(truth, condition);
    const RunFigures figures = analyse_run(run, condition, {});
    add_times(run, truth, rows, clients);
    const double throughput = set_throughput(run, truth, clients), measured = figures.scalars.at("output_tokens_per_s");
    rows.push_back({clients, "output tokens/s", throughput, measured, 0.01 * throughput, "tokens/s"});
    rows.push_back({clients, "concurrency", static_cast<double>(clients), figures.scalars.at("in_flight"), 0.01 * clients, ""});
    rows.push_back(failures(clients));
    rows.push_back({clients, "power", kWatts, figures.scalars.at("power"), 0.01 * kWatts, "W"});
  }
  return rows;
}

std::vector<StallRow> closed_loop_hides_a_stall() {
  constexpr std::size_t kCount = 27'000;
  Random random(1);
  const auto service = [](std::size_t i) { return 1.0 + ((i + 1) % 500 == 0 ? 200.0 : 0.0); };
  const std::vector<double> open = sorted(responses(kCount, [&] { return random.exponential(1000.0 / 450); }, service));
  std::vector<double> closed;
  for (std::size_t i = 0; i < kCount; ++i) closed.push_back(service(i));
  closed = sorted(std::move(closed));
  std::vector<StallRow> rows;
  for (const PercentileFloor& floor : kPercentileFloors) rows.push_back({floor.p, nearest_rank(closed, floor.p), nearest_rank(open, floor.p)});
  return rows;
}

std::vector<CoverageRow> interval_coverage(int trials) {
  std::vector<CoverageRow> rows;
  for (const double load : {0.5, 0.8, 0.9}) {
    // Response times of M/M/1 are exponential with rate 1 - load (service of mean 1).
    const double truth = std::log(100.0) / (1 - load);
    int independent = 0, runs = 0;
    for (int trial = 0; trial < trials; ++trial) {
      std::vector<double> estimates;
      for (std::size_t run = 0; run < kRuns; ++run) {
        Random random(derive_seed(static_cast<std::uint64_t>(trial), run));
        std::vector<double> values = responses(kWarmUp + kRunLength, [&] { return random.exponential(1 / load); }, [&](std::size_t) { return random.exponential(1); });
        values = sorted({values.begin() + kWarmUp, values.end()});
        estimates.push_back(nearest_rank(values, 0.99));
        if (run > 0) continue;
        // Ranks n p +- 1.96 sqrt(n p (1 - p)).
        constexpr double kRank = 0.99 * kRunLength, kHalf = 1.96 * 4.4497;
        independent += truth >= values[static_cast<std::size_t>(kRank - kHalf)] && truth <= values[std::min(kRunLength - 1, static_cast<std::size_t>(kRank + kHalf))] ? 1 : 0;
      }
      const Interval interval = *t_interval(estimates);
      runs += truth >= interval.low && truth <= interval.high ? 1 : 0;
    }
    rows.push_back({load, static_cast<double>(independent) / trials, static_cast<double>(runs) / trials});
  }
  return rows;
}

}  // namespace naru::bench
