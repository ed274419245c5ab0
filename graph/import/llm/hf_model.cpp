// From config.json and safetensors to a step graph and its metadata.
//
// The user names the directory, and the files in it have names of their own accord, so links are
// followed as for any file that a user names: the caches of model hubs are made of links. Names
// that an index holds must be plain ones.
#include "graph/import/llm/hf_model.h"

#include <algorithm>
#include <set>

#include <nlohmann/json.hpp>

#include "graph/fail.h"
#include "graph/import/llm/architecture.h"
#include "graph/import/llm/checkpoint.h"
#include "graph/import/llm/parameters.h"
#include "graph/import/safetensors.h"
#include "graph/limits.h"
#include "graph/model_file.h"

namespace naru::llm {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// Documents that are held as trees; tokenizer.json, which may be larger, is not.
constexpr std::size_t kMaxDocumentBytes = 32u << 20;

/// The text of a file; empty when there is none of the name.
std::string read_text(const fs::path& path) {
  std::error_code error;
  if (!fs::exists(path, error)) return {};
  const std::shared_ptr<const MappedFile> file = open_model_file(path).file;
  return {reinterpret_cast<const char*>(file->bytes().data()), file->bytes().size()};
}

/// A JSON object; an empty one for a file that is not there.
json read_json(const fs::path& path) {
  const std::string text = read_text(path);
  if (text.empty()) return json::object();
  if (text.size() > kMaxDocumentBytes) {
    fail(ErrorCode::InvalidModel, "file {}: got {} bytes, expected at most {}",
         quote_name(path.native()), text.size(), kMaxDocumentBytes);
  }
  json document = json::parse(text, nullptr, false);
  if (!document.is_object())
    fail(ErrorCode::InvalidModel, "file {}: got no JSON object", quote_name(path.native()));
  return document;
}

/// The files that an index names, each once.
std::set<std::string> shard_names(const json& index) {
  const auto map = index.find("weight_map");
  if (map == index.end() || !map->is_object())
    fail(ErrorCode::InvalidModel, "index of weights: got no object 'weight_map'");
  std::set<std::string> names;
  for (const json& name : *map) {
    const std::string* text = name.get_ptr<const std::string*>();
    constexpr std::string_view kPlain =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    const bool plain = text != nullptr && text->ends_with(".safetensors") &&
                       text->find_first_not_of(kPlain) == std::string::npos;
    if (!plain)
      fail(ErrorCode::InvalidModel,
           "index of weights: got the file name {}, expected a plain name of a safetensors file",
           quote_name(text == nullptr ? "" : *text));
    names.insert(*text);
    if (static_cast<std::int64_t>(names.size()) > kLimits.max_external_files) {
      fail(ErrorCode::InvalidModel, "index of weights: got over {} files",
           kLimits.max_external_files);
    }
  }
  return names;
}

TensorMap load_tensors(const fs::path& directory) {
  const json index = read_json(directory / "model.safetensors.index.json");
  const std::set<std::string> names =
      index.empty() ? std::set<std::string>{"model.safetensors"} : shard_names(index);
  TensorMap tensors;
  for (const std::string& name : names) {
    for (NamedTensor& tensor : load_safetensors(directory / name)) {
      if (!tensors.emplace(tensor.name, std::move(tensor.data)).second) {
        fail(ErrorCode::InvalidModel, "tensor {}: is in two files", quote_name(tensor.name));
      }
    }
  }
  return tensors;
}

/// One id, or a list of them.
std::vector<std::int64_t> token_ids(const json& value) {
  std::vector<std::int64_t> ids;
  if (value.is_number_integer()) ids.push_back(value.get<std::int64_t>());
  if (!value.is_array()) return ids;
  for (const json& id : value) {
    if (id.is_number_integer()) ids.push_back(id.get<std::int64_t>());
  }
  return ids;
}

void read_token_ids(const json& config, const json& generation, Config& result) {
  for (const json* document : {&generation, &config}) {
    if (!result.bos && document->contains("bos_token_id")) {
      const std::vector<std::int64_t> ids = token_ids(document->at("bos_token_id"));
      if (!ids.empty()) result.bos = ids.front();
    }
    if (result.eos.empty() && document->contains("eos_token_id"))
      result.eos = token_ids(document->at("eos_token_id"));
  }
}

/// The template of the name "default" where there are several.
std::string chat_template(const fs::path& directory, const json& tokenizer_config) {
  std::string text = read_text(directory / "chat_template.jinja");
  if (!text.empty()) return text;
  const auto found = tokenizer_config.find("chat_template");
  if (found == tokenizer_config.end()) return {};
  if (found->is_string()) return found->get<std::string>();
  if (!found->is_array()) return {};
  for (const json& entry : *found) {
    if (entry.is_object() && entry.value("name", "") == "default")
      return entry.value("template", "");
  }
  return {};
}

/// tokenizer.json as it is, beside the rest of tokenizer_config.json.
void add_tokenizer(const fs::path& directory, Graph& graph) {
  json tokenizer_config = read_json(directory / "tokenizer_config.json");
  const std::string chat = chat_template(directory, tokenizer_config);
  if (!chat.empty()) graph.metadata["naru.chat_template"] = chat;
  const std::string tokenizer = read_text(directory / "tokenizer.json");
  if (tokenizer.empty()) return;
  if (!json::accept(tokenizer)) fail(ErrorCode::InvalidModel, "tokenizer.json: got no JSON");
  tokenizer_config.erase("chat_template");
  graph.metadata["naru.tokenizer"] = R"({"type":"huggingface","config":)" +
                                     tokenizer_config.dump() + R"(,"tokenizer_json":)" + tokenizer +
                                     "}";
}

std::string model_type(const json& config) {
  const auto found = config.find("model_type");
  if (found == config.end() || !found->is_string())
    fail(ErrorCode::InvalidModel, "config.json: got no 'model_type'");
  return found->get<std::string>();
}

}  // namespace

Graph build_hf_model(const fs::path& directory, const CacheOptions& cache,
                     const ModelLoadOptions& options) {
  const json document = read_json(directory / "config.json");
  const Architecture& architecture = find_architecture(model_type(document), false);
  const std::unique_ptr<Parameters> parameters = json_parameters(document);
  TensorMap tensors = load_tensors(directory);
  normalise_checkpoint(document, tensors);
  Weights weights(std::move(tensors), weight_names(architecture, false));
  for (const AdapterFile& adapter : options.adapters) weights.add(load_peft_adapter(adapter));
  Config config = make_config(architecture, *parameters, weights, options.context);
  config.name = fs::weakly_canonical(directory).filename().native();
  read_token_ids(document, read_json(directory / "generation_config.json"), config);
  Graph graph = build_step_graph(config, weights, cache);
  weights.expect_all_taken();
  add_tokenizer(directory, graph);
  return graph;
}

}  // namespace naru::llm
