// Figures of a row: estimates over independent runs.
#include "benchmarks/analyse/row.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "benchmarks/analyse/statistics.h"

namespace naru::bench {
namespace {

constexpr MetricInfo kMetrics[] = {
#define METRIC(id, unit, better, english, korean, definition_en, definition_ko) \
  {#id, unit, better, {english, korean}, {definition_en, definition_ko}},
#include "benchmarks/analyse/metrics.def"
#undef METRIC
};

// Runs that a row needs for an interval that METRICS accepts.
constexpr std::size_t kMinimumRuns = 5;

nlohmann::json number(double value) {
  // JSON has no infinity; failures make percentiles infinite, which is worth saying.
  return std::isfinite(value) ? nlohmann::json(value) : nlohmann::json("inf");
}

void put_interval(nlohmann::json& json, const std::vector<double>& runs) {
  json["runs"] = nlohmann::json::array();
  for (const double value : runs) json["runs"].push_back(number(value));
  const bool finite = std::all_of(runs.begin(), runs.end(), [](double value) { return std::isfinite(value); });
  if (runs.size() < kMinimumRuns || !finite) return;
  const auto interval = t_interval(runs);
  json["low"] = interval->low;
  json["high"] = interval->high;
}

nlohmann::json summarise_scalar(const std::vector<double>& runs) {
  nlohmann::json json = {{"estimate", number(mean(runs))}};
  put_interval(json, runs);
  return json;
}

/// A percentile of all runs together, where they hold enough effective samples; its interval from the
/// runs where each holds enough.
nlohmann::json summarise_percentile(const std::vector<std::vector<double>>& sorted_runs, const std::vector<double>& effective,
                                    const PercentileFloor& floor) {
  double total = 0;
  std::vector<double> all, per_run;
  bool each = true;
  for (std::size_t i = 0; i < sorted_runs.size(); ++i) {
    total += effective[i];
    all.insert(all.end(), sorted_runs[i].begin(), sorted_runs[i].end());
    each = each && effective[i] >= floor.samples;
    if (!sorted_runs[i].empty()) per_run.push_back(nearest_rank(sorted_runs[i], floor.p));
  }
  if (total < floor.samples || all.empty()) return nullptr;
  std::sort(all.begin(), all.end());
  nlohmann::json json = {{"estimate", number(nearest_rank(all, floor.p))}};
  if (each) put_interval(json, per_run);
  return json;
}

nlohmann::json summarise_series(const std::vector<const std::vector<double>*>& runs) {
  std::vector<std::vector<double>> sorted;
  std::vector<double> effective, means;
  double largest = 0, count = 0, total = 0;
  for (const std::vector<double>* series : runs) {
    effective.push_back(effective_samples(*series));
    total += effective.back();
    count += static_cast<double>(series->size());
    means.push_back(mean(*series));
    sorted.push_back(*series);
    std::sort(sorted.back().begin(), sorted.back().end());
    largest = std::max(largest, sorted.back().back());
  }
  nlohmann::json json = {{"count", count}, {"effective", total}, {"max", number(largest)}, {"mean", summarise_scalar(means)}};
  for (const PercentileFloor& floor : kPercentileFloors) json[floor.name] = summarise_percentile(sorted, effective, floor);
  return json;
}

/// Invalid before not steady before valid; notes alone leave a row valid.
std::string status_of(const std::set<Reason>& reasons) {
  for (const Reason reason : {Reason::Little, Reason::Identity}) {
    if (reasons.count(reason) != 0) return "invalid";
  }
  return reasons.count(Reason::NotSteady) != 0 ? "not_steady" : "valid";
}

nlohmann::json run_json(const RunFigures& run) {
  nlohmann::json json = {{"requests", run.requests}, {"failed", run.failed}, {"dropped", run.dropped},
                         {"window_ns", {run.window_begin_ns, run.window_end_ns}}, {"little_error", run.little_error}};
  for (const auto& [name, value] : run.scalars) json["scalars"][name] = number(value);
  return json;
}

}  // namespace

std::span<const MetricInfo> all_metrics() { return kMetrics; }

const MetricInfo* find_metric(std::string_view id) {
  const auto found = std::find_if(std::begin(kMetrics), std::end(kMetrics), [&](const MetricInfo& m) { return m.id == id; });
  return found == std::end(kMetrics) ? nullptr : found;
}

nlohmann::json summarise_row(const std::vector<RunFigures>& runs) {
  nlohmann::json json;
  std::set<Reason> reasons;
  std::map<Reason, std::size_t> unsteady;
  for (const RunFigures& run : runs) {
    const std::set<Reason> own(run.reasons.begin(), run.reasons.end());
    for (const Reason reason : own) ++unsteady[reason];
    json["runs"].push_back(run_json(run));
  }
  for (const auto& [reason, count] : unsteady) {
    // One run of five with a trend is chance or a neighbour on the machine; half of them are not.
    if ((reason == Reason::NotSteady || reason == Reason::Little) && 2 * count < runs.size()) continue;
    reasons.insert(reason);
  }
  if (runs.size() < kMinimumRuns) reasons.insert(Reason::FewRuns);
  const bool any = std::any_of(runs.begin(), runs.end(), [](const RunFigures& run) { return run.failed < run.requests; });
  json["status"] = any ? status_of(reasons) : "failed";
  for (const MetricInfo& metric : kMetrics) {
    std::vector<double> scalars;
    std::vector<const std::vector<double>*> series;
    for (const RunFigures& run : runs) {
      if (const auto found = run.scalars.find(metric.id); found != run.scalars.end()) scalars.push_back(found->second);
      if (const auto found = run.series.find(metric.id); found != run.series.end() && !found->second.empty()) series.push_back(&found->second);
    }
    if (!scalars.empty()) json["metrics"][metric.id] = summarise_scalar(scalars);
    if (!series.empty()) json["metrics"][metric.id] = summarise_series(series);
  }
  if (!json.contains("metrics")) json["metrics"] = nlohmann::json::object();
  json["reasons"] = nlohmann::json::array();
  for (const Reason reason : reasons) json["reasons"].push_back({{"code", info_of(reason).code}, {"detail", ""}});
  return json;
}

}  // namespace naru::bench
