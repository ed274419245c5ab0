// Folds over the event log.
#include "runtime/metrics.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <ostream>

namespace naru {
namespace {

constexpr double kNs = 1e-9;

/// The nearest-rank percentile of sorted samples, absent below the count that makes it meaningful.
std::optional<double> percentile(const std::vector<double>& sorted, double p, std::size_t minimum) {
  if (sorted.size() < minimum) return std::nullopt;
  const auto rank = static_cast<std::size_t>(std::ceil(p * static_cast<double>(sorted.size())));
  return sorted[std::max<std::size_t>(rank, 1) - 1];
}

std::string device_name(std::span<const std::string> devices, int index) {
  return index < 0 ? "host" : devices[static_cast<std::size_t>(index)];
}

void fold_requests(const EventLog::Snapshot& log, Metrics& metrics) {
  std::map<std::uint32_t, std::int64_t> arrivals;
  std::vector<double> latency, queue;
  std::int64_t first = std::numeric_limits<std::int64_t>::max(), last = 0;
  double busy = 0;
  for (const LogRecord& record : log.records) {
    if (record.kind == EventKind::Arrival) arrivals[record.request] = record.start_ns;
    if (record.kind != EventKind::Run) continue;
    const auto found = arrivals.find(record.request);
    const std::int64_t arrival = found == arrivals.end() ? record.start_ns : found->second;
    ++metrics.requests;
    metrics.failed += record.failed ? 1 : 0;
    latency.push_back(record.failed ? std::numeric_limits<double>::infinity()
                                    : static_cast<double>(record.end_ns - arrival) * kNs);
    queue.push_back(static_cast<double>(record.start_ns - arrival) * kNs);
    first = std::min(first, arrival);
    last = std::max(last, record.end_ns);
    busy += static_cast<double>(record.end_ns - arrival) * kNs;
  }
  metrics.latency = summarise(std::move(latency));
  metrics.queue = summarise(std::move(queue));
  if (metrics.requests == 0) return;
  metrics.window_seconds = static_cast<double>(last - first) * kNs;
  if (metrics.window_seconds > 0) {
    metrics.requests_per_second =
        static_cast<double>(metrics.requests - metrics.failed) / metrics.window_seconds;
    metrics.mean_in_flight = busy / metrics.window_seconds;
  }
}

void fold_nodes(const EventLog::Snapshot& log, std::span<const std::string> devices, Metrics& metrics) {
  std::map<std::pair<std::uint32_t, std::uint32_t>, NodeTime> nodes;
  for (const LogRecord& record : log.records) {
    if (record.kind != EventKind::Node) continue;
    NodeTime& time = nodes[{record.name, record.detail}];
    if (time.calls++ == 0) {
      time.node = log.strings[record.name];
      time.op = log.strings[record.op];
      time.kernel = log.strings[record.detail];
      time.device = device_name(devices, record.device);
    }
    time.seconds += static_cast<double>(record.end_ns - record.start_ns) * kNs;
  }
  for (auto& [key, time] : nodes) metrics.nodes.push_back(std::move(time));
  std::stable_sort(metrics.nodes.begin(), metrics.nodes.end(),
                   [](const NodeTime& a, const NodeTime& b) { return a.seconds > b.seconds; });
}

void fold_phases(const EventLog::Snapshot& log, Metrics& metrics) {
  for (const LogRecord& record : log.records) {
    if (record.kind == EventKind::PlanHit) ++metrics.plan_hits;
    if (record.kind == EventKind::Moved) metrics.moved.push_back(log.strings[record.name]);
    if (record.kind == EventKind::Step && record.device < 0) ++metrics.host_steps;
    if (record.kind != EventKind::Phase) continue;
    const std::string& name = log.strings[record.name];
    if (name == "specialise") ++metrics.plans_built;
    const double seconds = static_cast<double>(record.end_ns - record.start_ns) * kNs;
    const auto found = std::find_if(metrics.cold_start.begin(), metrics.cold_start.end(),
                                    [&](const Phase& phase) { return phase.name == name; });
    if (found == metrics.cold_start.end()) {
      metrics.cold_start.push_back({name, seconds});
    } else {
      found->seconds += seconds;
    }
  }
}

}  // namespace

Distribution summarise(std::vector<double> samples) {
  Distribution result;
  result.count = static_cast<std::int64_t>(samples.size());
  if (samples.empty()) return result;
  std::sort(samples.begin(), samples.end());
  result.min = samples.front();
  result.max = samples.back();
  double sum = 0;
  for (const double sample : samples) sum += sample;
  result.mean = sum / static_cast<double>(samples.size());
  result.p50 = percentile(samples, 0.50, 11);
  result.p90 = percentile(samples, 0.90, 64);
  result.p95 = percentile(samples, 0.95, 130);
  result.p99 = percentile(samples, 0.99, 662);
  return result;
}

Metrics fold_metrics(const EventLog::Snapshot& log, std::span<const std::string> devices) {
  Metrics metrics;
  fold_requests(log, metrics);
  fold_phases(log, metrics);
  fold_nodes(log, devices, metrics);
  return metrics;
}

void write_trace(const EventLog::Snapshot& log, std::span<const std::string> devices,
                 std::ostream& out) {
  constexpr int kProcess = 1;
  constexpr int kRequestLane = 1000, kSequenceLane = 2000;
  nlohmann::json events = nlohmann::json::array();
  const auto lane_name = [&](int lane, const std::string& name) {
    events.push_back({{"ph", "M"}, {"pid", kProcess}, {"tid", lane}, {"name", "thread_name"},
                      {"args", {{"name", name}}}});
  };
  lane_name(0, "host");
  for (std::size_t d = 0; d < devices.size(); ++d) lane_name(static_cast<int>(d) + 1, devices[d]);
  lane_name(kRequestLane, "requests");
  lane_name(kSequenceLane, "generated tokens");
  const std::int64_t origin = log.records.empty() ? 0 : log.records.front().start_ns;
  for (const LogRecord& record : log.records) {
    if (record.kind == EventKind::PlanHit || record.kind == EventKind::Arrival || record.kind == EventKind::Moved) continue;
    const bool request = record.kind == EventKind::Run, token = record.kind == EventKind::Token;
    const std::string name = request ? "request " + std::to_string(record.request)
                             : token ? "sequence " + std::to_string(record.request)
                                     : log.strings[record.name];
    const char* category = record.kind == EventKind::Phase  ? "phase"
                           : record.kind == EventKind::Step ? "step"
                           : record.kind == EventKind::Node ? "node"
                           : record.kind == EventKind::Copy ? "copy"
                           : token                          ? "token"
                                                            : "request";
    events.push_back({{"ph", "X"},
                      {"pid", kProcess},
                      {"tid", request ? kRequestLane : token ? kSequenceLane : record.device + 1},
                      {"name", name},
                      {"cat", category},
                      {"ts", static_cast<double>(record.start_ns - origin) / 1000.0},
                      {"dur", static_cast<double>(record.end_ns - record.start_ns) / 1000.0},
                      {"args",
                       {{"request", record.request},
                        {"op", log.strings[record.op]},
                        {"kernel", log.strings[record.detail]},
                        {"bytes", record.bytes}}}});
  }
  const nlohmann::json trace = {{"traceEvents", std::move(events)}, {"displayTimeUnit", "ms"}};
  out << trace.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
}

ResidentSet resident_set() {
  ResidentSet result;
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) result.peak_bytes = std::stoll(line.substr(6)) * 1024;
    if (line.starts_with("VmRSS:")) result.current_bytes = std::stoll(line.substr(6)) * 1024;
  }
  return result;
}

}  // namespace naru
