// LoRA adapters: a model with one gives what the model gives with the product added to its weights.
#include "graph/import/llm/adapter.h"

#include <cmath>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "graph/block/block_format.h"
#include "graph/export/gguf_writer.h"
#include "graph/import/safetensors.h"
#include "naru/error.h"
#include "tests/llm/step_runner.h"

namespace naru {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::int64_t kRank = 4;
constexpr double kAlpha = 8, kStrength = 0.5;

struct Pair {
  std::string matrix;  ///< in the model's file, without ".weight"
  Tensor a, b;
};

Tensor waves(Shape shape, float phase) {
  Tensor tensor(DType::F32, std::move(shape));
  float at = phase;
  for (float& value : tensor.as_mutable<float>()) value = 0.3f * std::sin(at += 0.7f);
  return tensor;
}

Pair pair_for(const std::string& matrix, const Tensor& weight, float phase) {
  return {matrix, waves({kRank, weight.shape()[1]}, phase), waves({weight.shape()[0], kRank}, phase + 1)};
}

/// weight + scale * b * a.
Tensor merged(const Tensor& weight, const Pair& pair, double scale) {
  Tensor sum = dequantize(weight).clone();
  const std::int64_t outputs = weight.shape()[0], inputs = weight.shape()[1];
  for (std::int64_t o = 0; o < outputs; ++o) {
    for (std::int64_t i = 0; i < inputs; ++i) {
      double added = 0;
      for (std::int64_t r = 0; r < kRank; ++r) {
        added += static_cast<double>(pair.b.as<float>()[static_cast<std::size_t>(o * kRank + r)]) *
                 static_cast<double>(pair.a.as<float>()[static_cast<std::size_t>(r * inputs + i)]);
      }
      sum.as_mutable<float>()[static_cast<std::size_t>(o * inputs + i)] += static_cast<float>(scale * added);
    }
  }
  return sum;
}

void write_safetensors(const fs::path& path, const std::vector<NamedTensor>& tensors) {
  json header = json::object();
  std::string data;
  for (const NamedTensor& tensor : tensors) {
    const Tensor values = dequantize(tensor.data);
    const std::size_t begin = data.size();
    data.append(reinterpret_cast<const char*>(values.data()), static_cast<std::size_t>(values.size_bytes()));
    header[tensor.name] = {{"dtype", "F32"}, {"shape", values.shape().dims()}, {"data_offsets", {begin, data.size()}}};
  }
  const std::string text = header.dump();
  const std::uint64_t size = text.size();
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(&size), sizeof size);
  file << text << data;
}

class Adapters : public ::testing::Test {
 protected:
  const fs::path model = fs::path(NARU_TEST_DATA) / "llama";
  const fs::path folder = fs::temp_directory_path() / ("naru-adapters-" + std::to_string(::getpid()));
  const fs::path peft = folder / "peft", gguf = folder / "adapter.gguf";
  void SetUp() override { fs::create_directories(peft); }
  void TearDown() override { fs::remove_all(folder); }

  void write_peft(const std::vector<Pair>& pairs, json config = json::object()) const {
    config["lora_alpha"] = kAlpha;
    std::ofstream(peft / "adapter_config.json") << config;
    std::vector<NamedTensor> tensors;
    for (const Pair& pair : pairs) {
      tensors.push_back({"base_model.model." + pair.matrix + ".lora_A.weight", pair.a});
      tensors.push_back({"base_model.model." + pair.matrix + ".lora_B.weight", pair.b});
    }
    write_safetensors(peft / "adapter_model.safetensors", tensors);
  }

  void write_gguf(const std::vector<Pair>& pairs, std::string_view architecture = "llama") const {
    GgufWriter writer(gguf);
    writer.add("general.architecture", architecture);
    writer.add("general.type", std::string_view("adapter"));
    writer.add("adapter.type", std::string_view("lora"));
    writer.add("adapter.lora.alpha", static_cast<float>(kAlpha));
    for (const Pair& pair : pairs) {
      writer.declare(pair.matrix + ".weight.lora_a", DType::F32, pair.a.shape());
      writer.declare(pair.matrix + ".weight.lora_b", DType::F32, pair.b.shape());
    }
    for (const Pair& pair : pairs) {
      for (const Tensor& tensor : {pair.a, pair.b}) writer.write({tensor.data(), static_cast<std::size_t>(tensor.size_bytes())});
    }
    writer.commit();
  }
};

Tensor logits(const fs::path& path, std::vector<AdapterFile> adapters) {
  const std::int32_t tokens[] = {7, 30, 11, 5, 9, 40};
  ModelLoadOptions options{DType::F32, 16};
  options.adapters = std::move(adapters);
  return testing::StepRunner(load_model(path, options), 32).step(tokens);
}

