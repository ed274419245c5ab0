// Loops over OpenMP threads: all of the caller's team or none, so that libgomp keeps its threads.
#pragma once

#include <omp.h>

#include <algorithm>
#include <cstdint>

namespace naru::cpu {

/// Calls `body(begin, end)` for parts of [0, total). `cost` is the work of one item in about
/// nanoseconds; loops of under some microseconds stay on this thread. `body` must not throw.
template <typename Body>
void parallel_ranges(std::int64_t total, double cost, const Body& body) {
  constexpr double kWorthNs = 10000;  // entering and leaving a team takes some microseconds
  const int threads = omp_get_max_threads();
  if (total <= 0) return;
  if (threads == 1 || total == 1 || static_cast<double>(total) * cost < kWorthNs) {
    body(std::int64_t{0}, total);
    return;
  }
#pragma omp parallel num_threads(threads)
  {
    const std::int64_t team = omp_get_num_threads();
    const std::int64_t self = omp_get_thread_num();
    const std::int64_t begin = total * self / team;
    const std::int64_t end = total * (self + 1) / team;
    if (begin < end) body(begin, end);
  }
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
