// Arena planner: no overlap in time and memory, alignment, in-place groups, size of the plan.
#include "graph/arena.h"

#include <gtest/gtest.h>

#include <random>

#include "naru/error.h"

namespace naru {
namespace {

void expect_disjoint(const std::vector<ArenaRequest>& requests, const ArenaPlan& plan) {
  ASSERT_EQ(plan.offsets.size(), requests.size());
  for (std::size_t i = 0; i < requests.size(); ++i) {
    EXPECT_EQ(plan.offsets[i] % kArenaAlignment, 0);
    EXPECT_LE(plan.offsets[i] + requests[i].size_bytes, plan.total_bytes);
    for (std::size_t j = 0; j < i; ++j) {
      const ArenaRequest& a = requests[i];
      const ArenaRequest& b = requests[j];
      if (a.alias_group >= 0 && a.alias_group == b.alias_group) {
        EXPECT_EQ(plan.offsets[i], plan.offsets[j]);
        continue;
      }
      if (a.first_step > b.last_step || b.first_step > a.last_step) continue;
      EXPECT_TRUE(plan.offsets[i] + a.size_bytes <= plan.offsets[j] ||
                  plan.offsets[j] + b.size_bytes <= plan.offsets[i])
          << i << " and " << j;
    }
  }
}

TEST(Arena, ReusesMemoryOfDeadBlocks) {
  const std::vector<ArenaRequest> chain = {{100, 0, 1}, {100, 1, 2}, {100, 2, 3}, {100, 3, 4}};
  const ArenaPlan plan = plan_arena(chain);
  expect_disjoint(chain, plan);
  EXPECT_EQ(plan.total_bytes, 256);
}

TEST(Arena, GroupSharesOneBlockOverItsWholeLife) {
  const std::vector<ArenaRequest> requests = {{64, 0, 1, 7}, {128, 1, 3, 7}, {64, 2, 2}, {64, 4, 4}};
  const ArenaPlan plan = plan_arena(requests);
  expect_disjoint(requests, plan);
  EXPECT_EQ(plan.total_bytes, 192);
}

TEST(Arena, EmptyAndZeroSizedPlans) {
  EXPECT_EQ(plan_arena({}).total_bytes, 0);
  const std::vector<ArenaRequest> empty = {{0, 0, 5}, {0, 0, 5}};
  EXPECT_EQ(plan_arena(empty).total_bytes, 0);
}

TEST(Arena, RandomPlansAreDisjointAndTight) {
  std::mt19937 random(1);
  for (const int count : {10, 300, 7000}) {  // the last one is planned in time order
    std::vector<ArenaRequest> requests;
    for (int i = 0; i < count; ++i) {
      const auto first = static_cast<std::int32_t>(random() % static_cast<unsigned>(count));
      const auto length = static_cast<std::int32_t>(random() % 5);
      requests.push_back({static_cast<std::int64_t>(random() % 4096), first, first + length,
                          i % 7 == 0 ? i / 14 : -1});
    }
    const ArenaPlan plan = plan_arena(requests);
    if (count <= 300) {
      expect_disjoint(requests, plan);
      EXPECT_LE(plan.total_bytes, arena_lower_bound(requests) * 2);
    }
    EXPECT_GE(plan.total_bytes, arena_lower_bound(requests));
  }
}

TEST(Arena, TimeOrderIsDisjoint) {
  std::mt19937 random(2);
  std::vector<ArenaRequest> requests;
  for (int i = 0; i < 6500; ++i) {
    requests.push_back({static_cast<std::int64_t>(random() % 1000), i, i + static_cast<int>(random() % 4)});
  }
  const ArenaPlan plan = plan_arena(requests);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    for (std::size_t j = i + 1; j < std::min(requests.size(), i + 5); ++j) {
      if (requests[j].first_step > requests[i].last_step) continue;
      EXPECT_TRUE(plan.offsets[i] + requests[i].size_bytes <= plan.offsets[j] ||
                  plan.offsets[j] + requests[j].size_bytes <= plan.offsets[i]);
    }
  }
}

TEST(Arena, RejectsOverflow) {
  const std::vector<ArenaRequest> huge = {{INT64_MAX - 8, 0, 0}};
  EXPECT_THROW(plan_arena(huge), Error);
  const std::vector<ArenaRequest> sum = {{INT64_MAX / 2, 0, 0}, {INT64_MAX / 2, 0, 0}, {INT64_MAX / 2, 0, 0}};
  EXPECT_THROW(plan_arena(sum), Error);
}

}  // namespace
}  // namespace naru
