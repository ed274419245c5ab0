// Metrics: figures computed from the event log, by the definitions "kpm-1".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace naru {

/// The id of the metric definitions in force; changing one changes the id.
inline constexpr const char* kMetricDefinitions = "kpm-1";

/// A distribution in seconds. Percentiles are nearest rank, without interpolation, and absent when
/// there are too few samples to print them honestly: p50 needs 11, p90 64, p95 130, p99 662.
/// Failed requests count as infinity.
struct Distribution {
  std::int64_t count = 0;
  double min = 0, mean = 0, max = 0;
  std::optional<double> p50, p90, p95, p99;
};

/// One phase of a cold start.
struct Phase {
  std::string name;  ///< parse, optimise, specialise, place, compile, first run
  double seconds = 0;
};

/// Bytes of one device.
struct DeviceMemory {
  std::string device;
  std::int64_t weights_bytes = 0;    ///< packed copies of constants
  std::int64_t workspace_bytes = 0;  ///< intermediates and scratch of one execution
};

struct MemoryReport {
  std::int64_t constants_bytes = 0;   ///< the model's constants as loaded
  std::int64_t boundary_bytes = 0;    ///< values between steps
  std::vector<DeviceMemory> devices;
  std::int64_t measured_peak_bytes = 0;     ///< peak resident set of the process
  std::int64_t measured_current_bytes = 0;  ///< resident set now
};

/// Time spent in one node over all profiled requests.
struct NodeTime {
  std::string node;
  std::string op;
  std::string device;
  std::string kernel;
  std::int64_t calls = 0;
  double seconds = 0;
};

/// A fold over the event log. Times in seconds.
struct Metrics {
  std::int64_t requests = 0;
  std::int64_t failed = 0;
  Distribution latency;  ///< submit to outputs in host memory, copies included
  Distribution queue;    ///< arrival to start
  double window_seconds = 0;           ///< first start to last completion
  double requests_per_second = 0;      ///< completed over the window
  double mean_in_flight = 0;
  std::vector<Phase> cold_start;
  std::vector<NodeTime> nodes;         ///< slowest first; only with RunOptions::profile
  std::int64_t plans_built = 0;
  std::int64_t plan_hits = 0;
  std::int64_t host_steps = 0;
  std::vector<std::string> moved;  ///< per run that a device failed and others took over: why
};

}  // namespace naru
