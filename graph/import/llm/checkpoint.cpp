// Checkpoints brought to one tensor per weight.
#include "graph/import/llm/checkpoint.h"

#include <nlohmann/json.hpp>

#include "graph/import/llm/checkpoint_gpt_oss.h"
#include "graph/import/llm/checkpoint_packed.h"

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
  split_gpt_oss(tensors);
  const auto quantised = config.find("quantization_config");
  if (quantised != config.end() && quantised->is_object()) unpack_quantised(*quantised, tensors);
}

}  // namespace naru::llm
