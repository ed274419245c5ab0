// SmolLM2-135M in GGUF, whole: reads, and says sensible things.
#include <algorithm>
#include <filesystem>

#include <gtest/gtest.h>

#include "graph/load.h"
#include "tests/llm/step_runner.h"

namespace naru {
namespace {

using testing::StepRunner;

class SmolLm2 : public ::testing::Test {
 protected:
  const std::filesystem::path path = NARU_MODELS "/smollm2-135m-instruct-q4_1.gguf";
  void SetUp() override {
    if (!std::filesystem::exists(path)) GTEST_SKIP() << "no " << path;
  }
};

std::int32_t best(const Tensor& logits) {
  const std::span<const float> values = logits.as<float>();
  return static_cast<std::int32_t>(std::max_element(values.begin(), values.end()) - values.begin());
}

TEST_F(SmolLm2, BecomesAStepGraph) {
  const Graph graph = load_model(path);
  EXPECT_EQ(graph.states.size(), 60u);
  EXPECT_EQ(to_string(graph.value(graph.outputs.at(0)).type), "f32[rows,49152]");
  EXPECT_EQ(to_string(graph.value(graph.states[0].input).type), "f16[kv_pages,32,3,64]");
  EXPECT_NE(graph.metadata.at("naru.tokenizer").find("\"type\":\"gguf\""), std::string::npos);
  EXPECT_NE(graph.metadata.at("naru.llm").find("\"context\":8192"), std::string::npos);
  EXPECT_TRUE(graph.metadata.contains("naru.chat_template"));
}

TEST_F(SmolLm2, ContinuesGreedily) {
  StepRunner runner(load_model(path), 64);
  // "The capital of France is" by the model's tokeniser, then " Paris".
  const std::int32_t prompt[] = {504, 3575, 282, 4649, 314};
  std::vector<std::int32_t> said{best(runner.step_last(prompt))};
  for (int i = 0; i < 2; ++i) said.push_back(best(runner.step_last({&said.back(), 1})));
  EXPECT_EQ(said.front(), 7042) << said[1] << " " << said[2];
}

}  // namespace
}  // namespace naru
