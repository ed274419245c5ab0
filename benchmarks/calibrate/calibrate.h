// Calibration: the harness measures systems of known truth, and shows what other methods would have said.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace naru::bench {

/// A figure of the synthetic system, as set and as measured.
struct CalibrationRow {
  int in_flight = 0;
  std::string metric;
  double truth = 0, measured = 0;
  double allowed = 0;  ///< of the difference
  const char* unit = "";
  bool holds() const { return measured - truth <= allowed && truth - measured <= allowed; }
};
/// Closed loops of the synthetic system: TTFT, TPOT, throughput, stalls, failures, energy.
/// @param seconds of each loop.
std::vector<CalibrationRow> calibrate_harness(const std::vector<int>& in_flight, double seconds);

/// One server with a service of 1 ms that stalls 200 ms each 500th time, at 450 arrivals a second.
struct StallRow {
  double percentile = 0;
  double closed_ms = 0;  ///< a closed loop's latencies: from hand-over
  double open_ms = 0;    ///< from the scheduled arrival
};
std::vector<StallRow> closed_loop_hides_a_stall();

/// How often 95 % intervals of the p99 hold the true p99 of an M/M/1 queue.
struct CoverageRow {
  double load = 0;         ///< arrivals over services
  double independent = 0;  ///< order statistics of one run of 2000, taken as independent
  double runs = 0;         ///< Student's t over 5 runs of 2000
};
std::vector<CoverageRow> interval_coverage(int trials);

}  // namespace naru::bench
