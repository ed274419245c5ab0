// Qwen3: queries and keys normalised per head.
#include "graph/import/llm/architecture.h"

namespace naru::llm {

Architecture architecture_qwen3() { return {.name = "qwen3"}; }

}  // namespace naru::llm
