// Completions: the table of tickets.
#include "backends/plugin/completion.h"

#include <chrono>

namespace naru::plugin {

Completions& Completions::instance() {
  // Never destroyed: a plug-in may answer while the process ends.
  static Completions& completions = *new Completions;
  return completions;
}

std::uint64_t Completions::open() {
  const std::lock_guard lock(mutex_);
  answers_[next_];
  return next_++;
}

bool Completions::wait(std::uint64_t ticket, std::int64_t timeout_ns, naru_code& code, std::string& text) {
  std::unique_lock lock(mutex_);
  const auto found = answers_.find(ticket);
  if (found == answers_.end()) return false;
  if (!changed_.wait_for(lock, std::chrono::nanoseconds(timeout_ns), [&] { return found->second.done; })) return false;
  code = found->second.code;
  text = found->second.text;
  return true;
}

void Completions::close(std::uint64_t ticket) {
  const std::lock_guard lock(mutex_);
  answers_.erase(ticket);
}

std::uint64_t Completions::surplus() const {
  const std::lock_guard lock(mutex_);
  return surplus_;
}

void Completions::answer(void*, std::uint64_t ticket, naru_code code, const char* text) noexcept {
  Completions& self = instance();
  const std::lock_guard lock(self.mutex_);
  const auto found = self.answers_.find(ticket);
  if (found == self.answers_.end() || found->second.done) {
    ++self.surplus_;
    return;
  }
  found->second.done = true;
  found->second.code = code;
  if (text != nullptr) found->second.text.assign(text, strnlen(text, 255));
  self.changed_.notify_all();
}

}  // namespace naru::plugin
