// Reads the tokenizer of a model without loading the model.
#pragma once

#include <filesystem>

#include "naru/tokenizer.h"

namespace naru::text {

/// The tokenizer of a GGUF file, a Hugging Face folder, or a container that kept it at import.
/// @throws Error Io, InvalidModel, Unsupported; InvalidArgument when the model has none.
Tokenizer read_tokenizer(const std::filesystem::path& path);

}  // namespace naru::text
