// Scenario: in what manner requests come.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace naru::bench {

enum class ScenarioKind : std::uint8_t {
  Closed,   ///< `concurrency` clients, each hands in the next request when its last one is done
  Poisson,  ///< open loop: exponential gaps at `rate` per second
  Burst,    ///< all at once (offline)
  Trace,    ///< open loop at given times
};
const char* to_string(ScenarioKind kind) noexcept;

struct Scenario {
  ScenarioKind kind = ScenarioKind::Closed;
  int concurrency = 1;
  double rate = 0;                        ///< requests per second
  int requests = 1;                       ///< of one run, at most
  std::int64_t limit_ns = 60'000'000'000; ///< no request is handed in later
  std::vector<std::int64_t> trace_ns;     ///< arrivals from the start of the run

  bool open_loop() const { return kind != ScenarioKind::Closed; }
};

/// Scheduled arrivals of an open loop from the start of the run: the same for a seed everywhere.
std::vector<std::int64_t> arrivals_ns(const Scenario& scenario, std::uint64_t seed);

}  // namespace naru::bench
