// From GGUF's key-values and tensors to a step graph and its metadata.
#include "graph/import/llm/gguf_model.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "graph/fail.h"
#include "graph/import/llm/architecture.h"
#include "graph/import/llm/parameters.h"

namespace naru::llm {
namespace {

using nlohmann::json;

constexpr std::string_view kTokenizerPrefix = "tokenizer.ggml.";

/// Names in the JSON that differ from the key behind the prefix.
constexpr std::pair<std::string_view, std::string_view> kTokenizerNames[] = {
    {"token_type", "token_types"}};

json element(const GgufValue& value, std::int64_t i) {
  if (value.kind == GgufKind::String)
    return std::string(value.strings[static_cast<std::size_t>(i)]);
  if (value.kind == GgufKind::Bool) return value.integer(i).value_or(0) != 0;
  if (const auto integer = value.integer(i)) return *integer;
  return value.number(i).value_or(0);
}

json to_json(const GgufValue& value) {
  if (!value.is_array) return element(value, 0);
  json list = json::array();
  for (std::int64_t i = 0; i < value.count; ++i) list.push_back(element(value, i));
  return list;
}

/// Text for metadata; what is no UTF-8 is refused.
std::string dump(const json& document) {
  try {
    return document.dump();
  } catch (const json::exception&) {
    fail(ErrorCode::InvalidModel, "tokenizer: got text that is no UTF-8");
  }
}

/// All keys of the tokenizer as one JSON object.
std::string tokenizer_json(const GgufFile& file) {
  json tokenizer{{"type", "gguf"}};
  for (const GgufEntry& entry : file.entries) {
    if (!entry.key.starts_with(kTokenizerPrefix)) continue;
    std::string_view name = entry.key.substr(kTokenizerPrefix.size());
    for (const auto& [own, json_name] : kTokenizerNames) {
      if (name == own) name = json_name;
    }
    tokenizer[std::string(name)] = to_json(entry.value);
  }
  return dump(tokenizer);
}

void read_token_ids(const GgufFile& file, Config& config) {
  const auto id = [&](const char* name) {
    return file.integer(std::string(kTokenizerPrefix) + name, -1);
  };
  if (id("bos_token_id") >= 0) config.bos = id("bos_token_id");
  for (const char* name : {"eos_token_id", "eot_token_id", "eom_token_id"}) {
    if (id(name) >= 0) config.eos.push_back(id(name));
  }
}

/// All tensors but those of layers that only draft further tokens.
TensorMap tensors_of(const GgufFile& file, const Parameters& parameters) {
  std::vector<std::string> drafting;
  const std::int64_t layers = parameters.integer("layers", 1, 1 << 12);
  for (std::int64_t i = layer_count(parameters); i < layers; ++i)
    drafting.push_back(fmt::format("blk.{}.", i));
  TensorMap tensors;
  for (const GgufTensor& tensor : file.tensors) {
    const bool drafts =
        std::any_of(drafting.begin(), drafting.end(),
                    [&](const std::string& prefix) { return tensor.name.starts_with(prefix); });
    if (!drafts) tensors.emplace(tensor.name, tensor.data);
  }
  return tensors;
}

}  // namespace

Graph build_gguf_model(const GgufFile& file, const CacheOptions& cache,
                       const ModelLoadOptions& options) {
  const Architecture& architecture = find_architecture(file.text("general.architecture"), true);
  const std::unique_ptr<Parameters> parameters = gguf_parameters(file);
  Weights weights(tensors_of(file, *parameters), weight_names(architecture, true));
  for (const AdapterFile& adapter : options.adapters)
    weights.add(load_gguf_adapter(adapter, architecture.name));
  Config config = make_config(architecture, *parameters, weights, options.context);
  config.name = file.text("general.name", "");
  read_token_ids(file, config);
  Graph graph = build_step_graph(config, weights, cache);
  weights.expect_all_taken();
  if (file.find("tokenizer.ggml.model") != nullptr)
    graph.metadata["naru.tokenizer"] = tokenizer_json(file);
  if (file.find("tokenizer.chat_template") != nullptr) {
    graph.metadata["naru.chat_template"] = file.text("tokenizer.chat_template");
  }
  return graph;
}

}  // namespace naru::llm
