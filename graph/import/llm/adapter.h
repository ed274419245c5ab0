// LoRA adapters: for some matrices of a model a product of two narrow ones that is added to them
// (Hu et al., "LoRA", 2021).
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "graph/load.h"
#include "naru/tensor.h"

namespace naru::llm {

/// What is added to a matrix [outputs, inputs]: b * a.
struct LowRank {
  Tensor a;  ///< f32[rank, inputs]
  Tensor b;  ///< f32[outputs, rank], with the adapter's scale
};

/// By the name of the matrix in the model's files ("blk.0.attn_q.weight").
using Adapter = std::unordered_map<std::string, LowRank>;

/// Reads a GGUF adapter for GGUF models, or a folder as PEFT writes it (adapter_config.json and
/// adapter_model.safetensors) for Hugging Face folders.
/// @throws Error InvalidModel for malformed adapters and those of another architecture, Unsupported
/// for what goes beyond low-rank products, and for an adapter of the other kind of files.
Adapter load_gguf_adapter(const AdapterFile& adapter, std::string_view architecture);
Adapter load_peft_adapter(const AdapterFile& adapter);

}  // namespace naru::llm
