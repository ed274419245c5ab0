// Reads ONNX models and the values that ONNX stores beside them in .pb files.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

#include "graph/graph.h"

namespace naru {

/// Opsets of the ONNX domain that can be read.
inline constexpr std::int64_t kOldestOpset = 1;
inline constexpr std::int64_t kNewestOpset = 28;

/// Reads a model file into a verified graph with inferred types: operators in their newest form,
/// functions inlined, sub-graphs closed. External data are mapped from beneath the file's folder.
/// @throws Error Io when a file cannot be read, InvalidModel when it breaks the format, Unsupported
/// for operators, opsets and types that naru does not have.
Graph load_onnx(const std::filesystem::path& path);

/// As above, from memory; `directory` holds the external data, none are allowed when it is empty.
Graph load_onnx(std::span<const std::byte> bytes, const std::filesystem::path& directory = {});

/// Reads a serialised TensorProto, SequenceProto or OptionalProto.
/// @throws Error InvalidModel when the bytes are not one of `kind`.
Datum load_onnx_value(std::span<const std::byte> bytes, Datum::Kind kind);

}  // namespace naru
