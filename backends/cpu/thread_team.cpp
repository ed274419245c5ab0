// ThreadTeam: the hand-over of jobs.
#include "backends/cpu/thread_team.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace naru::cpu {

thread_local ThreadTeam* ThreadTeam::current_ = nullptr;

namespace {

void pause() {
#if defined(__x86_64__)
  _mm_pause();
#else
  std::this_thread::yield();
#endif
}

}  // namespace

std::uint32_t ThreadTeam::await_change(const std::atomic<std::uint32_t>& value, std::uint32_t old) {
  constexpr int kSpins = 2000;  // some tens of microseconds, longer than most steps of a model
  constexpr int kYields = 20;
  std::uint32_t now = value.load(std::memory_order_acquire);
  for (int i = 0; now == old && i < kSpins; ++i) {
    pause();
    now = value.load(std::memory_order_acquire);
  }
  for (int i = 0; now == old && i < kYields; ++i) {
    std::this_thread::yield();
    now = value.load(std::memory_order_acquire);
  }
  while (now == old) {
    value.wait(old, std::memory_order_acquire);
    now = value.load(std::memory_order_acquire);
  }
  return now;
}

ThreadTeam::~ThreadTeam() {
  stopping_.store(true, std::memory_order_relaxed);
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
  for (std::thread& other : others_) other.join();
}

void ThreadTeam::run_job(const Job& job) {
  for (int self = static_cast<int>(others_.size()) + 1; self < threads_; ++self) {
    others_.emplace_back([this, self] { work(self); });
  }
  job_ = job;
  const std::uint32_t round = round_.fetch_add(1, std::memory_order_release) + 1;
  round_.notify_all();
  job.call(job.context, 0);
  const std::uint32_t all = round * static_cast<std::uint32_t>(others_.size());
  for (std::uint32_t finished = finished_.load(std::memory_order_acquire); finished != all;) {
    finished = await_change(finished_, finished);
  }
}

void ThreadTeam::work(int self) {
  for (std::uint32_t round = 0;;) {
    // A thread never misses a round: the next one begins when all have finished this one.
    await_change(round_, round);
    ++round;
    if (stopping_.load(std::memory_order_relaxed)) return;
    job_.call(job_.context, self);
    finished_.fetch_add(1, std::memory_order_release);
    finished_.notify_one();
  }
}

}  // namespace naru::cpu
