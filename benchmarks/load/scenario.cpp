// Scenarios and their arrivals.
#include "benchmarks/load/scenario.h"

#include <algorithm>

#include "benchmarks/load/random.h"

namespace naru::bench {

const char* to_string(ScenarioKind kind) noexcept {
  constexpr const char* kNames[] = {"closed", "poisson", "burst", "trace", "capacity", "sustained", "cold_start"};
  return kNames[static_cast<std::size_t>(kind)];
}

std::vector<std::int64_t> arrivals_ns(const Scenario& scenario, std::uint64_t seed) {
  if (scenario.kind == ScenarioKind::Trace) return scenario.trace_ns;
  if (!scenario.open_loop()) return {};
  std::vector<std::int64_t> arrivals(static_cast<std::size_t>(scenario.requests), 0);
  if (scenario.kind != ScenarioKind::Poisson) return arrivals;
  Random random(seed);
  double time = 0;
  for (std::int64_t& arrival : arrivals) {
    time += random.exponential(1e9 / scenario.rate);
    arrival = static_cast<std::int64_t>(time);
  }
  const auto late = std::upper_bound(arrivals.begin(), arrivals.end(), scenario.limit_ns);
  arrivals.erase(late, arrivals.end());
  return arrivals;
}

}  // namespace naru::bench
