// A system of known truth: it waits as told, so that what the harness measures can be checked.
#pragma once

#include <memory>

#include "benchmarks/sut/system.h"

namespace naru::bench {

/// Times in nanoseconds.
struct SyntheticTruth {
  std::int64_t ttft_ns = 5'000'000;    ///< from submit() to the first token
  std::int64_t tpot_ns = 1'000'000;    ///< from token to token
  std::int64_t cached_ttft_ns = 0;     ///< to the first token of the prompt before; 0: it has no cache
  int tokens_per_chunk = 1;            ///< released together
  int stall_every = 0;                 ///< each so many-th request stalls once in its middle; 0: never
  std::int64_t stall_ns = 0;
  int fail_every = 0;                  ///< each so many-th request fails; 0: never
  int servers = 0;                     ///< requests served side by side; 0: any number
  std::int64_t end_ns = 0;             ///< from the last token to completion
};

/// Reads {"ttft_ms", "tpot_ms", ...}. @throws Error InvalidArgument for unknown fields.
SyntheticTruth synthetic_truth(const nlohmann::json& config);
std::unique_ptr<System> make_synthetic(const SyntheticTruth& truth);

}  // namespace naru::bench
