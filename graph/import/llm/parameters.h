// Parameters of the two kinds of files.
#pragma once

#include <memory>

#include <nlohmann/json_fwd.hpp>

#include "graph/import/gguf.h"
#include "graph/import/llm/config.h"

namespace naru::llm {

/// Reads the keys "<architecture>.*". `file` must outlive the result.
std::unique_ptr<Parameters> gguf_parameters(const GgufFile& file);
/// Reads config.json, or its "text_config" where that is the language model of several parts.
/// `config` must outlive the result.
std::unique_ptr<Parameters> json_parameters(const nlohmann::json& config);

}  // namespace naru::llm
