// The load generator: one run of a scenario against a system, written to a raw log.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <vector>

#include "benchmarks/load/scenario.h"
#include "benchmarks/log/raw_log.h"
#include "benchmarks/sut/system.h"

namespace naru::bench {

/// Joules since some start, by provider; absent where it cannot be read at this moment.
using EnergyReading = std::vector<std::optional<double>>;

/// What one run hands in. Request i uses prompt i modulo their number.
struct RunPlan {
  Scenario scenario;
  std::uint64_t seed = 1;                            ///< of the arrivals
  std::vector<std::vector<std::int32_t>> prompts;    ///< empty for models that do not generate
  std::int64_t max_tokens = 0;
  bool ignore_end = true;                            ///< else an end token ends an answer early
  std::uint32_t samples = 1;
  std::int64_t timeout_ns = 600'000'000'000;         ///< for all that is under way when handing in ends
  const std::atomic<bool>* stop = nullptr;           ///< set from outside: end early
  std::function<EnergyReading()> read_energy;        ///< called before and after, and ten times a second, where set
};

struct RunOutcome {
  bool interrupted = false;
  int requests = 0;
  int failed = 0;
  std::string first_failure;  ///< in words
};

/// Hands requests in as the scenario says and logs what happens; returns when all are over.
/// @throws Error Io when the log cannot be written.
RunOutcome run_load(System& system, const RunPlan& plan, RawLog& log);

}  // namespace naru::bench
