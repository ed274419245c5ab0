// NumPy files: .npy in and out, .npz in.
#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>

#include "naru/tensor.h"

namespace naru::io {

/// Reads one array from the bytes of a .npy file (format 1.0 to 3.0, little endian, C or Fortran
/// order). `name` is used in messages. @throws Error InvalidArgument for what it cannot read.
Tensor parse_npy(std::span<const std::byte> bytes, const std::string& name);

/// Reads a .npy file. @throws Error Io or InvalidArgument.
Tensor read_npy(const std::filesystem::path& path);

/// Reads all arrays of a .npz archive by name. @throws Error Io or InvalidArgument.
std::map<std::string, Tensor> read_npz(const std::filesystem::path& path);

/// Writes format 1.0. bf16 and 8-bit floats, which NumPy lacks, are written as f32; sub-byte
/// integers as i8 or u8. An existing file is replaced whole or not at all.
void write_npy(const std::filesystem::path& path, const Tensor& tensor);

/// Writes `bytes` to `path` through a temporary file and a rename.
void write_file(const std::filesystem::path& path, std::span<const std::byte> bytes);
std::string read_file(const std::filesystem::path& path);

}  // namespace naru::io
