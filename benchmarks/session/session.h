// A session: measures the rows of a suite into a folder of evidence (journal and raw logs).
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "benchmarks/suites/suite.h"
#include "benchmarks/sut/system.h"

namespace naru::bench {

/// Makes the system for a row; called anew for every row.
using SystemFactory = std::function<std::unique_ptr<System>(const Condition&)>;

struct SessionOptions {
  std::filesystem::path folder;
  std::filesystem::path suite_file;   ///< models are looked for beside it
  std::int64_t budget_ns = 0;         ///< 0: as long as it takes
  bool resume = false;                ///< keep the rows that `folder` already holds
  bool gate = true;                   ///< run accuracy gates (in-process systems)
  bool probes = true;                 ///< measure peaks
  int threads = 0;
  std::filesystem::path synth_folder; ///< for models with random weights; empty: such rows are skipped
  std::string energy_command, energy_boundary = "estimate";
  const std::atomic<bool>* stop = nullptr;
  std::function<void(const std::string&)> progress;  ///< one line of text
};

/// What is found when a session ends.
struct SessionOutcome {
  int measured = 0, failed = 0, skipped = 0;
  bool interrupted = false;
};

/// @throws Error InvalidArgument when `folder` holds another session and is not to be resumed, or was
/// made with another suite; Io when it cannot be written.
SessionOutcome run_session(const Suite& suite, const SystemFactory& make_system, const SessionOptions& options);

/// Makes systems do measured rows again in other ways, and notes that beside the report's evidence: one
/// row per system, model and device, or all of them. @throws Error as run_session.
SessionOutcome audit_session(const Suite& suite, const SystemFactory& make_system, const SessionOptions& options, bool all_rows);

/// Seeded prompts of one row: the same in every run and on every machine.
std::vector<std::vector<std::int32_t>> make_prompts(const Condition& condition, std::uint64_t seed, std::int64_t vocabulary);

}  // namespace naru::bench
