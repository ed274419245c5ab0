// Language models as Hugging Face directories.
#pragma once

#include <filesystem>

#include "graph/import/llm/step_graph.h"
#include "graph/load.h"

namespace naru::llm {

/// The step graph of the model in `directory`: config.json and safetensors, with tokenizer.json,
/// tokenizer_config.json, chat_template.jinja and generation_config.json where they are. `options.context`
/// > 0 limits the positions. @throws Error InvalidModel, Io, or Unsupported for architectures and
/// kinds of quantisation that naru lacks.
Graph build_hf_model(const std::filesystem::path& directory, const CacheOptions& cache,
                     const ModelLoadOptions& options);

}  // namespace naru::llm
