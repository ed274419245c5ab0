// Granite 3: Llama with constant factors on embeddings, residuals, scores and logits.
#include "graph/import/llm/architecture.h"

namespace naru::llm {

Architecture architecture_granite() { return {.name = "granite", .interleaved_gguf = true}; }

}  // namespace naru::llm
