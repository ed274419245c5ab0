// StepPlanner and step_inputs: who gets rows, who gives pages back, how a step is laid out.
#include "runtime/generate/step_planner.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <random>

#include "runtime/generate/step_inputs.h"

namespace naru {
namespace {

Sequence sequence(int tokens, std::uint64_t arrival, int priority = 0, int first = 0) {
  Sequence s;
  for (int i = 0; i < tokens; ++i) s.tokens.push_back(first + i);
  s.prompt_tokens = tokens;
  s.arrival = arrival;
  s.priority = priority;
  return s;
}

/// (arrival, rows) of each part.
std::vector<std::pair<std::uint64_t, std::int64_t>> rows_of(const std::vector<StepPart>& parts) {
  std::vector<std::pair<std::uint64_t, std::int64_t>> rows;
  for (const StepPart& part : parts) rows.emplace_back(part.sequence->arrival, part.rows);
  return rows;
}

TEST(StepPlanner, CutsPromptsAndServesDecodingSequencesFirst) {
  PagePool pool(16, 4);
  StepPlanner planner(pool, {.step_tokens = 8, .sequences = 4});
  Sequence a = sequence(5, 0), b = sequence(10, 1, 0, 100);
  planner.add(a);
  planner.add(b);
  std::vector<StepPart> parts = planner.plan();
  EXPECT_EQ(rows_of(parts), (std::vector<std::pair<std::uint64_t, std::int64_t>>{{0, 5}, {1, 3}}));
  EXPECT_TRUE(parts[0].last);
  EXPECT_FALSE(parts[1].last);
  planner.complete(parts);
  a.tokens.push_back(5);
  parts = planner.plan();
  EXPECT_EQ(rows_of(parts), (std::vector<std::pair<std::uint64_t, std::int64_t>>{{0, 1}, {1, 7}}));
}

TEST(StepPlanner, SharesTheBeginningOfPromptsButComputesTheLastToken) {
  PagePool pool(16, 4);
  StepPlanner planner(pool, {.step_tokens = 32, .sequences = 4});
  Sequence a = sequence(8, 0), b = sequence(8, 1);
  planner.add(a);
  planner.complete(planner.plan());
  a.tokens.push_back(9);
  planner.add(b);
  EXPECT_EQ(rows_of(planner.plan()), (std::vector<std::pair<std::uint64_t, std::int64_t>>{{0, 1}, {1, 4}}));
  EXPECT_EQ(b.cached, 4);
  EXPECT_EQ(b.pages[0], a.pages[0]);
  EXPECT_NE(b.pages[1], a.pages[1]);
}

TEST(StepPlanner, TheLastOfTheLowestPriorityGivesItsPagesBack) {
  PagePool pool(4, 2);
  StepPlanner planner(pool, {.step_tokens = 8, .sequences = 4, .share_prefixes = false});
  Sequence low = sequence(3, 0, 0), high = sequence(3, 1, 1, 50);
  planner.add(low);
  planner.add(high);
  planner.complete(planner.plan());
  low.tokens.push_back(9);
  high.tokens.push_back(9);
  planner.complete(planner.plan());
  EXPECT_EQ(pool.available(), 0);
  low.tokens.push_back(9);
  high.tokens.push_back(9);
  EXPECT_EQ(rows_of(planner.plan()), (std::vector<std::pair<std::uint64_t, std::int64_t>>{{1, 1}}));
  EXPECT_EQ(low.preemptions, 1);
  EXPECT_EQ(low.cached, 0);
  EXPECT_EQ(planner.waiting(), 1);
}

/// However the pages run short, everyone is served to the end and every page comes back.
TEST(StepPlanner, ServesRandomLoadsToTheEnd) {
  for (int seed = 0; seed < 50; ++seed) {
    std::mt19937 random(static_cast<unsigned>(seed));
    PagePool pool(10, 4);
    StepPlanner planner(pool, {.step_tokens = 16, .sequences = 4});
    std::map<Sequence*, std::unique_ptr<Sequence>> left;
    std::map<Sequence*, std::size_t> wanted;
    for (int i = 0; i < 20; ++i) {
      auto s = std::make_unique<Sequence>(sequence(1 + static_cast<int>(random() % 20), static_cast<std::uint64_t>(i),
                                                   static_cast<int>(random() % 3), static_cast<int>(random() % 2)));
      wanted[s.get()] = s->tokens.size() + 1 + random() % 15;
      planner.add(*s);
      Sequence* const key = s.get();
      left[key] = std::move(s);
    }
    for (int step = 0; !left.empty(); ++step) {
      ASSERT_LT(step, 5000) << "seed " << seed;
      const std::vector<StepPart> parts = planner.plan();
      ASSERT_FALSE(parts.empty()) << "seed " << seed;
      std::int64_t rows = 0;
      for (const StepPart& part : parts) {
        rows += part.rows;
        ASSERT_GE(static_cast<std::int64_t>(part.sequence->pages.size()) * 4, part.sequence->cached + part.rows);
      }
      ASSERT_LE(rows, 16);
      planner.complete(parts);
      for (const StepPart& part : parts) {
        if (!part.last) continue;
        part.sequence->tokens.push_back(1);
        if (part.sequence->tokens.size() < wanted[part.sequence]) continue;
        planner.remove(*part.sequence);
        left.erase(part.sequence);
      }
    }
    EXPECT_EQ(pool.in_use(), 0);
  }
}

TEST(StepInputs, RoundsSizesToFourBits) {
  const std::map<std::int64_t, std::int64_t> expected{{0, 1},   {1, 1},   {7, 7},   {16, 16}, {17, 18},
                                                      {32, 32}, {33, 36}, {65, 72}, {256, 256}};
  for (const auto& [size, padded] : expected) EXPECT_EQ(padded_size(size), padded) << size;
  EXPECT_EQ(padding_pages(256, 32), 1);
}

TEST(StepInputs, LaysRowsOutBySequence) {
  Sequence a = sequence(17, 0), b = sequence(4, 1, 0, 50);
  a.pages = {3};
  b.pages = {5};
  b.cached = 3;
  const std::vector<StepPart> parts{{&a, 17, true}, {&b, 1, true}};
  const std::vector<std::int64_t> wanted{2, 1};
  // 18 rows stay 18; a third row of b's would make 20 of 19.
  const std::vector<Datum> inputs = step_inputs(parts, wanted, {3, 2, 8, 1});
  const auto values = [&](std::size_t i) {
    const auto span = inputs[i].tensor.as<std::int32_t>();
    return std::vector<std::int32_t>(span.begin(), span.end());
  };
  ASSERT_EQ(inputs.size(), 6u);
  EXPECT_EQ(values(0).back(), 53);
  EXPECT_EQ(values(1)[16], 16);
  EXPECT_EQ(values(1)[17], 3);
  EXPECT_EQ(values(2), (std::vector<std::int32_t>{0, 17, 18, 18, 18}));
  EXPECT_EQ(values(3), (std::vector<std::int32_t>{17, 4, 0, 0}));
  EXPECT_EQ(values(4), (std::vector<std::int32_t>{3, 0, 5, 0, 0, 0, 8, 0}));
  EXPECT_EQ(values(5), (std::vector<std::int32_t>{15, 16, 17}));
}

TEST(StepInputs, PaddingIsASequenceWithPagesOfItsOwn) {
  Sequence a = sequence(19, 0);
  a.pages = {0};
  const std::vector<StepPart> parts{{&a, 19, false}};
  const std::vector<std::int64_t> wanted{0};
  const std::vector<Datum> inputs = step_inputs(parts, wanted, {2, 2, 6, 2});
  EXPECT_EQ(inputs[0].tensor.numel(), 20);
  const auto starts = inputs[2].tensor.as<std::int32_t>();
  EXPECT_EQ(std::vector<std::int32_t>(starts.begin(), starts.end()), (std::vector<std::int32_t>{0, 19, 19, 20}));
  EXPECT_EQ(inputs[3].tensor.as<std::int32_t>()[2], 1);
  EXPECT_EQ(inputs[4].tensor.as<std::int32_t>()[4], 6);
  EXPECT_EQ(inputs[4].tensor.as<std::int32_t>()[5], 7);
}

}  // namespace
}  // namespace naru
