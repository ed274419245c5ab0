// Teams of threads: the only file that is compiled with OpenMP.
#include "backends/cpu/parallel.h"

#include <omp.h>

#include "backends/cpu/thread_team.h"

namespace naru::cpu {

int usable_cores() { return std::max(omp_get_num_procs(), 1); }

int team_threads() {
  const ThreadTeam* team = ThreadTeam::current();
  return team != nullptr ? team->threads() : omp_get_max_threads();
}

void run_on_team(int threads, void (*call)(const void* context, int self, int threads), const void* context) {
  if (ThreadTeam* team = ThreadTeam::current()) {
    team->run([&](int self) { call(context, self, team->threads()); });
    return;
  }
#pragma omp parallel num_threads(threads)
  call(context, omp_get_thread_num(), omp_get_num_threads());
}

void set_team_size(int threads) { omp_set_num_threads(threads); }

TeamSize::TeamSize(int threads) : previous_(omp_get_max_threads()) { set_team_size(threads); }

}  // namespace naru::cpu
