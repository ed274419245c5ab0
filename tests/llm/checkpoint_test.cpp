// Quantised checkpoints: packed by the rules of each kind, and read back as the same values.
#include "graph/import/llm/checkpoint.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "naru/error.h"

#include "graph/block/block_format.h"
#include "graph/scalar.h"

namespace naru::llm {
namespace {

using nlohmann::json;

constexpr std::int64_t kInputs = 64, kOutputs = 16, kGroup = 32;

int level(std::int64_t input, std::int64_t output) {
  return static_cast<int>((input * 7 + output * 3) % 16);
}
float scale(std::int64_t group, std::int64_t output) {
  return 0.25f * static_cast<float>(1 + group + output % 4);
}

Tensor words(Shape shape) {
  Tensor tensor(DType::I32, std::move(shape));
  for (std::int32_t& word : tensor.as_mutable<std::int32_t>()) word = 0;
  return tensor;
}

void put(Tensor& tensor, std::int64_t word, std::int64_t place, int value) {
  auto& target = tensor.as_mutable<std::int32_t>()[static_cast<std::size_t>(word)];
  target = static_cast<std::int32_t>(static_cast<std::uint32_t>(target) |
                                     static_cast<std::uint32_t>(value) << 4 * place);
}

Tensor scales() {
  Tensor tensor(DType::F16, {kInputs / kGroup, kOutputs});
  for (std::int64_t i = 0; i < tensor.numel(); ++i)
    store_f64(DType::F16, tensor.mutable_data(), i,
              static_cast<double>(scale(i / kOutputs, i % kOutputs)));
  return tensor;
}

/// `zero(group, output)` as stored.
template <typename Zero>
TensorMap gptq(Zero zero) {
  Tensor weight = words({kInputs / 8, kOutputs}), zeros = words({kInputs / kGroup, kOutputs / 8});
  for (std::int64_t o = 0; o < kOutputs; ++o) {
    for (std::int64_t i = 0; i < kInputs; ++i)
      put(weight, i / 8 * kOutputs + o, i % 8, level(i, o));
    for (std::int64_t g = 0; g < kInputs / kGroup; ++g)
      put(zeros, (g * kOutputs + o) / 8, o % 8, zero(g, o));
  }
  return {{"a.qweight", weight},
          {"a.qzeros", zeros},
          {"a.scales", scales()},
          {"a.g_idx", words({kInputs})}};
}

TensorMap awq() {
  constexpr std::int64_t kOrder[] = {0, 2, 4, 6, 1, 3, 5, 7};  // the output in each place of a word
  Tensor weight = words({kInputs, kOutputs / 8}), zeros = words({kInputs / kGroup, kOutputs / 8});
  for (std::int64_t word = 0; word < kOutputs / 8; ++word) {
    for (std::int64_t place = 0; place < 8; ++place) {
      const std::int64_t o = word * 8 + kOrder[place];
      for (std::int64_t i = 0; i < kInputs; ++i)
        put(weight, i * kOutputs / 8 + word, place, level(i, o));
      for (std::int64_t g = 0; g < kInputs / kGroup; ++g)
        put(zeros, g * kOutputs / 8 + word, place, static_cast<int>((g + o) % 16));
    }
  }
  return {{"a.qweight", weight}, {"a.qzeros", zeros}, {"a.scales", scales()}};
}

json config(json quantised) { return {{"quantization_config", std::move(quantised)}}; }
const json kGptq = {
    {"quant_method", "gptq"}, {"bits", 4}, {"group_size", kGroup}, {"desc_act", false}};
const json kAwq = {{"quant_method", "awq"}, {"bits", 4}, {"group_size", kGroup}};

template <typename Zero>
void expect_weight(TensorMap& tensors, DType format, Zero zero) {
  ASSERT_EQ(tensors.size(), 1u);
  const Tensor& blocks = tensors.at("a.weight");
  EXPECT_EQ(blocks.dtype(), format);
  ASSERT_EQ(blocks.shape(), Shape({kOutputs, kInputs}));
  const Tensor values = dequantize(blocks);
  for (std::int64_t o = 0; o < kOutputs; ++o) {
    for (std::int64_t i = 0; i < kInputs; ++i) {
      const float want =
          static_cast<float>(level(i, o) - zero(i / kGroup, o)) * scale(i / kGroup, o);
      ASSERT_EQ(values.as<float>()[static_cast<std::size_t>(o * kInputs + i)], want)
          << o << " " << i;
    }
  }
}

TEST(Checkpoint, GptqBecomesBlocks) {
  TensorMap symmetric = gptq([](std::int64_t, std::int64_t) { return 7; });
  normalise_checkpoint(config(kGptq), symmetric);
  expect_weight(symmetric, DType::Q4_0, [](std::int64_t, std::int64_t) { return 8; });
  const auto zero = [](std::int64_t g, std::int64_t o) { return static_cast<int>((g + o) % 15); };
  TensorMap first = gptq(zero);
  normalise_checkpoint(config(kGptq), first);
  expect_weight(first, DType::Q4_1, [&](std::int64_t g, std::int64_t o) { return zero(g, o) + 1; });
  TensorMap second = gptq(zero);
  json v2 = kGptq;
  v2["checkpoint_format"] = "gptq_v2";
  normalise_checkpoint(config(v2), second);
  expect_weight(second, DType::Q4_1, zero);
}

TEST(Checkpoint, AwqBecomesBlocks) {
  TensorMap tensors = awq();
  normalise_checkpoint(config(kAwq), tensors);
  expect_weight(tensors, DType::Q4_1,
                [](std::int64_t g, std::int64_t o) { return static_cast<int>((g + o) % 16); });
}

TEST(Checkpoint, Fp8IsScaled) {
  Tensor weight(DType::F8E4M3FN, {3, 4});
  for (std::int64_t i = 0; i < 12; ++i)
    store_f64(DType::F8E4M3FN, weight.mutable_data(), i, static_cast<double>(i));
  const auto scaled = [&](const json& method, const char* part, const Tensor& scale_of) {
    TensorMap tensors{{"a.weight", weight},
                      {std::string("a") + part, scale_of},
                      {"a.input_scale", Tensor::scalar(1.0f)}};
    normalise_checkpoint(config(method), tensors);
    EXPECT_EQ(tensors.size(), 1u);
    return to_wide<double>(tensors.at("a.weight"));
  };
  const json fp8 = {{"quant_method", "fp8"}};
  EXPECT_EQ(scaled(fp8, ".weight_scale", Tensor::scalar(2.0f))[11], 22);
  EXPECT_EQ(scaled(fp8, ".weight_scale", Tensor::from<float>({3, 1}, {1, 2, 3}))[8], 24);
  json tiled = fp8;
  tiled["weight_block_size"] = {2, 3};
  EXPECT_EQ(scaled(tiled, ".weight_scale_inv", Tensor::from<float>({2, 2}, {1, 2, 4, 8})),
            (std::vector<double>{0, 1, 2, 6, 4, 5, 6, 14, 32, 36, 40, 88}));
}

TEST(Checkpoint, RefusesPartsThatDoNotFit) {
  const auto refuse = [](TensorMap tensors, const json& method) {
    EXPECT_THROW(normalise_checkpoint(config(method), tensors), Error);
  };
  const auto zero = [](std::int64_t, std::int64_t) { return 7; };
  for (const char* part : {"a.qzeros", "a.scales"}) {
    TensorMap missing = gptq(zero);
    missing.erase(part);
    refuse(missing, kGptq);
    TensorMap small = gptq(zero);
    small[part] = words({1, 1});
    refuse(small, kGptq);
  }
  TensorMap floats = gptq(zero);
  floats["a.qweight"] = Tensor(DType::F32, {8, 16});
  refuse(floats, kGptq);
  for (const auto& [key, value] :
       std::vector<std::pair<std::string, json>>{{"bits", 3},
                                                 {"bits", "4"},
                                                 {"group_size", 48},
                                                 {"group_size", "x"},
                                                 {"desc_act", true},
                                                 {"quant_method", "magic"},
                                                 {"quant_method", 1}}) {
    json method = kGptq;
    method[key] = value;
    refuse(gptq(zero), method);
  }
  refuse({{"a.weight_scale", Tensor::scalar(1.0f)}}, {{"quant_method", "fp8"}});
  refuse({{"a.weight_scale", words({2})}, {"a.weight", Tensor(DType::F8E4M3FN, {3, 4})}},
         {{"quant_method", "fp8"}});
  refuse({{"a.weight_scale", Tensor::scalar(1.0f)}, {"a.weight", Tensor(DType::F8E4M3FN, {3})}},
         {{"quant_method", "fp8"}});
}

TEST(Checkpoint, GptOssExpertsAreSplit) {
  // One expert, four outputs (gate and up alternate), 32 inputs; neighbours share a byte.
  Tensor blocks(DType::U8, {1, 4, 1, 16}), scale_of(DType::U8, {1, 4, 1});
  for (std::int64_t i = 0; i < 64; ++i)
    blocks.mutable_data()[i] = static_cast<std::byte>((2 * i % 16) | ((2 * i + 1) % 16) << 4);
  for (std::int64_t i = 0; i < 4; ++i) scale_of.mutable_data()[i] = static_cast<std::byte>(127 + i);
  const Tensor bias = Tensor::from<float>({1, 4}, {1, 2, 3, 4});
  const std::string prefix = "model.layers.0.mlp.experts.";
  TensorMap tensors{{prefix + "gate_up_proj_blocks", blocks},
                    {prefix + "gate_up_proj_scales", scale_of},
                    {prefix + "gate_up_proj_bias", bias},
                    {prefix + "down_proj_bias", Tensor::from<float>({1, 1}, {5})}};
  normalise_checkpoint(config({{"quant_method", "mxfp4"}}), tensors);
  const Tensor up = dequantize(tensors.at(prefix + "up.weight"));
  ASSERT_EQ(up.shape(), Shape({1, 2, 32}));
  constexpr float kE2M1[] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
  for (std::size_t row = 0; row < 2; ++row) {
    for (std::size_t i = 0; i < 32; ++i) {
      const float value = (i % 16 < 8 ? 1.0f : -1.0f) * kE2M1[i % 8] * (row == 0 ? 2.0f : 8.0f);
      ASSERT_EQ(up.as<float>()[row * 32 + i], value) << row << " " << i;
    }
  }
  EXPECT_EQ(tensors.at(prefix + "gate.bias").as<float>()[1], 3);
  EXPECT_EQ(tensors.at(prefix + "down.bias").as<float>()[0], 5);
}

}  // namespace
}  // namespace naru::llm
