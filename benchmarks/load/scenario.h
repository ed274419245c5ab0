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
  Capacity,   ///< the largest Poisson rate whose limits hold; `rate` is where the search begins
  Sustained,  ///< closed, one long run
  ColdStart,  ///< each run loads the model anew and makes one request
};
const char* to_string(ScenarioKind kind) noexcept;

struct Scenario {
  ScenarioKind kind = ScenarioKind::Closed;
  int concurrency = 1;
  double rate = 0;                        ///< requests per second
  int requests = 1;                       ///< of one run, at most
  std::int64_t limit_ns = 60'000'000'000; ///< no request is handed in later
  std::vector<std::int64_t> trace_ns;     ///< arrivals from the start of the run

  bool open_loop() const { return kind != ScenarioKind::Closed && kind != ScenarioKind::Sustained && kind != ScenarioKind::ColdStart; }
  bool has_rate() const { return kind == ScenarioKind::Poisson || kind == ScenarioKind::Capacity; }
};

/// Scheduled arrivals of an open loop from the start of the run, the same for a seed everywhere; none of a
/// closed loop.
std::vector<std::int64_t> arrivals_ns(const Scenario& scenario, std::uint64_t seed);

}  // namespace naru::bench
