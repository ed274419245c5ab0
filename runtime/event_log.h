// The event log: what happened when, append-only, on one monotonic clock. Metrics are folds over it.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

namespace naru {

/// Nanoseconds of std::chrono::steady_clock, the only clock of the log.
inline std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

enum class EventKind : std::uint8_t {
  Phase,     ///< a phase of loading or planning; name
  Arrival,   ///< a request was handed in; request
  Run,       ///< start to completion of a request; request, failed
  PlanHit,   ///< a cached plan served a request
  Step,      ///< one step of a plan on a device; name is the fragment's first node
  Node,      ///< one node within a step; name, detail is the kernel
  Copy,      ///< bytes between host and device
  Token,     ///< a generated token, from the one before it; request is the sequence's number
  Moved,     ///< a device failed a run, which went to the other devices; request, name is the error
};

/// One record. Names are ids into the log's string table.
struct LogRecord {
  EventKind kind = EventKind::Phase;
  bool failed = false;
  std::int16_t device = -1;  ///< index of the engine's device, -1 for the host
  std::uint32_t request = 0;
  std::uint32_t name = 0;
  std::uint32_t op = 0;
  std::uint32_t detail = 0;
  std::int64_t start_ns = 0;
  std::int64_t end_ns = 0;
  std::int64_t bytes = 0;
};

/// Thread-safe.
class EventLog {
 public:
  EventLog();
  std::uint32_t intern(const std::string& text);
  void append(const LogRecord& record);
  void clear();

  /// A consistent copy for folds.
  struct Snapshot {
    std::vector<LogRecord> records;
    std::vector<std::string> strings;
  };
  Snapshot snapshot() const;

 private:
  mutable std::mutex mutex_;
  std::vector<LogRecord> records_;
  std::vector<std::string> strings_;
  std::unordered_map<std::string, std::uint32_t> ids_;
};

}  // namespace naru
