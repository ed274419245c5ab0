// From the events of a run to one record per request.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "benchmarks/log/event.h"

namespace naru::bench {

/// Times in nanoseconds from the start of the run, by the names of METRICS.md.
struct RequestRecord {
  std::uint32_t id = 0;
  std::int64_t a = 0, s = 0, e = 0;
  std::int64_t prompt_tokens = 0;       ///< as given, or as the system says
  std::int64_t cached_tokens = 0;       ///< of them, not computed anew
  std::vector<std::int64_t> t;          ///< t_k: one stamp per output token
  std::vector<std::int32_t> ids;        ///< token ids, where the system gives them
  std::int64_t chunks = 0;              ///< releases of tokens
  std::int64_t claimed = -1;            ///< tokens that the system says it made
  bool ended = false;
  Reason failure = Reason::None;

  bool ok() const { return ended && failure == Reason::None; }
  std::int64_t n() const { return static_cast<std::int64_t>(t.size()); }
};

struct EnergySample {
  std::uint32_t provider = 0;
  std::int64_t time_ns = 0;
  double joules = 0;
};

struct RunRecord {
  std::vector<RequestRecord> requests;  ///< in the order of hand-over
  std::vector<EnergySample> energy;
  std::int64_t clock_step_ns = 0;
  std::int64_t end_ns = 0;
  bool multi_token_chunks = false;
  bool short_prompts = false;  ///< the system read fewer tokens than given
  bool broken = false;  ///< events contradict each other
};

/// @param tokens what every request was asked for, exactly; 0: any length.
RunRecord fold_run(std::span<const RunEvent> events, std::int64_t tokens);

}  // namespace naru::bench
