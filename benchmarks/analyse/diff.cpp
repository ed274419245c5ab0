// Verdicts on two reports.
#include "benchmarks/analyse/diff.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "benchmarks/analyse/statistics.h"

namespace naru::bench {
namespace {

using Json = nlohmann::json;

const char* headline_metric(const Json& row) {
  return row.at("condition").at("kind") == "generate" ? "output_tokens_per_s" : "samples_per_s";
}

std::vector<double> run_values(const Json& row, const char* metric) {
  std::vector<double> values;
  const auto found = row.at("metrics").find(metric);
  if (found == row.at("metrics").end()) return values;
  for (const Json& value : found->at("runs")) {
    if (value.is_number() && value.get<double>() > 0) values.push_back(value.get<double>());
  }
  return values;
}

std::map<std::string, const Json*> by_key(const Json& report) {
  std::map<std::string, const Json*> rows;
  for (const Json& row : report.at("rows")) {
    const std::string key = row.at("condition").at("key"), system = row.at("condition").at("system");
    rows[key + (system.empty() ? "" : "|system=" + system)] = &row;
  }
  return rows;
}

/// Why two rows must not be compared; empty when they may.
std::string obstacle(const Json* a, const Json* b, const Json& report_a, const Json& report_b) {
  if (a == nullptr || b == nullptr) return "only one report has this row";
  for (const Json* row : {a, b}) {
    if (row->at("status") != "valid" && row->at("status") != "not_steady") return "a side is " + row->at("status").get<std::string>();
  }
  if (report_a.at("metrics_def") != report_b.at("metrics_def")) return "the definitions differ";
  const auto model = [](const Json& row) { return row.at("load").value("model_sha256", ""); };
  if (model(*a) != model(*b)) return "the model files differ";
  return "";
}

}  // namespace

const char* to_string(Verdict verdict) noexcept {
  constexpr const char* kNames[] = {"faster", "slower", "equivalent", "inconclusive", "not comparable"};
  return kNames[static_cast<std::size_t>(verdict)];
}

Comparison compare_runs(std::span<const double> a, std::span<const double> b, const DiffOptions& options, std::size_t tests) {
  Comparison result;
  std::vector<double> log_a, log_b;
  for (const double value : a) log_a.push_back(std::log(value));
  for (const double value : b) log_b.push_back(std::log(value));
  const double n_a = static_cast<double>(a.size()), n_b = static_cast<double>(b.size());
  const double difference = mean(log_b) - mean(log_a);
  const double va = std::pow(standard_deviation(log_a), 2) / n_a, vb = std::pow(standard_deviation(log_b), 2) / n_b;
  const double deviation = std::sqrt(va + vb);
  const double degrees = deviation > 0 ? (va + vb) * (va + vb) / (va * va / (n_a - 1) + vb * vb / (n_b - 1)) : n_a + n_b - 2;
  const double strict = student_t_quantile(1 - options.level / 2 / static_cast<double>(tests), degrees) * deviation;
  const double half = student_t_quantile(0.95, degrees) * deviation;  // two one-sided tests at 5 %
  const double margin = std::log1p(options.margin);
  result.ratio = std::exp(difference);
  result.low = std::exp(difference - strict);
  result.high = std::exp(difference + strict);
  if (std::abs(difference) + half <= margin) {
    result.verdict = Verdict::Equivalent;
  } else if (std::abs(difference) > strict) {
    result.verdict = difference > 0 ? Verdict::Faster : Verdict::Slower;
  } else {
    // With more runs the interval shrinks as their square root; it must fit beside the nearer bound.
    const double room = std::max(std::abs(margin - std::abs(difference)), margin / 4);
    result.runs_needed = static_cast<int>(std::ceil(std::max(n_a, n_b) * std::pow(strict / room, 2)));
    result.runs_needed = std::clamp(result.runs_needed, static_cast<int>(std::max(n_a, n_b)) + 1, 1000);
  }
  return result;
}

std::vector<RowDiff> diff_reports(const Json& a, const Json& b, const DiffOptions& options) {
  const auto rows_a = by_key(a), rows_b = by_key(b);
  std::map<std::string, std::pair<const Json*, const Json*>> pairs;
  for (const auto& [key, row] : rows_a) pairs[key].first = row;
  for (const auto& [key, row] : rows_b) pairs[key].second = row;
  std::vector<RowDiff> rows;
  for (const auto& [key, pair] : pairs) {
    RowDiff row{key, "", obstacle(pair.first, pair.second, a, b), {}};
    row.metric = headline_metric(pair.first != nullptr ? *pair.first : *pair.second);
    if (row.why.empty()) {
      const std::vector<double> runs_a = run_values(*pair.first, row.metric.c_str()), runs_b = run_values(*pair.second, row.metric.c_str());
      if (runs_a.size() < 2 || runs_b.size() < 2) row.why = "fewer than two runs";
      else row.comparison = compare_runs(runs_a, runs_b, options, pairs.size());
    }
    if (!row.why.empty()) row.comparison.verdict = Verdict::NotComparable;
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace naru::bench
