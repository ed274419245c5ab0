// ThreadTeam: every thread runs every job once, however long the pauses between them.
#include "backends/cpu/thread_team.h"

#include <gtest/gtest.h>

#include <chrono>

#include "backends/cpu/parallel.h"

namespace naru::cpu {
namespace {

TEST(ThreadTeam, EveryThreadRunsEveryJob) {
  for (const int threads : {1, 2, 5}) {
    ThreadTeam team(threads);
    std::vector<std::int64_t> sums(static_cast<std::size_t>(threads), 0);
    for (std::int64_t job = 1; job <= 3000; ++job) {
      team.run([&](int self) { sums[static_cast<std::size_t>(self)] += job; });
    }
    for (const std::int64_t sum : sums) EXPECT_EQ(sum, 3000 * 3001 / 2);
  }
}

TEST(ThreadTeam, WakesThreadsThatSleep) {
  ThreadTeam team(3);
  std::atomic<int> calls = 0;
  for (int job = 0; job < 5; ++job) {
    team.run([&](int self) {
      if (self == job % 3) std::this_thread::sleep_for(std::chrono::milliseconds(5));
      calls.fetch_add(1);
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_EQ(calls.load(), 15);
}

TEST(ThreadTeam, LoopsUseTheCurrentOne) {
  ThreadTeam team(4);
  EXPECT_EQ(ThreadTeam::current(), nullptr);
  {
    const ThreadTeam::Use use(&team);
    std::vector<std::atomic<int>> seen(1000);
    parallel_ranges(1000, 1e6, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) seen[static_cast<std::size_t>(i)].fetch_add(1);
    });
    parallel_claims(1000, 7, 1e6, [&](std::int64_t begin, std::int64_t end, int self) {
      EXPECT_LT(self, 4);
      for (std::int64_t i = begin; i < end; ++i) seen[static_cast<std::size_t>(i)].fetch_add(1);
    });
    for (const std::atomic<int>& count : seen) EXPECT_EQ(count.load(), 2);
  }
  EXPECT_EQ(ThreadTeam::current(), nullptr);
}

}  // namespace
}  // namespace naru::cpu
