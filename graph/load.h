// load_model(): opens a model of any format that naru reads.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

#include "graph/graph.h"

namespace naru {

enum class ModelFormat : std::uint8_t { Unknown, Naru, Text, Onnx, Gguf };

/// Recognises a format by content; `extension` (with its dot) decides where content alone does not.
ModelFormat recognise_format(std::span<const std::byte> bytes,
                             std::string_view extension = {}) noexcept;

/// Loads a verified graph with inferred types from a container, ONNX or text file.
/// @throws Error Io for what is no readable regular file, InvalidModel for a bad or unknown format,
/// Unsupported for formats and operators that naru does not have.
Graph load_model(const std::filesystem::path& path);

}  // namespace naru
