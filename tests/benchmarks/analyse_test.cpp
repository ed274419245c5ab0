// Statistics against SciPy's and analytic values, and figures of runs with known answers.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "benchmarks/analyse/diff.h"
#include "benchmarks/analyse/row.h"
#include "benchmarks/analyse/statistics.h"
#include "benchmarks/calibrate/calibrate.h"
#include "benchmarks/load/random.h"
#include "benchmarks/load/scenario.h"

namespace naru::bench {
namespace {

constexpr std::int64_t kMs = 1'000'000;

TEST(Statistics, QuantilesAreThoseOfScipy) {
  EXPECT_NEAR(student_t_quantile(0.975, 4), 2.7764451051977934, 1e-9);
  EXPECT_NEAR(student_t_quantile(0.995, 18), 2.8784404727386077, 1e-9);
  EXPECT_NEAR(student_t_quantile(0.9, 1), 3.0776835371752544, 1e-9);
  EXPECT_NEAR(student_t_quantile(0.975, 2.5), 3.5746548420036817, 1e-8);
  EXPECT_NEAR(normal_quantile(0.975), 1.959963984540054, 1e-9);
}

TEST(Statistics, NearestRankTakesASampleAsItIs) {
  const std::vector<double> values = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  EXPECT_EQ(nearest_rank(values, 0.5), 5);
  EXPECT_EQ(nearest_rank(values, 0.9), 9);
  EXPECT_EQ(nearest_rank(values, 0.91), 10);
  EXPECT_EQ(nearest_rank(values, 0.0), 1);
  EXPECT_EQ(nearest_rank(values, 1.0), 10);
}

TEST(Statistics, AutocorrelationTimeOfAnAutoregressionIsItsFormula) {
  // x_k = phi x_(k-1) + noise has (1 + phi) / (1 - phi).
  Random random(3);
  std::vector<double> values = {0};
  while (values.size() < 40'000) values.push_back(0.8 * values.back() + normal_quantile(random.uniform()));
  EXPECT_NEAR(autocorrelation_time(values), 9.0, 1.5);
}

TEST(Statistics, MserDropsTheRampUpAndNoMore) {
  Random random(5);
  std::vector<double> values;
  for (int i = 0; i < 400; ++i) values.push_back((i < 60 ? 5.0 - i / 12.0 : 0.0) + random.uniform());
  const std::size_t dropped = mser5(values);
  EXPECT_GE(dropped, 45u);
  EXPECT_LE(dropped, 90u);
}

TEST(Statistics, TrendIsSeenAndNoiseIsNot) {
  Random random(7);
  std::vector<double> noise, trend;
  for (int i = 0; i < 200; ++i) {
    noise.push_back(1 + 0.2 * random.uniform());
    trend.push_back(1 + i / 400.0 + 0.2 * random.uniform());
  }
  EXPECT_EQ(has_trend(noise), std::optional(false));
  EXPECT_EQ(has_trend(trend), std::optional(true));
  EXPECT_EQ(has_trend(std::vector<double>(10, 1.0)), std::nullopt);
}

TEST(Random, LogarithmAgreesWithTheLibraryAndSeedsAreFixed) {
  Random random(1);
  for (int i = 0; i < 10'000; ++i) {
    const double x = random.uniform();
    EXPECT_NEAR(portable_log(x), std::log(x), 1e-15 * std::max(1.0, std::abs(std::log(x))));
  }
  // The first value of SplitMix64 from seed 0 (Vigna's reference program).
  EXPECT_EQ(Random(0).bits(), 0xE220A8397B1DCDAFull);
}

TEST(Scenario, PoissonArrivalsHaveTheRateAndRepeat) {
  Scenario scenario;
  scenario.kind = ScenarioKind::Poisson;
  scenario.rate = 100;
  scenario.requests = 20'000;
  scenario.limit_ns = INT64_MAX;
  const std::vector<std::int64_t> arrivals = arrivals_ns(scenario, 11);
  EXPECT_EQ(arrivals, arrivals_ns(scenario, 11));
  EXPECT_NE(arrivals, arrivals_ns(scenario, 12));
  EXPECT_NEAR(static_cast<double>(arrivals.back()) * 1e-9, 200.0, 6.0);
}

Condition closed(int concurrency, std::int64_t tokens) {
  Condition condition;
  condition.model.generates = true;
  condition.input_tokens = 8;
  condition.output_tokens = tokens;
  condition.scenario.concurrency = concurrency;
  return condition;
}

/// Requests one after the other: TTFT 10 ms, then a token each 2 ms.
std::vector<RunEvent> serial_run(int requests, int tokens) {
  std::vector<RunEvent> events = {{RunEventKind::Begin, 0, 0, 0}};
  std::int64_t time = 0;
  for (int i = 0; i < requests; ++i) {
    const auto id = static_cast<std::uint32_t>(i);
    events.push_back({RunEventKind::Scheduled, id, time, 0});
    events.push_back({RunEventKind::Handed, id, time, 8});
    for (int k = 0; k < tokens; ++k) events.push_back({RunEventKind::Token, id, time + (10 + 2 * k) * kMs, k});
    time += (10 + 2 * (tokens - 1)) * kMs;
    events.push_back({RunEventKind::Complete, id, time, 0});
  }
  events.push_back({RunEventKind::End, 0, time, 0});
  return events;
}

TEST(Run, FiguresOfAKnownRunAreExact) {
  const Condition condition = closed(1, 6);
  const RunFigures figures = analyse_run(fold_run(serial_run(40, 6), 6), condition, {});
  for (const double ttft : figures.series.at("ttft")) EXPECT_DOUBLE_EQ(ttft, 0.010);
  for (const double tpot : figures.series.at("tpot")) EXPECT_DOUBLE_EQ(tpot, 0.002);
  EXPECT_NEAR(figures.scalars.at("output_tokens_per_s"), 6 / 0.020, 1e-9);
  EXPECT_NEAR(figures.scalars.at("in_flight"), 1, 1e-12);
  EXPECT_NEAR(figures.little_error, 0, 1e-12);
  EXPECT_TRUE(figures.reasons.empty());
}

/// `clients` requests that start and end together, again and again; the first round is slower.
std::vector<RunEvent> lockstep_run(int clients, int rounds) {
  std::vector<RunEvent> events = {{RunEventKind::Begin, 0, 0, 0}};
  std::int64_t time = 0;
  for (int round = 0; round < rounds; ++round) {
    const std::int64_t length = (round == 0 ? 60 : 20) * kMs;
    for (const RunEventKind kind : {RunEventKind::Scheduled, RunEventKind::Token, RunEventKind::Complete}) {
      for (int client = 0; client < clients; ++client) {
        const auto id = static_cast<std::uint32_t>(round * clients + client);
        const std::int64_t at = time + client * 2000 + (kind == RunEventKind::Scheduled ? 0 : length);
        events.push_back({kind, id, at, 0});
        if (kind == RunEventKind::Scheduled) events.push_back({RunEventKind::Handed, id, at, 8});
      }
    }
    time += length + 1000;
  }
  events.push_back({RunEventKind::End, 0, time, 0});
  return events;
}

TEST(Run, LockstepKeepsLittlesLaw) {
  for (const int clients : {2, 3, 4, 8, 16}) {
    for (const int rounds : {2, 3, 4, 7}) {
      const RunFigures figures = analyse_run(fold_run(lockstep_run(clients, rounds), 1), closed(clients, 1), {});
      EXPECT_LT(figures.little_error, 0.01) << clients << " clients, " << rounds << " rounds";
      EXPECT_NEAR(figures.scalars.at("in_flight"), clients, 0.01 * clients);
      EXPECT_EQ(figures.dropped % static_cast<std::size_t>(clients), 0u);
    }
  }
}

TEST(Run, OverloadBreaksLittlesLaw) {
  // Arrivals each 10 ms, one at a time served in 15 ms: more and more wait, the window is no steady state.
  Condition condition = closed(1, 1);
  condition.scenario.kind = ScenarioKind::Poisson;
  std::vector<RunEvent> events;
  for (int i = 0; i < 100; ++i) {
    const auto id = static_cast<std::uint32_t>(i);
    events.push_back({RunEventKind::Scheduled, id, i * 10 * kMs, 0});
    events.push_back({RunEventKind::Handed, id, i * 10 * kMs, 8});
    events.push_back({RunEventKind::Token, id, (i + 1) * 15 * kMs, 0});
    events.push_back({RunEventKind::Complete, id, (i + 1) * 15 * kMs, 0});
  }
  EXPECT_GT(analyse_run(fold_run(events, 1), condition, {}).little_error, 0.05);
}

TEST(Run, OneTokenHasNoTimePerToken) {
  const RunFigures figures = analyse_run(fold_run(serial_run(10, 1), 1), closed(1, 1), {});
  EXPECT_EQ(figures.series.count("tpot"), 0u);
}

TEST(Run, FailedRequestsStayInAsInfinity) {
  std::vector<RunEvent> events = serial_run(20, 4);
  for (RunEvent& event : events) {
    if (event.kind == RunEventKind::Complete && event.request == 3) event = {RunEventKind::Failed, 3, event.time_ns, static_cast<std::int64_t>(Reason::StreamError)};
  }
  const RunFigures figures = analyse_run(fold_run(events, 4), closed(1, 4), {});
  EXPECT_EQ(figures.failed, 1u);
  EXPECT_TRUE(std::isinf(figures.series.at("latency")[3 - figures.dropped]));
}

TEST(Requests, LiesAboutTokensAreFound) {
  const auto run = [](std::int64_t claimed, std::int64_t asked) {
    std::vector<RunEvent> events = {{RunEventKind::Scheduled, 0, 0, 0}, {RunEventKind::Handed, 0, 0, 8}};
    for (int k = 1; k <= 4; ++k) events.push_back({RunEventKind::Chunk, 0, k * kMs, 0});
    events.push_back({RunEventKind::Claimed, 0, 5 * kMs, claimed});
    events.push_back({RunEventKind::Complete, 0, 5 * kMs, 0});
    return fold_run(events, asked).requests.front();
  };
  EXPECT_EQ(run(3, 3).failure, Reason::UsageMismatch);   // four chunks cannot be three tokens
  EXPECT_EQ(run(9, 8).failure, Reason::LengthMismatch);
  const RequestRecord record = run(8, 8);  // two tokens a chunk share a stamp
  EXPECT_EQ(record.failure, Reason::None);
  EXPECT_EQ(record.t, (std::vector<std::int64_t>{kMs, kMs, 2 * kMs, 2 * kMs, 3 * kMs, 3 * kMs, 4 * kMs, 4 * kMs}));
}

TEST(Row, PercentilesNeedEffectiveSamples) {
  std::vector<RunFigures> runs;
  for (int i = 0; i < 5; ++i) runs.push_back(analyse_run(fold_run(serial_run(8, 6), 6), closed(1, 6), {}));
  const nlohmann::json row = summarise_row(runs);
  EXPECT_EQ(row.at("status"), "valid");
  EXPECT_NEAR(row.at("metrics").at("ttft").at("p50").at("estimate").get<double>(), 0.010, 1e-12);
  EXPECT_TRUE(row.at("metrics").at("ttft").at("p90").is_null());
}

TEST(Diff, VerdictsOnKnownDifferences) {
  const std::vector<double> base = {100, 101, 99, 100.5, 99.5}, slower = {95, 95.8, 94.2, 95.3, 94.7};
  const std::vector<double> wild = {60, 140, 100, 80, 120};
  EXPECT_EQ(compare_runs(base, base, {}, 10).verdict, Verdict::Equivalent);
  EXPECT_EQ(compare_runs(base, slower, {}, 10).verdict, Verdict::Slower);
  EXPECT_EQ(compare_runs(slower, base, {}, 10).verdict, Verdict::Faster);
  const Comparison unsure = compare_runs(base, wild, {}, 10);
  EXPECT_EQ(unsure.verdict, Verdict::Inconclusive);
  EXPECT_GT(unsure.runs_needed, 5);
}

TEST(Calibrate, ClosedLoopHidesAStall) {
  const std::vector<StallRow> rows = closed_loop_hides_a_stall();
  EXPECT_EQ(rows[3].percentile, 0.99);
  EXPECT_DOUBLE_EQ(rows[3].closed_ms, 1.0);
  EXPECT_GT(rows[3].open_ms, 150.0);
}

TEST(Calibrate, IntervalsOfRequestsTakenAsIndependentAreTooNarrow) {
  const std::vector<CoverageRow> rows = interval_coverage(60);
  EXPECT_LT(rows[0].independent, 0.75);
  EXPECT_LT(rows[2].independent, 0.25);
  EXPECT_GT(rows[0].runs, 0.8);
  for (const CoverageRow& row : rows) EXPECT_GT(row.runs, row.independent + 0.15) << row.load;
}

}  // namespace
}  // namespace naru::bench
