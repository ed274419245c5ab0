// The journal: lines of JSON, each with the hash of the line before.
#include "benchmarks/log/journal.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

#include "benchmarks/log/sha256.h"
#include "graph/fail.h"

namespace naru::bench {
namespace {

struct Lines {
  std::vector<nlohmann::json> entries;
  std::string last_hash = std::string(64, '0');
  std::size_t whole_bytes = 0;
};

Lines read_lines(const std::filesystem::path& path) {
  const std::string text = read_file(path);
  Lines lines;
  for (std::size_t end = 0; (end = text.find('\n', lines.whole_bytes)) != std::string::npos;) {
    const std::string line = text.substr(lines.whole_bytes, end - lines.whole_bytes);
    nlohmann::json entry = nlohmann::json::parse(line, nullptr, false);
    if (!entry.is_object() || !entry.contains("previous") || entry["previous"] != lines.last_hash) {
      fail(ErrorCode::InvalidArgument, "journal '{}': line {} does not continue the one before", path.string(),
           lines.entries.size() + 1);
    }
    lines.last_hash = sha256(line);
    lines.entries.push_back(std::move(entry));
    lines.whole_bytes = end + 1;
  }
  return lines;
}

}  // namespace

std::vector<nlohmann::json> read_journal(const std::filesystem::path& path) { return read_lines(path).entries; }

Journal::Journal(std::filesystem::path path) : path_(std::move(path)), previous_(std::string(64, '0')) {
  if (!std::filesystem::exists(path_)) return;
  Lines lines = read_lines(path_);
  if (lines.whole_bytes < std::filesystem::file_size(path_)) std::filesystem::resize_file(path_, lines.whole_bytes);
  entries_ = std::move(lines.entries);
  previous_ = std::move(lines.last_hash);
}

void Journal::append(nlohmann::json entry) {
  entry["previous"] = previous_;
  const std::string line = entry.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  std::ofstream file(path_, std::ios::binary | std::ios::app);
  file << line << '\n';
  if (!file.flush()) fail(ErrorCode::Io, "journal '{}': {}", path_.string(), std::strerror(errno));
  previous_ = sha256(line);
  entries_.push_back(std::move(entry));
}

}  // namespace naru::bench
