// Metrics: the folds against numbers worked out by hand from the definitions.
#include "runtime/metrics.h"

#include <gtest/gtest.h>

#include <cmath>

namespace naru {
namespace {

std::vector<double> one_to(int n) {
  std::vector<double> samples;
  for (int i = 1; i <= n; ++i) samples.push_back(i);
  return samples;
}

TEST(Metrics, PercentilesAreNearestRank) {
  const Distribution d = summarise(one_to(700));
  EXPECT_EQ(d.count, 700);
  EXPECT_EQ(d.min, 1);
  EXPECT_EQ(d.max, 700);
  EXPECT_EQ(d.mean, 350.5);
  EXPECT_EQ(d.p50, 350);
  EXPECT_EQ(d.p90, 630);
  EXPECT_EQ(d.p95, 665);
  EXPECT_EQ(d.p99, 693);
}

TEST(Metrics, PercentilesNeedEnoughSamples) {
  EXPECT_FALSE(summarise(one_to(10)).p50.has_value());
  EXPECT_EQ(summarise(one_to(11)).p50, 6);
  EXPECT_FALSE(summarise(one_to(63)).p90.has_value());
  EXPECT_TRUE(summarise(one_to(64)).p90.has_value());
  EXPECT_FALSE(summarise(one_to(661)).p99.has_value());
  EXPECT_TRUE(summarise(one_to(662)).p99.has_value());
  EXPECT_EQ(summarise({}).count, 0);
}

TEST(Metrics, FailedRequestsCountAsInfinity) {
  std::vector<double> samples = one_to(20);
  samples[0] = samples[1] = samples[2] = INFINITY;
  const Distribution d = summarise(samples);
  EXPECT_TRUE(std::isinf(d.max));
  EXPECT_EQ(d.p50, 13);
}

TEST(Metrics, RequestsFoldFromTheLog) {
  EventLog log;
  constexpr std::int64_t kMs = 1'000'000;
  const auto request = [&](std::uint32_t id, std::int64_t arrival, std::int64_t start, std::int64_t end, bool failed) {
    log.append({.kind = EventKind::Arrival, .request = id, .start_ns = arrival * kMs, .end_ns = arrival * kMs});
    log.append({.kind = EventKind::Run, .failed = failed, .request = id, .start_ns = start * kMs, .end_ns = end * kMs});
  };
  request(1, 1000, 1000, 1010, false);
  request(2, 1000, 1010, 1020, false);
  request(3, 1010, 1020, 1050, true);
  const Metrics metrics = fold_metrics(log.snapshot(), {});
  EXPECT_EQ(metrics.requests, 3);
  EXPECT_EQ(metrics.failed, 1);
  EXPECT_DOUBLE_EQ(metrics.latency.min, 0.010);
  EXPECT_TRUE(std::isinf(metrics.latency.max));
  EXPECT_DOUBLE_EQ(metrics.queue.max, 0.010);
  EXPECT_DOUBLE_EQ(metrics.window_seconds, 0.050);
  EXPECT_DOUBLE_EQ(metrics.requests_per_second, 40);
  // Little's law: (10 + 20 + 40) ms in the system over a window of 50 ms.
  EXPECT_DOUBLE_EQ(metrics.mean_in_flight, 1.4);
}

}  // namespace
}  // namespace naru