void expect_alike(const Tensor& a, const Tensor& b) {
  ASSERT_EQ(a.shape(), b.shape());
  for (std::size_t i = 0; i < a.as<float>().size(); ++i) ASSERT_NEAR(a.as<float>()[i], b.as<float>()[i], 1e-4f) << i;
}

double difference(const Tensor& a, const Tensor& b) {
  double most = 0;
  for (std::size_t i = 0; i < a.as<float>().size(); ++i)
    most = std::max(most, std::fabs(static_cast<double>(a.as<float>()[i] - b.as<float>()[i])));
  return most;
}

TEST_F(Adapters, PeftAddsItsProduct) {
  std::vector<NamedTensor> tensors = load_safetensors(model / "model.safetensors");
  std::vector<Pair> pairs;
  for (const char* part : {"self_attn.q_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.down_proj"}) {
    const std::string matrix = std::string("model.layers.1.") + part;
    for (NamedTensor& tensor : tensors) {
      if (tensor.name != matrix + ".weight") continue;
      pairs.push_back(pair_for(matrix, tensor.data, static_cast<float>(pairs.size())));
      tensor.data = merged(tensor.data, pairs.back(), kStrength * kAlpha / kRank);
    }
  }
  ASSERT_EQ(pairs.size(), 4u);
  write_peft(pairs);
  const fs::path whole = folder / "merged";
  fs::create_directories(whole);
  fs::copy(model / "config.json", whole / "config.json");
  write_safetensors(whole / "model.safetensors", tensors);
  const Tensor want = logits(whole, {}), plain = logits(model, {});
  EXPECT_GT(difference(want, plain), 0.01) << "the adapter changes too little to show anything";
  expect_alike(logits(model, {{peft, kStrength}}), want);
  // Strengths of several add up.
  expect_alike(logits(model, {{peft, kStrength}, {peft, -kStrength}}), plain);
}

TEST_F(Adapters, GgufAddsItsProduct) {
  const GgufFile file = load_gguf(model / "model.gguf");
  std::vector<Pair> pairs;
  GgufWriter writer(folder / "merged.gguf");
  for (const GgufEntry& entry : file.entries) writer.add(entry);
  std::vector<Tensor> data;
  for (const GgufTensor& tensor : file.tensors) {
    data.push_back(dequantize(tensor.data));
    if (tensor.name == "blk.0.attn_v.weight" || tensor.name == "blk.1.ffn_up.weight") {
      const std::string matrix(tensor.name.substr(0, tensor.name.size() - 7));
      pairs.push_back(pair_for(matrix, tensor.data, static_cast<float>(pairs.size())));
      data.back() = merged(tensor.data, pairs.back(), kStrength * kAlpha / kRank);
    }
    writer.declare(tensor.name, DType::F32, data.back().shape());
  }
  for (const Tensor& tensor : data) writer.write({tensor.data(), static_cast<std::size_t>(tensor.size_bytes())});
  writer.commit();
  ASSERT_EQ(pairs.size(), 2u);
  write_gguf(pairs);
  expect_alike(logits(model / "model.gguf", {{gguf, kStrength}}), logits(folder / "merged.gguf", {}));
}

TEST_F(Adapters, RefusesWhatDoesNotFit) {
  const Pair pair{"model.layers.0.self_attn.q_proj", waves({kRank, 32}, 0), waves({32, kRank}, 1)};
  const auto refused = [&](const fs::path& adapter) {
    const fs::path to = adapter == gguf ? model / "model.gguf" : model;
    EXPECT_THROW(logits(to, {{adapter, 1}}), Error) << adapter;
  };
  refused(folder / "nowhere");
  for (const json& config : {json{{"use_dora", true}}, json{{"bias", "all"}}, json{{"modules_to_save", {"lm_head"}}}}) {
    write_peft({pair}, config);
    refused(peft);
  }
  write_peft({{"model.layers.99.self_attn.q_proj", pair.a, pair.b}});
  refused(peft);
  write_peft({{pair.matrix, waves({kRank, 7}, 0), pair.b}});
  refused(peft);
  write_peft({{pair.matrix, pair.a, waves({32, kRank + 1}, 0)}});
  refused(peft);
  write_peft({});
  refused(peft);
  write_gguf({pair});
  refused(gguf);
  write_gguf({{"blk.0.attn_q", pair.a, pair.b}}, "qwen2");
  refused(gguf);
  EXPECT_THROW(logits(model, {{gguf, 1}}), Error);
  EXPECT_THROW(logits(model / "model.gguf", {{peft, 1}}), Error);
}

}  // namespace
}  // namespace naru
