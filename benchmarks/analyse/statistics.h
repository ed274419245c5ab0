// Statistics of METRICS.md: nearest-rank percentiles, effective samples, steady part, t intervals.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace naru::bench {

/// x_(ceil(n p)) of ascending samples, no interpolation; `sorted` is not empty.
double nearest_rank(std::span<const double> sorted, double p);

/// Effective samples below which a percentile is not printed.
struct PercentileFloor {
  const char* name;
  double p;
  double samples;
};
inline constexpr PercentileFloor kPercentileFloors[] = {
    {"p50", 0.5, 11}, {"p90", 0.9, 64}, {"p95", 0.95, 130}, {"p99", 0.99, 662}, {"p999", 0.999, 6636}};

double mean(std::span<const double> values);
/// Of a sample: divided by n - 1; 0 for fewer than two values.
double standard_deviation(std::span<const double> values);

/// Integrated autocorrelation time, at least 1, by Geyer's initial positive sequence (Statistical
/// Science 7, 1992). Infinite values count as the largest finite one.
double autocorrelation_time(std::span<const double> values);
inline double effective_samples(std::span<const double> values) {
  return values.empty() ? 0 : static_cast<double>(values.size()) / autocorrelation_time(values);
}

/// How many leading values MSER-5 (White, Simulation 69, 1997) drops: batches of 5, at most half.
std::size_t mser5(std::span<const double> values);

/// Is a trend left? Batch means regressed on time: significant at 1 %, and over 10 % of the mean from
/// end to end. Absent with fewer than 20 values: too few to tell.
std::optional<bool> has_trend(std::span<const double> values);

/// Distribution function of Student's t and its inverse.
double student_t_cdf(double t, double degrees);
double student_t_quantile(double p, double degrees);
double normal_quantile(double p);

struct Interval {
  double low = 0, high = 0;
};
/// Student's t interval of the mean of independent runs; absent for fewer than two.
std::optional<Interval> t_interval(std::span<const double> runs, double level = 0.95);

}  // namespace naru::bench
