// Folds over the event log: metrics and the Perfetto trace.
#pragma once

#include <iosfwd>
#include <span>
#include <string>
#include <vector>

#include "naru/metrics.h"
#include "runtime/event_log.h"

namespace naru {

/// Computes all figures from the log alone. `devices` names the engine's devices by index.
Metrics fold_metrics(const EventLog::Snapshot& log, std::span<const std::string> devices);

/// Summarises samples in seconds; infinities are failed requests.
Distribution summarise(std::vector<double> samples);

/// Writes the log in the Trace Event Format that Chrome and Perfetto read.
void write_trace(const EventLog::Snapshot& log, std::span<const std::string> devices,
                 std::ostream& out);

/// Peak and current resident set of this process, from /proc/self/status; 0 where unknown.
struct ResidentSet {
  std::int64_t peak_bytes = 0;
  std::int64_t current_bytes = 0;
};
ResidentSet resident_set();

}  // namespace naru
