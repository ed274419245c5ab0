// Language models whose numbers contradict each other, their tensors or good sense.
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <unistd.h>

#include "naru/error.h"

#include "graph/import/llm/gguf_model.h"
#include "graph/load.h"
#include "tests/graph/gguf_bytes.h"

namespace naru {
namespace {

namespace fs = std::filesystem;
using testing::GgufBytes;
using testing::le;

using Keys = std::map<std::string, std::uint32_t>;

/// A sound model of one layer with `changes` to its numbers.
GgufBytes model(const Keys& changes = {}) {
  GgufBytes file;
  file.add_text("general.architecture", "llama");
  Keys keys{{"block_count", 1},          {"embedding_length", 8},
            {"attention.head_count", 2}, {"attention.head_count_kv", 1},
            {"feed_forward_length", 12}, {"context_length", 64}};
  for (const auto& [key, value] : changes) keys[key] = value;
  for (const auto& [key, value] : keys) file.add_u32("llama." + key, value);
  const auto add = [&](const char* name, std::vector<std::uint64_t> dims) {
    std::uint64_t count = 1;
    for (const std::uint64_t dim : dims) count *= dim;
    file.add_tensor(name, std::move(dims), 0, std::string(count * 4, '\0'));
  };
  add("token_embd.weight", {8, 5});
  add("output_norm.weight", {8});
  add("blk.0.attn_norm.weight", {8});
  add("blk.0.attn_q.weight", {8, 8});
  add("blk.0.attn_k.weight", {8, 4});
  add("blk.0.attn_v.weight", {8, 4});
  add("blk.0.attn_output.weight", {8, 8});
  add("blk.0.ffn_norm.weight", {8});
  add("blk.0.ffn_gate.weight", {8, 12});
  add("blk.0.ffn_up.weight", {8, 12});
  add("blk.0.ffn_down.weight", {12, 8});
  return file;
}

Graph build(const GgufBytes& file, llm::CacheOptions cache = {}) {
  const std::string bytes = file.bytes();
  return llm::build_gguf_model(
      read_gguf(std::as_bytes(std::span(bytes.data(), bytes.size())), nullptr), cache, {});
}

void expect_refusal(const GgufBytes& file, std::string_view part,
                    ErrorCode code = ErrorCode::InvalidModel) {
  try {
    build(file);
    ADD_FAILURE() << "accepted, expected an error about " << part;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
  }
}

TEST(HostileModel, TheSoundOneIsBuilt) { EXPECT_EQ(build(model()).states.size(), 2u); }

TEST(HostileModel, NumbersAreChecked) {
  expect_refusal(model({{"attention.head_count", 0}}), "heads");
  expect_refusal(model({{"attention.head_count", 3}}), "got");
  expect_refusal(model({{"attention.head_count_kv", 0}}), "kv_heads");
  expect_refusal(model({{"attention.head_count_kv", 4}}), "kv_heads");
  expect_refusal(model({{"block_count", 0}}), "layers");
  expect_refusal(model({{"block_count", 1'000'000'000}}), "layers");
  expect_refusal(model({{"block_count", 2}}), "missing");
  expect_refusal(model({{"embedding_length", 0}}), "hidden");
  expect_refusal(model({{"embedding_length", 16}}), "shape");
  expect_refusal(model({{"feed_forward_length", 13}}), "shape");
  expect_refusal(model({{"context_length", 0}}), "context");
  expect_refusal(model({{"rope.dimension_count", 6}}), "rope_dims");
  expect_refusal(model({{"rope.dimension_count", 3}}), "rotary");
  expect_refusal(model({{"attention.key_length", 1u << 31}}), "head_size");
  expect_refusal(model({{"rope.freq_base", 0}}), "rotary");
}

TEST(HostileModel, TensorsAreChecked) {
  GgufBytes extra = model();
  extra.add_tensor("blk.0.attn_q.extra", {1}, 0, std::string(4, '\0'));
  expect_refusal(extra, "attn_q.extra", ErrorCode::Unsupported);
  GgufBytes bias = model();
  bias.add_tensor("blk.0.attn_q.bias", {7}, 0, std::string(28, '\0'));
  expect_refusal(bias, "q.bias");
  GgufBytes integers = model();
  integers.infos.pop_back();
  integers.add_tensor("blk.0.ffn_down.weight", {12, 8}, 26, std::string(12 * 8 * 4, '\0'));
  expect_refusal(integers, "i32");
  GgufBytes norm = model();
  norm.infos.erase(norm.infos.begin() + 1);
  norm.add_tensor("output_norm.weight", {8}, 24, std::string(8, '\0'));
  expect_refusal(norm, "i8");
}

TEST(HostileModel, OtherArchitecturesAndKindsAreNamed) {
  GgufBytes file;
  file.add_text("general.architecture", "mamba9");
  expect_refusal(file, "'mamba9'", ErrorCode::Unsupported);
  GgufBytes scaled = model();
  scaled.add_text("llama.rope.scaling.type", "magic");
  expect_refusal(scaled, "'magic'", ErrorCode::Unsupported);
  GgufBytes text = model();
  text.add_text("tokenizer.ggml.model", "gpt2\xff");
  expect_refusal(text, "UTF-8");
  expect_refusal(GgufBytes{}, "general.architecture");
}

TEST(HostileModel, CachesAreChecked) {
  EXPECT_THROW(build(model(), {DType::I32, 16}), Error);
  EXPECT_THROW(build(model(), {DType::Q8_0, 16}), Error);  // heads of 4 elements
  EXPECT_THROW(build(model(), {DType::F16, 0}), Error);
}

class HostileDirectory : public ::testing::Test {
 protected:
  HostileDirectory() {
    std::string pattern = (fs::temp_directory_path() / "naru_hf_XXXXXX").native();
    folder_ = ::mkdtemp(pattern.data());
    fs::copy(fs::path(NARU_TEST_DATA) / "mistral", folder_);
  }
  ~HostileDirectory() override { fs::remove_all(folder_); }

  void write(const char* name, std::string_view text) {
    std::ofstream(folder_ / name, std::ios::binary) << text;
  }
  void expect_refusal(std::string_view part) {
    try {
      load_model(folder_);
      ADD_FAILURE() << "accepted, expected an error about " << part;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    }
  }

  fs::path folder_;
};

TEST_F(HostileDirectory, TheSoundOneIsLoadedThroughLinksToo) {
  EXPECT_EQ(load_model(folder_).states.size(), 4u);
  fs::rename(folder_ / "config.json", folder_ / "blob");
  fs::create_symlink("blob", folder_ / "config.json");
  EXPECT_EQ(load_model(folder_).states.size(), 4u);
}

TEST_F(HostileDirectory, IndexMayNotLeaveTheFolder) {
  for (const char* name : {"../x.safetensors", "/etc/passwd", "a/b.safetensors", "x.bin", "",
                           "x\\u0000.safetensors"}) {
    write("model.safetensors.index.json", std::string(R"({"weight_map":{"a":")") + name + R"("}})");
    expect_refusal("plain name");
  }
  write("model.safetensors.index.json", R"({"weight_map":{"a":1}})");
  expect_refusal("plain name");
  write("model.safetensors.index.json", R"({"weight_map":[]})");
  expect_refusal("weight_map");
  write("model.safetensors.index.json", R"({"weight_map":{"a":"missing.safetensors"}})");
  expect_refusal("missing.safetensors");
}

TEST_F(HostileDirectory, ConfigIsChecked) {
  for (const char* text : {"", "[]", "{", "{\"model_type\":1}"}) {
    write("config.json", text);
    expect_refusal("config.json");
  }
  write("config.json", std::string(1 << 20, '['));
  expect_refusal("no JSON");
  write("config.json", R"({"model_type":"mistral","num_hidden_layers":"2"})");
  expect_refusal("layers");
  write("config.json", R"({"model_type":"mistral","num_hidden_layers":2.5})");
  expect_refusal("layers");
  write("config.json", R"({"model_type":"gpt9"})");
  expect_refusal("gpt9");
}

TEST_F(HostileDirectory, TokenizerMustBeJson) {
  write("tokenizer.json", "{\"a\":");
  expect_refusal("tokenizer.json");
  write("tokenizer.json", R"({"model":{}})");
  write("tokenizer_config.json",
        R"({"chat_template":[{"name":"default","template":"hi"}],"bos_token":"<s>"})");
  const Graph graph = load_model(folder_);
  EXPECT_EQ(graph.metadata.at("naru.chat_template"), "hi");
  EXPECT_EQ(graph.metadata.at("naru.tokenizer"),
            R"({"type":"huggingface","config":{"bos_token":"<s>"},"tokenizer_json":{"model":{}}})");
}

}  // namespace
}  // namespace naru
