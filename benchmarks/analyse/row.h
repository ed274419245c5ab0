// From the runs of a row to its figures.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "benchmarks/analyse/requests.h"
#include "benchmarks/suites/suite.h"

namespace naru::bench {

struct MetricInfo {
  const char* id;
  const char* unit;
  int better;
  const char* name[2];        ///< English, Korean
  const char* definition[2];
};
std::span<const MetricInfo> all_metrics();
/// Null when there is none of this id.
const MetricInfo* find_metric(std::string_view id);

/// What is known of a row beside its runs.
struct RowFacts {
  double flops_per_unit = 0;
  double bytes_per_unit = 0;
  double peak_flops = 0;  ///< by the probe
  double peak_bytes = 0;  ///< per second
};

/// Figures of one run. A series gives a distribution, a scalar one value.
struct RunFigures {
  std::map<std::string, std::vector<double>> series;  ///< in the order of hand-over; failures are infinite
  std::map<std::string, double> scalars;
  std::int64_t window_begin_ns = 0, window_end_ns = 0;
  std::size_t requests = 0, failed = 0, dropped = 0;
  double little_error = 0;
  std::vector<Reason> reasons;
};

RunFigures analyse_run(const RunRecord& run, const Condition& condition, const RowFacts& facts);

/// Whether one run keeps the limits of its row as often as asked.
bool keeps_limits(const RunFigures& figures, const Condition& condition);

/// The row: for each metric the estimate, its interval, percentiles, effective samples and per-run
/// values; status and reasons.
nlohmann::json summarise_row(const std::vector<RunFigures>& runs);

}  // namespace naru::bench
