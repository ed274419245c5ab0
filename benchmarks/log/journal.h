// The journal of a session: one JSON object a line, each chained to the one before by its hash.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace naru::bench {

/// Appends lines {"kind", ..., "previous"}; the file grows only.
class Journal {
 public:
  /// Opens for appending; a torn last line (the process was killed in mid-write) is cut off.
  /// @throws Error Io, InvalidArgument when the chain is broken.
  explicit Journal(std::filesystem::path path);
  /// @throws Error Io when it cannot be written.
  void append(nlohmann::json entry);
  const std::vector<nlohmann::json>& entries() const { return entries_; }

 private:
  std::filesystem::path path_;
  std::vector<nlohmann::json> entries_;
  std::string previous_;
};

/// All whole lines. @throws Error Io, InvalidArgument naming the first line that breaks the chain.
std::vector<nlohmann::json> read_journal(const std::filesystem::path& path);

}  // namespace naru::bench
