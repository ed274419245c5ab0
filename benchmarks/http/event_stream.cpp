// Server-sent events (HTML standard, section 9.2), as far as services use them.
#include "benchmarks/http/event_stream.h"

#include <utility>

namespace naru::bench {
namespace {

constexpr std::size_t kMaxPendingBytes = 4 << 20;

}  // namespace

bool EventStream::add(std::string_view bytes) {
  if (buffer_.size() - read_ + event_.data.size() + bytes.size() > kMaxPendingBytes) return false;
  buffer_.erase(0, std::exchange(read_, 0));
  buffer_ += bytes;
  return true;
}

std::optional<EventStream::Event> EventStream::next() {
  for (std::size_t end = 0; (end = buffer_.find('\n', read_)) != std::string::npos;) {
    std::string_view line(buffer_.data() + read_, end - read_);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    take_line(line);
    read_ = end + 1;
    if (!std::exchange(ready_, false)) continue;
    has_data_ = false;
    return std::exchange(event_, {});
  }
  return std::nullopt;
}

void EventStream::take_line(std::string_view line) {
  if (line.empty()) {
    ready_ = has_data_;
    if (!has_data_) event_ = {};
    return;
  }
  const std::size_t colon = line.find(':');
  const std::string_view field = line.substr(0, colon);
  std::string_view value = colon == std::string_view::npos ? std::string_view() : line.substr(colon + 1);
  if (!value.empty() && value.front() == ' ') value.remove_prefix(1);
  if (field == "event") event_.name = value;
  if (field != "data") return;
  if (std::exchange(has_data_, true)) event_.data += '\n';
  event_.data += value;
}

}  // namespace naru::bench
