// Writes the metadata entry "naru.tokenizer".
#include "graph/import/tokenizer_metadata.h"

#include <nlohmann/json.hpp>

#include "graph/fail.h"

namespace naru {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kVocabulary = "tokenizer.ggml.";
constexpr std::string_view kChatTemplate = "tokenizer.chat_template";

Json number_json(const GgufValue& value, std::int64_t i) {
  if (value.kind == GgufKind::Bool) return *value.integer(i) != 0;
  if (const auto integer = value.integer(i)) return *integer;
  if (const auto number = value.number(i)) return *number;
  return nullptr;
}

Json value_json(const GgufValue& value) {
  const auto element = [&](std::int64_t i) {
    return value.kind == GgufKind::String ? Json(value.strings[static_cast<std::size_t>(i)])
                                          : number_json(value, i);
  };
  if (!value.is_array) return element(0);
  Json array = Json::array();
  array.get_ref<Json::array_t&>().reserve(static_cast<std::size_t>(value.count));
  for (std::int64_t i = 0; i < value.count; ++i) array.push_back(element(i));
  return array;
}

std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string_view content(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

std::shared_ptr<const MappedFile> open_if_there(ModelDirectory& directory,
                                                const std::filesystem::path& folder,
                                                const char* name) {
  std::error_code ignored;
  return std::filesystem::exists(folder / name, ignored) ? directory.open(name) : nullptr;
}

}  // namespace

std::optional<std::string> tokenizer_metadata(const GgufFile& file) {
  if (file.find("tokenizer.ggml.tokens") == nullptr) return std::nullopt;
  Json json = {{"type", "gguf"}};
  for (const GgufEntry& entry : file.entries) {
    if (entry.key == kChatTemplate) json["chat_template"] = value_json(entry.value);
    if (!entry.key.starts_with(kVocabulary)) continue;
    json[std::string(entry.key.substr(kVocabulary.size()))] = value_json(entry.value);
  }
  return text_of(json);
}

std::optional<std::string> tokenizer_metadata(const std::filesystem::path& folder) {
  ModelDirectory directory(folder);
  if (open_if_there(directory, folder, "tokenizer.json") == nullptr) return std::nullopt;
  Json json = {{"type", "huggingface"}};
  static constexpr std::pair<const char*, const char*> kFiles[] = {
      {"tokenizer.json", "tokenizer_json"},
      {"tokenizer_config.json", "config"},
      {"generation_config.json", "generation_config"}};
  for (const auto& [name, key] : kFiles) {
    const auto file = open_if_there(directory, folder, name);
    if (file == nullptr) continue;
    json[key] = Json::parse(content(*file), nullptr, false);
    if (json[key].is_discarded())
      fail(ErrorCode::InvalidModel, "{}: got a file that is no JSON", name);
  }
  if (const auto file = open_if_there(directory, folder, "chat_template.jinja"))
    json["chat_template"] = content(*file);
  return text_of(json);
}

}  // namespace naru
