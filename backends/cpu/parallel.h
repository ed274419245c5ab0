// Loops over the threads of the current team: all of them or none. That is a ThreadTeam where one is
// in use, else OpenMP's, which keeps its threads when it always gets the same number.
#pragma once

#include <omp.h>

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "backends/cpu/thread_team.h"

namespace naru::cpu {

/// Entering and leaving a team takes some microseconds.
inline constexpr double kWorthNs = 10000;

/// Calls `body(self, threads)` on every thread of the current team.
template <typename Body>
void on_all_threads(int threads, const Body& body) {
  if (ThreadTeam* team = ThreadTeam::current()) {
    team->run([&](int self) { body(self, team->threads()); });
    return;
  }
#pragma omp parallel num_threads(threads)
  body(omp_get_thread_num(), omp_get_num_threads());
}

/// Threads of the current team.
inline int team_threads() {
  const ThreadTeam* team = ThreadTeam::current();
  return team != nullptr ? team->threads() : omp_get_max_threads();
}

/// Calls `body(begin, end)` for parts of [0, total). `cost` is the work of one item in about
/// nanoseconds; loops of under some microseconds stay on this thread. `body` must not throw.
template <typename Body>
void parallel_ranges(std::int64_t total, double cost, const Body& body) {
  const int threads = team_threads();
  if (total <= 0) return;
  if (threads == 1 || total == 1 || static_cast<double>(total) * cost < kWorthNs) {
    body(std::int64_t{0}, total);
    return;
  }
  on_all_threads(threads, [&](std::int64_t self, std::int64_t team) {
    const std::int64_t begin = total * self / team;
    const std::int64_t end = total * (self + 1) / team;
    if (begin < end) body(begin, end);
  });
}

/// As parallel_ranges(), in parts of `grain` items that threads take as they become free; calls
/// `body(begin, end, self)`, with `self` below the number of threads.
template <typename Body>
void parallel_claims(std::int64_t total, std::int64_t grain, double cost, const Body& body) {
  const int threads = team_threads();
  if (total <= 0) return;
  if (threads == 1 || total <= 1 || static_cast<double>(total) * cost < kWorthNs) {
    body(std::int64_t{0}, total, 0);
    return;
  }
  // Every thread gets some parts even of a small total.
  grain = std::clamp<std::int64_t>(total / (4 * threads), 1, grain);
  std::atomic<std::int64_t> next{0};
  on_all_threads(threads, [&](int self, int) {
    for (;;) {
      const std::int64_t begin = next.fetch_add(grain, std::memory_order_relaxed);
      if (begin >= total) break;
      body(begin, std::min(begin + grain, total), self);
    }
  });
}

/// Sets the calling thread's team size for a scope.
class TeamSize {
 public:
  explicit TeamSize(int threads) : previous_(omp_get_max_threads()) { omp_set_num_threads(threads); }
  ~TeamSize() { omp_set_num_threads(previous_); }
  TeamSize(const TeamSize&) = delete;
  TeamSize& operator=(const TeamSize&) = delete;

 private:
  int previous_;
};

}  // namespace naru::cpu
