// Waiting for a moment without being late: threads that wake first, and a short spin at the end.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace naru::bench {

/// While it lives, the calling thread is woken before others where the system allows that (a real-time
/// priority); otherwise it does nothing.
class PromptThread {
 public:
  PromptThread();
  ~PromptThread();
  PromptThread(const PromptThread&) = delete;
  PromptThread& operator=(const PromptThread&) = delete;
  bool granted() const { return granted_; }

 private:
  bool granted_ = false;
};

/// Waits for a notice or for `due_ns` of now_ns(); returns at `due_ns` at the latest, give or take the
/// time that the system needs to wake a thread.
void wait_until(std::condition_variable& changed, std::unique_lock<std::mutex>& lock, std::int64_t due_ns);

}  // namespace naru::bench
