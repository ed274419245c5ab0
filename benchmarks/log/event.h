// What a run's raw log holds: fixed-size events on one monotonic clock, and reason codes.
#pragma once

#include <cstdint>
#include <string_view>

namespace naru::bench {

enum class Reason : std::uint8_t {
#define REASON(name, code, english, korean) name,
#include "benchmarks/log/reasons.def"
#undef REASON
};
struct ReasonInfo {
  const char* code;
  const char* text[2];  ///< English, Korean
};
const ReasonInfo& info_of(Reason reason) noexcept;
/// None for an unknown code.
Reason reason_from_code(std::string_view code) noexcept;

enum class RunEventKind : std::uint8_t {
  Begin = 1,    ///< start of the run; time 0; value: the monotonic clock
  Scheduled,    ///< a: when the request was to arrive
  Handed,       ///< s: handed to the system under test; value: prompt tokens
  Token,        ///< t_k; value: token id
  Chunk,        ///< tokens of unknown ids became visible; value: how many, 0: unknown
  Claimed,      ///< value: output tokens that the system says it made
  Complete,     ///< e
  Failed,       ///< e; value: Reason
  Energy,       ///< request: provider; value: microjoules since some start
  DeviceStamp,  ///< value: the system's own stamp of its first token, from the start of the run
  ClockStep,    ///< value: nanoseconds that the wall clock moved against the monotonic one
  End,          ///< the run is whole
  Prompted,     ///< value: prompt tokens that the system says it read
  Cached,       ///< value: those of them that it says it did not compute anew
};

/// Serialised little-endian without padding, 24 bytes.
struct RunEvent {
  RunEventKind kind = RunEventKind::Begin;
  std::uint32_t request = 0;
  std::int64_t time_ns = 0;  ///< from the start of the run
  std::int64_t value = 0;
};

}  // namespace naru::bench
