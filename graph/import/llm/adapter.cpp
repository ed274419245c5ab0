// Reading of adapters: names, scales, pairs of matrices.
#include "graph/import/llm/adapter.h"

#include <cmath>

#include <nlohmann/json.hpp>

#include "graph/block/block_format.h"
#include "graph/fail.h"
#include "graph/import/gguf.h"
#include "graph/import/safetensors.h"
#include "graph/model_file.h"

namespace naru::llm {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

/// `name` without an ending; nothing when it ends otherwise.
std::optional<std::string> without(std::string_view name, std::string_view ending) {
  if (!name.ends_with(ending)) return std::nullopt;
  return std::string(name.substr(0, name.size() - ending.size()));
}

/// Puts one of the two matrices in its place.
void put(Adapter& adapter, const std::string& matrix, bool first, const Tensor& tensor) {
  if (tensor.rank() != 2) {
    fail(ErrorCode::InvalidModel, "adapter of {}: got {}, expected a matrix", quote_name(matrix),
         to_string(tensor));
  }
  (first ? adapter[matrix].a : adapter[matrix].b) = dequantize(tensor);
}

/// Checks the pairs and takes the scale into the second of each. `factor(rank)`: of the product.
template <typename Factor>
void finish(Adapter& adapter, Factor factor) {
  for (auto& entry : adapter) {
    const std::string& name = entry.first;
    LowRank& pair = entry.second;
    const std::int64_t rank = pair.a.rank() == 2 ? pair.a.shape()[0] : 0;
    if (rank == 0 || pair.b.rank() != 2 || pair.b.shape()[1] != rank) {
      fail(ErrorCode::InvalidModel, "adapter of {}: got {} and {}, expected [rank, inputs] and [outputs, rank]",
           quote_name(name), to_string(pair.a), to_string(pair.b));
    }
    const double scale = factor(rank);
    if (!std::isfinite(scale)) fail(ErrorCode::InvalidModel, "adapter: got the scale {}", scale);
    pair.b = pair.b.clone();
    for (float& value : pair.b.as_mutable<float>()) value *= static_cast<float>(scale);
  }
  if (adapter.empty()) fail(ErrorCode::InvalidModel, "adapter: got no low-rank matrices");
}

json read_config(const fs::path& path) {
  const std::shared_ptr<const MappedFile> file = open_model_file(path).file;
  constexpr std::int64_t kMostBytes = 1 << 20;
  if (file->size_bytes() > kMostBytes) {
    fail(ErrorCode::InvalidModel, "adapter_config.json: got {} bytes, expected at most {}", file->size_bytes(), kMostBytes);
  }
  const auto bytes = file->bytes();
  json config = json::parse(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()), nullptr, false);
  if (!config.is_object()) fail(ErrorCode::InvalidModel, "adapter_config.json: got no JSON object");
  return config;
}

/// Ways of adapting that are not a plain product of two matrices.
void refuse_extensions(const json& config) {
  const auto is_set = [&](const char* key) {
    const auto found = config.find(key);
    return found != config.end() && !found->is_null() && *found != json(false) && !found->empty();
  };
  for (const char* key : {"use_dora", "lora_bias", "modules_to_save", "alpha_pattern", "layer_replication"}) {
    if (is_set(key)) fail(ErrorCode::Unsupported, "adapter_config.json: got '{}', expected a plain LoRA", key);
  }
  if (config.value("bias", json("none")) != json("none"))
    fail(ErrorCode::Unsupported, "adapter_config.json: got biases, expected a plain LoRA");
}

}  // namespace

Adapter load_gguf_adapter(const AdapterFile& adapter, std::string_view architecture) {
  if (fs::is_directory(adapter.path)) {
    fail(ErrorCode::Unsupported, "adapter {}: got a folder, expected a GGUF file for a GGUF model", quote_name(adapter.path.native()));
  }
  const GgufFile file = load_gguf(adapter.path);
  if (file.text("general.type", "") != "adapter" || file.text("adapter.type", "") != "lora")
    fail(ErrorCode::InvalidModel, "adapter {}: got no LoRA adapter", quote_name(adapter.path.native()));
  if (file.text("general.architecture") != architecture) {
    fail(ErrorCode::InvalidModel, "adapter {}: got one for {}, expected one for {}", quote_name(adapter.path.native()),
         quote_name(file.text("general.architecture")), architecture);
  }
  Adapter result;
  for (const GgufTensor& tensor : file.tensors) {
    const auto a = without(tensor.name, ".lora_a"), b = without(tensor.name, ".lora_b");
    if (!a && !b) {
      fail(ErrorCode::Unsupported, "adapter: got tensor {}, expected names that end in .lora_a or .lora_b",
           quote_name(tensor.name));
    }
    put(result, a ? *a : *b, a.has_value(), tensor.data);
  }
  const double alpha = file.number("adapter.lora.alpha", 0);
  finish(result, [&](std::int64_t rank) { return adapter.scale * (alpha == 0 ? 1 : alpha / static_cast<double>(rank)); });
  return result;
}

Adapter load_peft_adapter(const AdapterFile& adapter) {
  if (!fs::is_directory(adapter.path)) {
    fail(ErrorCode::Unsupported, "adapter {}: got a file, expected a folder as PEFT writes it for a Hugging Face folder",
         quote_name(adapter.path.native()));
  }
  const json config = read_config(adapter.path / "adapter_config.json");
  refuse_extensions(config);
  const auto alpha = config.find("lora_alpha");
  if (alpha == config.end() || !alpha->is_number())
    fail(ErrorCode::InvalidModel, "adapter_config.json: got no number 'lora_alpha'");
  const bool stable = config.value("use_rslora", json(false)) == json(true);
  Adapter result;
  for (const NamedTensor& tensor : load_safetensors(adapter.path / "adapter_model.safetensors")) {
    constexpr std::string_view kPrefix = "base_model.model.";
    std::string_view name = tensor.name;
    if (name.starts_with(kPrefix)) name.remove_prefix(kPrefix.size());
    const auto a = without(name, ".lora_A.weight"), b = without(name, ".lora_B.weight");
    if (!a && !b) {
      fail(ErrorCode::Unsupported, "adapter: got tensor {}, expected names that end in .lora_A.weight or .lora_B.weight",
           quote_name(tensor.name));
    }
    put(result, (a ? *a : *b) + ".weight", a.has_value(), tensor.data);
  }
  finish(result, [&](std::int64_t rank) {
    const auto r = static_cast<double>(rank);
    return adapter.scale * alpha->get<double>() / (stable ? std::sqrt(r) : r);
  });
  return result;
}

}  // namespace naru::llm
