// optimize(): order, groups, records, dumps, checks after each pass.
#include "compiler/pass.h"

#include <filesystem>

#include <gtest/gtest.h>

#include "naru/error.h"

#include "compiler/passes/passes.h"
#include "compiler/pipeline.h"
#include "tests/compiler/pass_testing.h"

namespace naru {
namespace {

using testing::graph_of;

constexpr const char* kChain = R"(
  input %x: f32[n]
  const %zero: f32[] = {0.0}
  %a = Relu(%x) %b = Relu(%a) %c = Add(%b, %zero) %d = Neg(%c) %dead = Abs(%d)
  output %d
)";

TEST(Pass, RecordsWhatEachPassDid) {
  Graph graph = graph_of(kChain);
  std::vector<std::string> lines;
  const auto records =
      optimize(graph, {{"eliminate_dead", eliminate_dead}, {"again", eliminate_dead}},
               {.log = [&](const std::string& line) { lines.push_back(line); }});
  ASSERT_EQ(records.size(), 2u);
  EXPECT_TRUE(records[0].changed);
  EXPECT_EQ(records[0].nodes_before, 5u);
  EXPECT_EQ(records[0].nodes_after, 4u);
  EXPECT_FALSE(records[1].changed);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0].substr(0, 29), "eliminate_dead: 5 -> 4 nodes,");
}

TEST(Pass, AGroupRepeatsUntilNothingChanges) {
  Graph graph = graph_of(kChain);
  const auto records =
      optimize(graph, {{"arithmetic", simplify_arithmetic, 1}, {"dead", eliminate_dead, 1}});
  EXPECT_EQ(records.back().round, 1);
  EXPECT_FALSE(records.back().changed);
  EXPECT_EQ(testing::ops_of(graph), "Relu Neg");
}

bool always(Graph&) { return true; }

TEST(Pass, AGroupThatNeverSettlesIsBounded) {
  Graph graph = graph_of(kChain);
  EXPECT_EQ(optimize(graph, {{"always", always, 1}}, {.max_rounds = 5}).size(), 5u);
}

bool break_order(Graph& graph) {
  std::swap(graph.nodes.front(), graph.nodes.back());
  return true;
}

TEST(Pass, ABrokenGraphNamesThePass) {
  Graph graph = graph_of(kChain);
  try {
    optimize(graph, {{"break_order", break_order}}, {.verify_each = true});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::InvalidModel);
    EXPECT_NE(std::string(error.what()).find("running pass break_order"), std::string::npos)
        << error.what();
  }
}

TEST(Pass, DumpsTheGraphAfterEachChange) {
  const auto folder = std::filesystem::path(::testing::TempDir()) / "naru_pass_dump";
  std::filesystem::remove_all(folder);
  Graph graph = graph_of(kChain);
  optimize(graph, generic_pipeline(1), {.dump_dir = folder.string()});
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  ASSERT_GE(names.size(), 2u);
  EXPECT_TRUE(names[0].ends_with(".000.input.txt")) << names[0];
  EXPECT_TRUE(names[1].ends_with(".001.eliminate_dead.txt")) << names[1];
  std::filesystem::remove_all(folder);
}

TEST(Pass, LevelZeroKeepsTheModelsOwnNodes) {
  Graph graph = graph_of(kChain);
  optimize(graph, generic_pipeline(0));
  EXPECT_EQ(testing::ops_of(graph), "Relu Relu Add Neg");
}

}  // namespace
}  // namespace naru
