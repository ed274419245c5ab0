// Waiting for a moment.
#include "benchmarks/load/timing.h"

#include <pthread.h>
#include <sched.h>

#include <chrono>

#include "runtime/event_log.h"

namespace naru::bench {
namespace {

// What waking a sleeping thread takes; the rest of the time is spun away.
constexpr std::int64_t kSpinNs = 60'000;

}  // namespace

PromptThread::PromptThread() {
  const sched_param parameter{.sched_priority = 1};
  granted_ = pthread_setschedparam(pthread_self(), SCHED_FIFO, &parameter) == 0;
}

PromptThread::~PromptThread() {
  if (!granted_) return;
  const sched_param parameter{.sched_priority = 0};
  pthread_setschedparam(pthread_self(), SCHED_OTHER, &parameter);
}

void wait_until(std::condition_variable& changed, std::unique_lock<std::mutex>& lock, std::int64_t due_ns) {
  const std::int64_t left = due_ns - now_ns();
  if (left > kSpinNs) {
    changed.wait_for(lock, std::chrono::nanoseconds(left - kSpinNs));
    return;
  }
  lock.unlock();
  while (now_ns() < due_ns) sched_yield();
  lock.lock();
}

}  // namespace naru::bench
