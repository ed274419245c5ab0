// Loops over the threads of the current team: all of them or none. That is a ThreadTeam where one is
// in use, else OpenMP's, which keeps its threads when it always gets the same number.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace naru::cpu {

/// Entering and leaving a team takes some microseconds.
inline constexpr double kWorthNs = 10000;

/// Cores that this process may use.
int usable_cores();

/// Threads of the current team.
int team_threads();

/// Calls `call(context, self, threads)` on every thread of the current team: `threads` of them with
/// OpenMP's, all of a ThreadTeam's. `call` must not throw.
void run_on_team(int threads, void (*call)(const void* context, int self, int threads), const void* context);

/// Calls `body(self, threads)` on every thread of the current team.
template <typename Body>
void on_all_threads(int threads, const Body& body) {
  run_on_team(
      threads,
      [](const void* context, int self, int team) { (*static_cast<const Body*>(context))(self, team); }, &body);
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

/// Sets the size of the OpenMP teams that the calling thread starts.
void set_team_size(int threads);

/// The same for a scope, at whose end the threads of the calling thread's team end, too: while teams have more
/// threads than there are cores, libgomp lets all of them sleep at once where they wait, which costs more than a
/// small layer.
class TeamSize {
 public:
  explicit TeamSize(int threads);
  ~TeamSize();
  TeamSize(const TeamSize&) = delete;
  TeamSize& operator=(const TeamSize&) = delete;

 private:
  int previous_;
};

}  // namespace naru::cpu
