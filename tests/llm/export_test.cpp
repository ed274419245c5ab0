// Writing GGUF models: made ones can be read and run, and quantised ones keep what they say.
#include <cmath>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <unistd.h>

#include "graph/block/block_format.h"
#include "graph/export/quantize_gguf.h"
#include "graph/export/synth.h"
#include "graph/load.h"
#include "naru/error.h"
#include "naru/tokenizer.h"
#include "tests/llm/step_runner.h"

namespace naru {
namespace {

namespace fs = std::filesystem;

const WriteProgress kSilent = [](std::string_view, std::int64_t, std::int64_t) {};

class Export : public ::testing::Test {
 protected:
  const fs::path folder = fs::temp_directory_path() / ("naru-export-" + std::to_string(::getpid()));
  void SetUp() override { fs::create_directories(folder); }
  void TearDown() override { fs::remove_all(folder); }

  fs::path made(const char* type) const {
    const fs::path path = folder / (std::string(type) + ".gguf");
    synthesise(find_shape("llama-tiny"), find_weight_mix(type), 1, path, kSilent);
    return path;
  }
};

Tensor logits(const fs::path& path) {
  const std::int32_t tokens[] = {72, 300, 101, 5, 999};
  return testing::StepRunner(load_model(path), 32).step_last(tokens);
}

double cosine(const Tensor& a, const Tensor& b) {
  double ab = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < a.as<float>().size(); ++i) {
    const double x = static_cast<double>(a.as<float>()[i]), y = static_cast<double>(b.as<float>()[i]);
    ab += x * y, aa += x * x, bb += y * y;
  }
  return ab / std::sqrt(aa * bb);
}

TEST_F(Export, MadeModelsRunAndTokenise) {
  const Graph graph = load_model(made("q4_k_m"));
  const Tokenizer tokenizer = Tokenizer::from_json(graph.metadata.at("naru.tokenizer"));
  EXPECT_EQ(tokenizer.vocab_size(), 2048);
  for (const char* text : {"the quick brown fox", "안녕하세요, 나루!", "f(x) = {1}\n\n"}) {
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), text);
  }
  EXPECT_EQ(tokenizer.encode(" to").size(), 1u);
  const Tensor values = logits(folder / "q4_k_m.gguf");
  for (const float value : values.as<float>()) ASSERT_TRUE(std::isfinite(value));
}

/// Of logits with weights of a type and the original ones: two layers of normal numbers, the hardest to keep.
double least_cosine(DType type) {
  struct Row {
    double bits, cosine;
  };
  constexpr Row kRows[] = {{2.5, 0.5}, {3, 0.8}, {4, 0.9}, {4.9, 0.97}, {6.1, 0.98}, {8, 0.998}, {33, 0.9995}};
  const double bits = 8.0 * dtype_info(type).block_bytes / dtype_info(type).block_elements;
  for (const Row& row : kRows) {
    if (bits < row.bits) return row.cosine;
  }
  return 1;
}

TEST_F(Export, EveryMixKeepsTheLogits) {
  const fs::path f32 = made("f32");
  const Tensor want = logits(f32);
  for (const WeightMix& mix : weight_mixes()) {
    const fs::path path = folder / "out.gguf";
    quantize_gguf(f32, path, mix, 2, kSilent);
    EXPECT_GT(cosine(logits(path), want), least_cosine(mix.base)) << mix.name;
  }
}

TEST_F(Export, SameTypeIsTheSameFileAndMayReplaceItself) {
  const fs::path path = made("q8_0");
  const auto size = fs::file_size(path);
  const Tensor before = logits(path);
  quantize_gguf(path, path, find_weight_mix("q8_0"), 1, kSilent);
  EXPECT_EQ(fs::file_size(path), size);
  const Tensor after = logits(path);
  EXPECT_TRUE(std::ranges::equal(before.as<float>(), after.as<float>()));
}

TEST_F(Export, MixesGiveMoreBitsToWhatNeedsThem) {
  const WeightMix& mix = find_weight_mix("Q4_K_M");
  EXPECT_EQ(mixed_type(mix, "blk.0.attn_v.weight", {256, 256}, 16, true), DType::Q6_K);
  EXPECT_EQ(mixed_type(mix, "blk.2.attn_v.weight", {256, 256}, 16, true), DType::Q4_K);
  EXPECT_EQ(mixed_type(mix, "blk.2.ffn_down.weight", {256, 576}, 16, true), DType::Q5_0);
  EXPECT_EQ(mixed_type(mix, "token_embd.weight", {999, 256}, 16, true), DType::Q6_K);
  EXPECT_EQ(mixed_type(mix, "token_embd.weight", {999, 256}, 16, false), DType::Q4_K);
  EXPECT_EQ(mixed_type(mix, "blk.0.ffn_gate_inp.weight", {256, 256}, 16, true), std::nullopt);
  EXPECT_EQ(mixed_type(mix, "output_norm.weight", {256}, 16, true), std::nullopt);
  EXPECT_EQ(fitting_type(DType::Q4_K, 36), DType::F16);
}

TEST_F(Export, RefusesInWords) {
  EXPECT_THROW(find_weight_mix("q9"), Error);
  EXPECT_THROW(find_shape("llama-9"), Error);
  const fs::path config = folder / "config.json";
  std::ofstream(config) << R"({"model_type": "mixtral", "hidden_size": 64})";
  EXPECT_THROW(find_shape(config.native()), Error);
  // A failed write leaves nothing behind.
  const fs::path path = folder / "none.gguf", text = folder / "text.gguf";
  std::ofstream(text) << "no model";
  EXPECT_THROW(quantize_gguf(text, path, find_weight_mix("q8_0"), 1, kSilent), Error);
  EXPECT_FALSE(fs::exists(path));
}

TEST_F(Export, ShapesComeFromConfigs) {
  const fs::path config = folder / "config.json";
  std::ofstream(config) << R"({"model_type": "llama", "hidden_size": 256, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "intermediate_size": 512, "max_position_embeddings": 128, "vocab_size": 1000,
    "tie_word_embeddings": true})";
  const ModelShape shape = find_shape(config.native());
  EXPECT_EQ(shape.head_size, 64);
  EXPECT_TRUE(shape.tied);
  EXPECT_NEAR(static_cast<double>(parameter_count(find_shape("llama-3.1-8b"))) * 1e-9, 8.03, 0.01);
  EXPECT_NEAR(static_cast<double>(parameter_count(find_shape("llama-3.1-405b"))) * 1e-9, 405.8, 0.1);
}

}  // namespace
}  // namespace naru
