// Checkpoints brought to one tensor per weight.
#include "graph/import/llm/checkpoint.h"

#include <nlohmann/json.hpp>

#include "graph/fail.h"

namespace naru::llm {
namespace {

/// Ends of names of buffers that old versions of transformers saved.
constexpr std::string_view kBuffers[] = {".rotary_emb.inv_freq", ".attn.masked_bias", ".attn.bias"};

bool is_buffer(std::string_view name) {
  for (const std::string_view end : kBuffers) {
    if (name.ends_with(end)) return true;
  }
  return false;
}

}  // namespace

void normalise_checkpoint(const nlohmann::json& config, TensorMap& tensors) {
  std::erase_if(tensors, [](const auto& entry) { return is_buffer(entry.first); });
  if (config.contains("quantization_config")) fail(ErrorCode::Unsupported, "config.json: got a quantised checkpoint");
}

}  // namespace naru::llm
