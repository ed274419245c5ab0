// Safetensors files: named tensors behind a JSON header.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "naru/tensor.h"

namespace naru {

struct NamedTensor {
  std::string name;
  Tensor data;  ///< lies in the file, unless that is not aligned for its elements
};

/// Reads a file from memory, which `owner` keeps alive.
/// @throws Error InvalidModel, or Unsupported for element types that naru lacks.
std::vector<NamedTensor> read_safetensors(std::span<const std::byte> bytes,
                                          std::shared_ptr<const void> owner);

/// Maps a file and reads it.
std::vector<NamedTensor> load_safetensors(const std::filesystem::path& path);

}  // namespace naru
