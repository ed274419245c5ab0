// The table of shapes, and shapes from config.json.
#include <fstream>
#include <iterator>

#include <nlohmann/json.hpp>

#include "graph/checked.h"
#include "graph/export/synth.h"
#include "graph/fail.h"
#include "graph/import/llm/architecture.h"
#include "graph/import/llm/parameters.h"

namespace naru {
namespace {

// From the config.json of each model.
const ModelShape kShapes[] = {
    {"llama-tiny", "llama", 256, 2, 4, 2, 64, 512, 2048, 4096, 10000, true},
    {"llama-0.1b", "llama", 768, 12, 12, 4, 64, 2048, 32000, 8192, 500000, true},
    {"llama-3.2-1b", "llama", 2048, 16, 32, 8, 64, 8192, 128256, 131072, 500000, true},
    {"llama-3.2-3b", "llama", 3072, 28, 24, 8, 128, 8192, 128256, 131072, 500000, true},
    {"llama-3.1-8b", "llama", 4096, 32, 32, 8, 128, 14336, 128256, 131072, 500000, false},
    {"llama-3.3-70b", "llama", 8192, 80, 64, 8, 128, 28672, 128256, 131072, 500000, false},
    {"llama-3.1-405b", "llama", 16384, 126, 128, 8, 128, 53248, 128256, 131072, 500000, false},
    {"exaone-3.5-2.4b", "exaone", 2560, 30, 32, 8, 80, 7168, 102400, 32768, 1000000, true},
    {"exaone-3.5-7.8b", "exaone", 4096, 32, 32, 8, 128, 14336, 102400, 32768, 1000000, false},
    {"exaone-3.5-32b", "exaone", 5120, 64, 40, 8, 128, 27392, 102400, 32768, 1000000, false},
};

ModelShape shape_of_config(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const nlohmann::json config = nlohmann::json::parse(text, nullptr, false);
  if (!config.is_object() || !config.contains("model_type") || !config["model_type"].is_string()) {
    fail(ErrorCode::InvalidModel, "config '{}': got no JSON object with 'model_type'", path.native());
  }
  const std::string type = config["model_type"].get<std::string>();
  ModelShape shape;
  shape.architecture = llm::find_architecture(type, false).name;
  if (shape.architecture != "llama" && shape.architecture != "exaone") {
    fail(ErrorCode::Unsupported, "config '{}': got model_type '{}', expected a model built like llama or exaone",
         path.native(), type);
  }
  const std::unique_ptr<llm::Parameters> parameters = llm::json_parameters(config);
  constexpr std::int64_t kMost = 1 << 24;
  shape.name = path.has_parent_path() ? path.parent_path().filename().native() : type;
  shape.hidden = parameters->integer("hidden", 1, kMost);
  shape.layers = parameters->integer("layers", 1, 1 << 12);
  shape.heads = parameters->integer("heads", 1, 1 << 16);
  shape.kv_heads = parameters->integer("kv_heads", 1, shape.heads, shape.heads);
  shape.head_size = parameters->integer("head_size", 2, 1 << 16, shape.hidden / shape.heads);
  shape.feed_forward = parameters->integer("feed_forward", 1, kMost);
  shape.context = parameters->integer("context", 1, 1 << 30);
  shape.rope_theta = parameters->number("rope_theta", 10000);
  const auto vocab = config.find("vocab_size");
  if (vocab == config.end() || !vocab->is_number_unsigned() || vocab->get<std::uint64_t>() > kMost) {
    fail(ErrorCode::InvalidModel, "config '{}': got no vocab_size in [1, {}]", path.native(), kMost);
  }
  shape.vocab = vocab->get<std::int64_t>();
  const auto tied = config.find("tie_word_embeddings");
  shape.tied = tied != config.end() && tied->is_boolean() && tied->get<bool>();
  return shape;
}

}  // namespace

std::span<const ModelShape> known_shapes() { return kShapes; }

ModelShape find_shape(const std::string& name_or_config) {
  std::string known;
  for (const ModelShape& shape : kShapes) {
    if (shape.name == name_or_config) return shape;
    known += (known.empty() ? "" : ", ") + shape.name;
  }
  std::error_code ignored;
  if (std::filesystem::is_regular_file(name_or_config, ignored)) return shape_of_config(name_or_config);
  fail(ErrorCode::InvalidArgument, "shape: got '{}', expected a config.json or one of {}", name_or_config, known);
}

std::int64_t parameter_count(const ModelShape& s) {
  const std::int64_t attention = (2 * s.heads + 2 * s.kv_heads) * s.head_size * s.hidden;
  const std::int64_t layer = attention + 3 * s.hidden * s.feed_forward + 2 * s.hidden;
  return checked_add(checked_mul(s.layers, layer), (s.tied ? 1 : 2) * s.vocab * s.hidden + s.hidden);
}

}  // namespace naru
