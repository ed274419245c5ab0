// Blocks: u32 magic, u32 event count, u32 CRC-32 of the events, then 24 bytes an event.
#include "benchmarks/log/raw_log.h"

#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

#include "graph/fail.h"

namespace naru::bench {
namespace {

constexpr std::uint32_t kMagic = 0x31545645;  // "EVT1"
constexpr std::size_t kHeaderBytes = 12, kEventBytes = 24;
// A block never holds more, so that a broken count cannot ask for much.
constexpr std::size_t kMaxBlockEvents = 1 << 16;

constexpr ReasonInfo kReasons[] = {
#define REASON(name, code, english, korean) {code, {english, korean}},
#include "benchmarks/log/reasons.def"
#undef REASON
};

void put(std::string& out, std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
}

std::uint64_t get(const char* data, int bytes) {
  std::uint64_t value = 0;
  for (int i = 0; i < bytes; ++i) value |= static_cast<std::uint64_t>(static_cast<unsigned char>(data[i])) << (8 * i);
  return value;
}

std::uint32_t checksum(const char* data, std::size_t size) {
  return static_cast<std::uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(data), static_cast<uInt>(size)));
}

std::string encode(const RunEvent* events, std::size_t count) {
  std::string body;
  body.reserve(count * kEventBytes);
  for (std::size_t i = 0; i < count; ++i) {
    put(body, static_cast<std::uint64_t>(events[i].kind), 4);
    put(body, events[i].request, 4);
    put(body, static_cast<std::uint64_t>(events[i].time_ns), 8);
    put(body, static_cast<std::uint64_t>(events[i].value), 8);
  }
  std::string block;
  put(block, kMagic, 4);
  put(block, count, 4);
  put(block, checksum(body.data(), body.size()), 4);
  return block + body;
}

RunEvent decode(const char* data) {
  return {static_cast<RunEventKind>(get(data, 4)), static_cast<std::uint32_t>(get(data + 4, 4)),
          static_cast<std::int64_t>(get(data + 8, 8)), static_cast<std::int64_t>(get(data + 16, 8))};
}

}  // namespace

const ReasonInfo& info_of(Reason reason) noexcept {
  const auto index = static_cast<std::size_t>(reason);
  return kReasons[index < std::size(kReasons) ? index : static_cast<std::size_t>(Reason::Internal)];
}

Reason reason_from_code(std::string_view code) noexcept {
  const auto found = std::find_if(std::begin(kReasons), std::end(kReasons),
                                  [&](const ReasonInfo& reason) { return reason.code == code; });
  return found == std::end(kReasons) ? Reason::None : static_cast<Reason>(found - std::begin(kReasons));
}

RawLog::RawLog(const std::filesystem::path& path)
    : path_(path), file_(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644)) {
  if (file_ < 0) fail(ErrorCode::Io, "raw log '{}': {}", path.string(), std::strerror(errno));
}

RawLog::~RawLog() { ::close(file_); }

void RawLog::append(const RunEvent& event) {
  const std::lock_guard lock(mutex_);
  pending_.push_back(event);
}

void RawLog::flush() {
  const std::lock_guard file_lock(file_mutex_);
  std::vector<RunEvent> events;
  {
    const std::lock_guard lock(mutex_);
    events.swap(pending_);
  }
  for (std::size_t first = 0; first < events.size(); first += kMaxBlockEvents) {
    const std::string block = encode(events.data() + first, std::min(kMaxBlockEvents, events.size() - first));
    for (std::size_t done = 0; done < block.size();) {
      const ssize_t wrote = ::write(file_, block.data() + done, block.size() - done);
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote < 0) fail(ErrorCode::Io, "raw log '{}': {}", path_.string(), std::strerror(errno));
      done += static_cast<std::size_t>(wrote);
    }
  }
}

RawRun read_raw_log(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) fail(ErrorCode::Io, "raw log '{}': it could not be opened", path.string());
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  if (text.size() >= 4 && get(text.data(), 4) != kMagic) {
    fail(ErrorCode::InvalidArgument, "raw log '{}': the file does not begin like one", path.string());
  }
  RawRun run;
  std::size_t at = 0;
  while (text.size() - at >= kHeaderBytes) {
    const char* header = text.data() + at;
    const std::size_t count = get(header + 4, 4);
    if (get(header, 4) != kMagic || count > kMaxBlockEvents) break;
    if (text.size() - at - kHeaderBytes < count * kEventBytes) break;
    const char* body = header + kHeaderBytes;
    if (get(header + 8, 4) != checksum(body, count * kEventBytes)) break;
    for (std::size_t i = 0; i < count; ++i) run.events.push_back(decode(body + i * kEventBytes));
    at += kHeaderBytes + count * kEventBytes;
  }
  run.whole = at == text.size() && !run.events.empty() && run.events.back().kind == RunEventKind::End;
  return run;
}

}  // namespace naru::bench
