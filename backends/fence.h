// Fence: counts the faults of a device and closes it to work when there are too many.
#pragma once

#include <chrono>
#include <deque>
#include <mutex>
#include <string>

namespace naru {

/// After kFaults faults within kWindow the fence is up for good. Thread-safe.
class Fence {
 public:
  static constexpr std::size_t kFaults = 3;
  static constexpr std::chrono::seconds kWindow{60};

  void add_fault(const std::string& text) {
    const std::lock_guard lock(mutex_);
    const auto now = std::chrono::steady_clock::now();
    faults_.push_back(now);
    while (!faults_.empty() && now - faults_.front() > kWindow) faults_.pop_front();
    if (faults_.size() >= kFaults && reason_.empty()) reason_ = "fenced after " + std::to_string(kFaults) + " faults, the last: " + text;
  }
  /// Raises the fence for good, whatever was counted.
  void close(std::string reason) {
    const std::lock_guard lock(mutex_);
    if (reason_.empty()) reason_ = std::move(reason);
  }
  /// Why no work is taken; empty when it is.
  std::string reason() const {
    const std::lock_guard lock(mutex_);
    return reason_;
  }

 private:
  mutable std::mutex mutex_;
  std::deque<std::chrono::steady_clock::time_point> faults_;
  std::string reason_;  // empty while the fence is down
};

}  // namespace naru
