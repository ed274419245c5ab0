// Each architecture: tiny random models against the logits that transformers gave for them.
#include <cmath>
#include <filesystem>

#include <gtest/gtest.h>

#include "compiler/pipeline.h"
#include "graph/block/block_format.h"
#include "graph/import/safetensors.h"
#include "graph/load.h"
#include "tests/llm/step_runner.h"

namespace naru {
namespace {

using testing::StepRunner;

struct Case {
  const char* folder;
  std::int64_t context = 0;
  const char* file = "";  ///< in the folder; none: the folder itself
};

class Architectures : public ::testing::TestWithParam<Case> {
 protected:
  const std::filesystem::path folder = std::filesystem::path(NARU_TEST_DATA) / GetParam().folder;

  Graph load() const {
    return load_model(folder / GetParam().file, {DType::F32, 16, GetParam().context});
  }
};

void expect_near(const Tensor& got, const Tensor& want, std::int64_t first_row) {
  const std::int64_t vocab = want.shape()[1];
  ASSERT_EQ(got.shape()[1], vocab);
  const std::span<const float> expected =
      want.as<float>().subspan(static_cast<std::size_t>(first_row * vocab));
  for (std::size_t i = 0; i < got.as<float>().size(); ++i) {
    ASSERT_NEAR(got.as<float>()[i], expected[i], 1e-4f)
        << "position " << first_row + static_cast<std::int64_t>(i) / vocab << " token "
        << static_cast<std::int64_t>(i) % vocab;
  }
}

TEST_P(Architectures, LogitsAreThoseOfThePeer) {
  Tensor tokens, want;
  for (const NamedTensor& tensor : load_safetensors(folder / "expected.safetensors")) {
    (tensor.name == "tokens" ? tokens : want) = tensor.data;
  }
  const Graph graph = load();
  StepRunner whole(graph, 64);
  expect_near(whole.step(tokens.as<std::int32_t>()), want, 0);
  // In steps of several sizes.
  StepRunner parts(graph, 64);
  std::size_t at = 0;
  for (const std::size_t size : {30, 1, 1, 20, 12}) {
    expect_near(parts.step(tokens.as<std::int32_t>().subspan(at, size)), want,
                static_cast<std::int64_t>(at));
    at += size;
  }
}

/// Matrices of linear layers in Q8_0, where their rows are whole blocks and nothing else uses them.
void quantise_matrices(Graph& graph) {
  const UseIndex uses(graph);
  for (const Node& node : graph.nodes) {
    if (node.op->full_name() != "naru.FusedMatMul") continue;
    Value& weight = graph.value(node.inputs[1]);
    if (!is_float(weight.constant.dtype()) || !uses.single_use(node.inputs[1])) continue;
    if (weight.constant.shape()[1] % 32 != 0) continue;
    weight.constant = quantize(dequantize(weight.constant), DType::Q8_0);
    weight.type = Type::of(Datum(weight.constant));
  }
}

TEST_P(Architectures, OptimisedMeansTheSame) {
  std::vector<std::int32_t> tokens;
  for (std::int32_t i = 0; i < 20; ++i) tokens.push_back((i * 7 + 3) % 48);
  for (const bool quantised : {false, true}) {
    Graph graph = load();
    if (quantised) quantise_matrices(graph);
    const Tensor want = StepRunner(graph, 64).step(tokens);
    optimize(graph, generic_pipeline(2));
    expect_near(StepRunner(graph, 64).step(tokens), want, 0);
  }
}

// exaone's goldens are those of llama, which its blocks are, under its names.
// phi3's goldens have positions below its original context alone: its short factors.
const auto name_of = [](const auto& test) { return std::string(test.param.folder); };

INSTANTIATE_TEST_SUITE_P(Directory, Architectures,
                         ::testing::Values(Case{"llama"}, Case{"llama_yarn"}, Case{"mistral"},
                                           Case{"smollm3"}, Case{"granite"}, Case{"qwen2"},
                                           Case{"qwen3"}, Case{"exaone"}, Case{"exaone4"}, Case{"gemma2"},
                                           Case{"gemma3"}, Case{"phi3", 128}, Case{"mixtral"},
                                           Case{"qwen2_moe"}, Case{"qwen3_moe"}, Case{"gpt_oss"},
                                           Case{"exaone_moe"}),
                         name_of);

constexpr const char* kGguf = "model.gguf";
INSTANTIATE_TEST_SUITE_P(Gguf, Architectures,
                         ::testing::Values(Case{"llama", 0, kGguf}, Case{"smollm3", 0, kGguf},
                                           Case{"granite", 0, kGguf}, Case{"exaone4", 0, kGguf},
                                           Case{"gemma3", 0, kGguf}, Case{"phi3", 128, kGguf},
                                           Case{"qwen2_moe", 0, kGguf}, Case{"gpt_oss", 0, kGguf},
                                           Case{"exaone_moe", 0, kGguf}),
                         name_of);

}  // namespace
}  // namespace naru
