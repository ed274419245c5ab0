// Verdicts of an audit.
#include "benchmarks/analyse/audit.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "benchmarks/analyse/diff.h"
#include "benchmarks/analyse/statistics.h"
#include "graph/fail.h"

namespace naru::bench {
namespace {

using Json = nlohmann::json;

// What a replay, and a twin with other prompts, may differ by.
constexpr double kReplayMargin = 0.02, kTwinMargin = 0.10;

std::vector<RunFigures> figures_of(const std::vector<RunRecord>& runs, const Condition& condition) {
  std::vector<RunFigures> figures;
  for (const RunRecord& run : runs) figures.push_back(analyse_run(run, condition, {}));
  return figures;
}

/// A figure of each run where more is better: tokens or samples per second, or the inverse of the mean TTFT.
std::vector<double> throughput(const std::vector<RunFigures>& runs, const Condition& condition) {
  std::vector<double> values;
  for (const RunFigures& run : runs) {
    const auto found = run.scalars.find(condition.model.generates ? "output_tokens_per_s" : "samples_per_s");
    if (found != run.scalars.end() && found->second > 0) values.push_back(found->second);
  }
  return values;
}

std::vector<double> first_token_speed(const std::vector<RunFigures>& runs) {
  std::vector<double> values;
  for (const RunFigures& run : runs) {
    const auto found = run.series.find("ttft");
    if (found == run.series.end() || found->second.empty()) continue;
    const double ttft = mean(found->second);
    if (std::isfinite(ttft) && ttft > 0) values.push_back(1 / ttft);
  }
  return values;
}

Json verdict(AuditRun run, const char* result, const std::string& detail) { return {{"test", to_string(run)}, {"result", result}, {"detail", detail}}; }

/// Fails when `b` is over `a` by more than the margin, or also under it; inconclusive when runs scatter more.
Json compared(AuditRun run, const std::vector<double>& a, const std::vector<double>& b, double margin, bool both_ways) {
  if (a.size() < 2 || b.size() < 2) return verdict(run, "inconclusive", "fewer than two runs");
  const Comparison found = compare_runs(a, b, {.margin = margin}, 1);
  const std::string detail = fmt::format("ratio {:.3f} ({:.3f} to {:.3f}), allowed {:.0f} %", found.ratio, found.low, found.high, 100 * margin);
  const bool beyond = std::abs(std::log(found.ratio)) > std::log1p(margin);
  if (found.verdict == Verdict::Faster && beyond) return verdict(run, "fail", detail);
  if (found.verdict == Verdict::Slower && beyond && both_ways) return verdict(run, "fail", detail);
  return verdict(run, found.verdict == Verdict::Inconclusive ? "inconclusive" : "pass", detail);
}

Json check_lengths(AuditRun run, const std::vector<RunRecord>& records, std::int64_t asked) {
  std::size_t requests = 0, wrong = 0;
  for (const RunRecord& record : records) {
    for (const RequestRecord& request : record.requests) {
      ++requests;
      const bool length = run == AuditRun::Lengths ? request.n() == asked : request.n() >= 1 && request.n() <= asked;
      wrong += request.ok() && length ? 0 : 1;
    }
  }
  return verdict(run, requests > 0 && wrong == 0 ? "pass" : "fail", fmt::format("{} of {} requests wrong, {} tokens asked", wrong, requests, asked));
}

}  // namespace

const char* to_string(AuditRun run) noexcept {
  constexpr const char* kNames[] = {"replay", "same_prompt", "other_prompts", "lengths", "end_token"};
  return kNames[static_cast<std::size_t>(run)];
}

std::int64_t audit_tokens(AuditRun run, std::int64_t tokens) { return run == AuditRun::Lengths ? tokens / 2 + 1 : tokens; }

Json judge_audit(const AuditRuns& runs, const std::vector<RunFigures>& reported, const Condition& condition) {
  Json results = Json::array();
  const auto replayed = runs.find(AuditRun::Replay);
  if (replayed == runs.end()) return results;
  const std::vector<RunFigures> replay = figures_of(replayed->second, condition);
  results.push_back(compared(AuditRun::Replay, throughput(reported, condition), throughput(replay, condition), kReplayMargin, true));
  for (const auto& [run, records] : runs) {
    switch (run) {
      case AuditRun::Replay: break;
      case AuditRun::SamePrompt:
        results.push_back(compared(run, first_token_speed(replay), first_token_speed(figures_of(records, condition)), kTwinMargin, false));
        break;
      case AuditRun::OtherPrompts:
        results.push_back(compared(run, throughput(figures_of(records, condition), condition), throughput(replay, condition), kTwinMargin, false));
        break;
      case AuditRun::Lengths:
      case AuditRun::EndToken: results.push_back(check_lengths(run, records, audit_tokens(run, condition.output_tokens)));
    }
  }
  return results;
}

}  // namespace naru::bench
