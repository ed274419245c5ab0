// The event log: a vector of records and a string table under one lock.
#include "runtime/event_log.h"

namespace naru {

EventLog::EventLog() { intern(""); }

std::uint32_t EventLog::intern(const std::string& text) {
  const std::lock_guard lock(mutex_);
  const auto [found, added] = ids_.emplace(text, static_cast<std::uint32_t>(strings_.size()));
  if (added) strings_.push_back(text);
  return found->second;
}

void EventLog::append(const LogRecord& record) {
  const std::lock_guard lock(mutex_);
  records_.push_back(record);
}

void EventLog::clear() {
  const std::lock_guard lock(mutex_);
  records_.clear();
}

EventLog::Snapshot EventLog::snapshot() const {
  const std::lock_guard lock(mutex_);
  return {records_, strings_};
}

}  // namespace naru
