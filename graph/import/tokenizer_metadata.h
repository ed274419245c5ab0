// The tokenizer of a model as its importer keeps it: the metadata entry "naru.tokenizer", a JSON
// text that naru/tokenizer.h describes.
#pragma once

#include <optional>
#include <string>

#include "graph/import/gguf.h"
#include "graph/model_file.h"

namespace naru {

inline constexpr const char* kTokenizerMetadata = "naru.tokenizer";

/// The vocabulary and chat template of a GGUF file; nothing when it has none.
/// @throws Error InvalidModel for entries of the wrong kind.
std::optional<std::string> tokenizer_metadata(const GgufFile& file);

/// tokenizer.json, tokenizer_config.json, generation_config.json and chat_template.jinja of a
/// Hugging Face folder, each where it is; nothing without a tokenizer.json.
/// @throws Error InvalidModel for files that are no JSON.
std::optional<std::string> tokenizer_metadata(const std::filesystem::path& folder);

}  // namespace naru
