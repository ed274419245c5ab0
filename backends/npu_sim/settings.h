// What a user may set of a simulated device: sizes and faults, in JSON.
#pragma once

#include <cstdint>
#include <string>

namespace npu {

enum class Fault : std::uint8_t { None, TimeOut, DeviceLost, WrongResult, OutOfMemory };

/// Which of the calls that a fault can meet (kernels, or allocations for OutOfMemory) it does meet: those
/// `after` the first so many, of them each `every`-th, `count` in all.
struct FaultPlan {
  Fault fault = Fault::None;
  std::int64_t after = 0;
  std::int64_t every = 1;
  std::int64_t count = INT64_MAX;
};

struct Settings {
  std::int64_t memory_bytes = 0;       ///< 0: the chip's
  std::int64_t time_out_ms = 60'000;   ///< how long a command hangs that a TimeOut meets
  FaultPlan faults;
  std::string report;                  ///< a file that gets the device's counters when it is closed
};

/// {"memory_mb": 256, "time_out_ms": 1000, "report": "npu.json",
///  "fault": {"kind": "time-out" | "device-lost" | "wrong-result" | "out-of-memory", "after": 10, "every": 3, "count": 5}}
/// @throws std::runtime_error that says what is wrong.
Settings parse_settings(const std::string& json);
/// From NARU_NPU_CONFIG, which is JSON or the path of a file that holds it; the defaults when it is not set.
Settings settings_of_environment();

}  // namespace npu
