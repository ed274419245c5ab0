// Teams of threads: the only file that is compiled with OpenMP.
#include "backends/cpu/parallel.h"

#include <omp.h>

#include <atomic>

#include "backends/cpu/thread_team.h"

namespace naru::cpu {

namespace {

/// The order that a parallel region gives, spelled out for ThreadSanitizer, which cannot look into libgomp:
/// it watches these functions and not the one around the region, whose variables libgomp hands on.
#ifdef __SANITIZE_THREAD__
#define NARU_UNWATCHED __attribute__((no_sanitize("thread")))
#define NARU_WATCHED __attribute__((noinline))
class Region {
 public:
  NARU_WATCHED void begin() { order_.store(1, std::memory_order_release); }
  NARU_WATCHED void enter() { order_.load(std::memory_order_acquire); }
  NARU_WATCHED void leave() { order_.fetch_add(1, std::memory_order_acq_rel); }
  NARU_WATCHED void end() { order_.load(std::memory_order_acquire); }

 private:
  std::atomic<int> order_{0};
};
#else
#define NARU_UNWATCHED
struct Region {
  void begin() {}
  void enter() {}
  void leave() {}
  void end() {}
};
#endif

}  // namespace

int usable_cores() { return std::max(omp_get_num_procs(), 1); }

int team_threads() {
  const ThreadTeam* team = ThreadTeam::current();
  return team != nullptr ? team->threads() : omp_get_max_threads();
}

NARU_UNWATCHED void run_on_team(int threads, void (*call)(const void* context, int self, int threads), const void* context) {
  if (ThreadTeam* team = ThreadTeam::current()) {
    team->run([&](int self) { call(context, self, team->threads()); });
    return;
  }
  Region region;
  region.begin();
#pragma omp parallel num_threads(threads)
  {
    region.enter();
    call(context, omp_get_thread_num(), omp_get_num_threads());
    region.leave();
  }
  region.end();
}

void set_team_size(int threads) { omp_set_num_threads(threads); }

TeamSize::TeamSize(int threads) : previous_(omp_get_max_threads()) { set_team_size(threads); }

TeamSize::~TeamSize() {
  omp_pause_resource(omp_pause_soft, omp_get_initial_device());
  set_team_size(previous_);
}

}  // namespace naru::cpu
