// Language models in GGUF.
#pragma once

#include "graph/import/gguf.h"
#include "graph/import/llm/step_graph.h"
#include "graph/load.h"

namespace naru::llm {

/// The step graph of the model in `file`; its weights stay in the file's memory. `options.context` > 0
/// limits the positions. @throws Error InvalidModel, or Unsupported for architectures that naru
/// lacks.
Graph build_gguf_model(const GgufFile& file, const CacheOptions& cache,
                       const ModelLoadOptions& options);

}  // namespace naru::llm
