// Audit: what runs made after a report say about it.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "benchmarks/analyse/row.h"

namespace naru::bench {

/// What a system is made to do again, and how the answers may differ.
enum class AuditRun : std::uint8_t {
  Replay,        ///< the row once more: within 2 % of the report
  SamePrompt,    ///< one prompt for all requests: a cache would answer faster
  OtherPrompts,  ///< prompts of another seed: the reported ones must not be easier
  Lengths,       ///< odd numbers of tokens: each exactly as asked
  EndToken,      ///< end tokens count: never more tokens than asked
};
inline constexpr AuditRun kAuditRuns[] = {AuditRun::Replay, AuditRun::SamePrompt, AuditRun::OtherPrompts, AuditRun::Lengths, AuditRun::EndToken};
const char* to_string(AuditRun run) noexcept;

/// Tokens that a run of this kind asks for, of a row that asks for `tokens`.
std::int64_t audit_tokens(AuditRun run, std::int64_t tokens);

/// Folded runs of each kind.
using AuditRuns = std::map<AuditRun, std::vector<RunRecord>>;
/// One object per kind: {"test", "result": "pass" | "fail" | "inconclusive", "detail"}.
/// @param reported the row's own runs.
nlohmann::json judge_audit(const AuditRuns& runs, const std::vector<RunFigures>& reported, const Condition& condition);

}  // namespace naru::bench
