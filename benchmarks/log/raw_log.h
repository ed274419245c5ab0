// The raw log of one run: an append-only file of framed, checksummed blocks of events.
#pragma once

#include <filesystem>
#include <mutex>
#include <vector>

#include "benchmarks/log/event.h"

namespace naru::bench {

/// Thread-safe. A process that is killed loses at most what was appended since the last flush; what
/// stands in the file stays readable.
class RawLog {
 public:
  /// Replaces an unfinished log of the same name. @throws Error Io.
  explicit RawLog(const std::filesystem::path& path);
  ~RawLog();
  RawLog(const RawLog&) = delete;
  RawLog& operator=(const RawLog&) = delete;

  void append(const RunEvent& event);
  /// Writes what was appended. @throws Error Io naming the cause, for example a full disk.
  void flush();

 private:
  std::filesystem::path path_;
  std::mutex mutex_, file_mutex_;
  std::vector<RunEvent> pending_;
  int file_ = -1;
};

struct RawRun {
  std::vector<RunEvent> events;
  bool whole = false;  ///< ends with End, and every block is sound
};

/// Reads as far as blocks are sound. @throws Error Io when it cannot be opened, InvalidArgument when
/// it is no raw log.
RawRun read_raw_log(const std::filesystem::path& path);

}  // namespace naru::bench
