// Statistics of METRICS.md.
#include "benchmarks/analyse/statistics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace naru::bench {
namespace {

/// Regularised incomplete beta function by its continued fraction (Lentz's method).
double incomplete_beta(double a, double b, double x) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - incomplete_beta(b, a, 1 - x);
  const double front = std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) + a * std::log(x) + b * std::log1p(-x)) / a;
  constexpr double kTiny = 1e-300;
  double c = 1, d = 1 - (a + b) * x / (a + 1);
  d = 1 / (std::abs(d) < kTiny ? kTiny : d);
  double fraction = d;
  for (int m = 1; m < 300; ++m) {
    const auto step = [&](double numerator) {
      d = 1 + numerator * d;
      d = 1 / (std::abs(d) < kTiny ? kTiny : d);
      c = 1 + numerator / c;
      if (std::abs(c) < kTiny) c = kTiny;
      fraction *= d * c;
      return d * c;
    };
    step(m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)));
    if (std::abs(step(-(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))) - 1) < 1e-15) break;
  }
  return front * fraction;
}

std::vector<double> batch_means(std::span<const double> values, std::size_t batches) {
  std::vector<double> means;
  const std::size_t size = values.size() / batches;
  for (std::size_t i = 0; i < batches; ++i) means.push_back(mean(values.subspan(i * size, size)));
  return means;
}

}  // namespace

double nearest_rank(std::span<const double> sorted, double p) {
  // A hair below: n p that is whole in exact arithmetic may be a bit above in doubles.
  const double rank = std::ceil(p * static_cast<double>(sorted.size()) * (1 - 1e-12));
  return sorted[static_cast<std::size_t>(std::clamp(rank, 1.0, static_cast<double>(sorted.size()))) - 1];
}

double mean(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double standard_deviation(std::span<const double> values) {
  if (values.size() < 2) return 0;
  const double centre = mean(values);
  double sum = 0;
  for (const double value : values) sum += (value - centre) * (value - centre);
  return std::sqrt(sum / static_cast<double>(values.size() - 1));
}

double autocorrelation_time(std::span<const double> values) {
  const std::size_t n = values.size();
  if (n < 4) return 1;
  double largest = 0;
  for (const double value : values) {
    if (std::isfinite(value)) largest = std::max(largest, value);
  }
  std::vector<double> centred(values.begin(), values.end());
  for (double& value : centred) value = std::isfinite(value) ? value : largest;
  const double centre = mean(centred);
  for (double& value : centred) value -= centre;
  const auto covariance = [&](std::size_t lag) {
    double sum = 0;
    for (std::size_t i = 0; i + lag < n; ++i) sum += centred[i] * centred[i + lag];
    return sum / static_cast<double>(n);
  };
  const double variance = covariance(0);
  if (variance <= 0) return 1;
  double time = -1;
  for (std::size_t lag = 0; lag + 1 < n / 2; lag += 2) {
    const double pair = (covariance(lag) + covariance(lag + 1)) / variance;
    if (pair <= 0) break;
    time += 2 * pair;
  }
  return std::clamp(time, 1.0, static_cast<double>(n));
}

std::size_t mser5(std::span<const double> values) {
  constexpr std::size_t kBatch = 5;
  const std::size_t batches = values.size() / kBatch;
  if (batches < 4) return 0;
  const std::vector<double> means = batch_means(values.first(batches * kBatch), batches);
  std::size_t best = 0;
  double least = INFINITY;
  for (std::size_t drop = 0; drop <= batches / 2; ++drop) {
    const std::span<const double> kept = std::span(means).subspan(drop);
    const double centre = mean(kept);
    double squares = 0;
    for (const double value : kept) squares += (value - centre) * (value - centre);
    const auto count = static_cast<double>(kept.size());
    const double error = squares / (count * count);
    if (error < least) {
      least = error;
      best = drop;
    }
  }
  return best * kBatch;
}

std::optional<bool> has_trend(std::span<const double> values) {
  if (values.size() < 20) return std::nullopt;
  const std::size_t batches = std::min<std::size_t>(20, values.size() / 2);
  const std::vector<double> y = batch_means(values, batches);
  const auto n = static_cast<double>(batches);
  const double x_mean = (n - 1) / 2, y_mean = mean(y);
  double xx = 0, xy = 0;
  for (std::size_t i = 0; i < batches; ++i) {
    const double x = static_cast<double>(i) - x_mean;
    xx += x * x;
    xy += x * (y[i] - y_mean);
  }
  const double slope = xy / xx;
  double residual = 0;
  for (std::size_t i = 0; i < batches; ++i) {
    const double error = y[i] - y_mean - slope * (static_cast<double>(i) - x_mean);
    residual += error * error;
  }
  if (!std::isfinite(slope) || std::abs(slope) * (n - 1) <= 0.1 * std::abs(y_mean)) return false;
  const double deviation = std::sqrt(residual / (n - 2) / xx);
  return deviation == 0 || std::abs(slope) / deviation > student_t_quantile(0.995, n - 2);
}

double student_t_cdf(double t, double degrees) {
  const double tail = 0.5 * incomplete_beta(degrees / 2, 0.5, degrees / (degrees + t * t));
  return t > 0 ? 1 - tail : tail;
}

double student_t_quantile(double p, double degrees) {
  if (p < 0.5) return -student_t_quantile(1 - p, degrees);
  double low = 0, high = 1;
  while (student_t_cdf(high, degrees) < p && high < 1e12) high *= 2;
  for (int i = 0; i < 200 && high - low > 1e-14 * high; ++i) {
    const double middle = 0.5 * (low + high);
    (student_t_cdf(middle, degrees) < p ? low : high) = middle;
  }
  return 0.5 * (low + high);
}

double normal_quantile(double p) {
  double low = -40, high = 40;
  for (int i = 0; i < 200; ++i) {
    const double middle = 0.5 * (low + high);
    (0.5 * std::erfc(-middle / std::sqrt(2.0)) < p ? low : high) = middle;
  }
  return 0.5 * (low + high);
}

std::optional<Interval> t_interval(std::span<const double> runs, double level) {
  if (runs.size() < 2) return std::nullopt;
  const auto n = static_cast<double>(runs.size());
  const double half = student_t_quantile(0.5 + level / 2, n - 1) * standard_deviation(runs) / std::sqrt(n);
  return Interval{mean(runs) - half, mean(runs) + half};
}

}  // namespace naru::bench
