// Qwen2-MoE: experts, and a shared one behind a gate of its own.
#include "graph/import/llm/architecture.h"

namespace naru::llm {

Architecture architecture_qwen2_moe() { return {.name = "qwen2moe", .json_names = {"qwen2_moe"}}; }

}  // namespace naru::llm
