// Cases that the fuzzer once found, in every way of execution; and that the oracle itself sees.
#include <filesystem>

#include <gtest/gtest.h>
#include <unistd.h>

#include "graph/text.h"
#include "tests/differential/faults.h"
#include "tests/differential/random_case.h"
#include "tests/differential/shrink.h"
#include "tests/differential/ways.h"

namespace naru::fuzz {
namespace {

namespace fs = std::filesystem;

TEST(Regressions, GiveWhatTheReferenceGives) {
  const std::vector<Way> ways = all_ways({"reference", "cpu"});
  int count = 0;
  for (const auto& entry : fs::directory_iterator(NARU_REGRESSIONS)) {
    const std::string name = entry.path().filename().string();
    if (!name.ends_with(".txt") || name.ends_with(".inputs.txt")) continue;
    ++count;
    const RandomCase test = read_case(entry.path());
    const std::vector<Expected> expected = expect(test, 8, 1);
    for (const Way& way : ways) {
      const auto what = judge(test, way, expected).difference;
      EXPECT_FALSE(what.has_value()) << name << ", " << way.name << ": " << what.value_or("");
    }
  }
  EXPECT_GT(count, 0);
}

TEST(RandomCase, IsTheSameForASeed) {
  for (std::uint64_t seed = 1; seed < 20; ++seed) {
    EXPECT_EQ(print(random_case(seed).graph, {.full_data = true}), print(random_case(seed).graph, {.full_data = true}));
  }
}

TEST(Reordered, KeepsTheNodes) {
  const RandomCase test = random_case(7);
  EXPECT_EQ(reordered(test.graph, 3).nodes.size(), test.graph.nodes.size());
}

TEST(Shrink, KeepsOnlyWhatFails) {
  // "Fails" is: a Relu is in the graph.
  const auto has_relu = [](const RandomCase& test) {
    for (const Node& node : test.graph.nodes) {
      if (node.op->name == "Relu") return true;
    }
    return false;
  };
  for (std::uint64_t seed = 1;; ++seed) {
    const RandomCase test = random_case(seed);
    if (test.graph.nodes.size() < 8 || !has_relu(test)) continue;
    EXPECT_LT(shrink(test, has_relu).graph.nodes.size(), 3U);
    return;
  }
}

TEST(Shrink, WritesWhatItReads) {
  const RandomCase test = random_case(11);
  const fs::path folder = fs::temp_directory_path() / ("naru_shrink_" + std::to_string(::getpid()));
  const RandomCase again = read_case(write_case(test, folder, "case"));
  fs::remove_all(folder);
  EXPECT_EQ(print(again.graph, {.full_data = true}), print(test.graph, {.full_data = true}));
  EXPECT_EQ(again.inputs.size(), test.inputs.size());
}

TEST(Comparators, ThatAreWrongAreExposed) {
  const ComparatorScore score = score_comparators();
  EXPECT_GE(score.seeded, 8U);
  EXPECT_EQ(score.found, score.seeded);
}

}  // namespace
}  // namespace naru::fuzz
