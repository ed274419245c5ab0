// Checkpoints brought to one tensor per weight.
#include "graph/import/llm/checkpoint.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "graph/import/llm/checkpoint_gpt_oss.h"
#include "graph/import/llm/checkpoint_packed.h"

namespace naru::llm {
namespace {

/// Ends of names of buffers that old versions of transformers saved.
constexpr std::string_view kBuffers[] = {".rotary_emb.inv_freq", ".attn.masked_bias", ".attn.bias"};
/// Starts of names of layers that only draft further tokens.
constexpr std::string_view kDrafting[] = {"mtp.", "model.mtp."};

bool is_passed_over(std::string_view name) {
  return std::any_of(std::begin(kBuffers), std::end(kBuffers),
                     [&](std::string_view end) { return name.ends_with(end); }) ||
         std::any_of(std::begin(kDrafting), std::end(kDrafting),
                     [&](std::string_view start) { return name.starts_with(start); });
}

}  // namespace

void normalise_checkpoint(const nlohmann::json& config, TensorMap& tensors) {
  std::erase_if(tensors, [](const auto& entry) { return is_passed_over(entry.first); });
  split_gpt_oss(tensors);
  const auto quantised = config.find("quantization_config");
  if (quantised != config.end() && quantised->is_object()) unpack_quantised(*quantised, tensors);
}

}  // namespace naru::llm
