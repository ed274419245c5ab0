// load_model(): opens a model of any format that naru reads.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <vector>

#include "graph/code_blob.h"
#include "graph/graph.h"

namespace naru {

enum class ModelFormat : std::uint8_t { Unknown, Naru, Text, Onnx, Gguf };

/// Recognises a format by content; `extension` (with its dot) decides where content alone does not.
ModelFormat recognise_format(std::span<const std::byte> bytes,
                             std::string_view extension = {}) noexcept;

/// A LoRA adapter: a GGUF file, or a folder as PEFT writes it.
struct AdapterFile {
  std::filesystem::path path;
  double scale = 1;  ///< times the adapter's own
};

/// How language models become step graphs (graph/import/llm/step_graph.h), and what else to read.
struct ModelLoadOptions {
  DType kv_type = DType::F16;     ///< of the caches: f32, f16, bf16, q8_0 or q4_0
  std::int64_t page_tokens = 32;  ///< positions of one page of the caches
  std::int64_t context = 0;       ///< positions that will be used; 0: as many as the model has
  std::vector<AdapterFile> adapters;
  std::vector<CodeBlob>* code = nullptr;  ///< gets the compiled code that a container carries, when not null
};

/// Loads a verified graph with inferred types from a container, an ONNX, text or GGUF file,
/// or a Hugging Face directory (config.json and safetensors).
/// @throws Error Io for what is no readable regular file, InvalidModel for a bad or unknown format,
/// Unsupported for formats, operators and architectures that naru does not have.
Graph load_model(const std::filesystem::path& path, const ModelLoadOptions& options = {});

}  // namespace naru
