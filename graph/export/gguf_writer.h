// Writes GGUF files, version 3, tensor by tensor.
#pragma once

#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graph/atomic_file.h"
#include "graph/import/gguf.h"

namespace naru {

/// Key-values and declarations first, then the tensors' bytes in the order of their declarations.
/// The file appears under its name with commit(), complete or not at all.
class GgufWriter {
 public:
  /// @throws Error Io when the folder cannot be written.
  explicit GgufWriter(const std::filesystem::path& path) : file_(path) {}

  void add(std::string_view key, std::string_view value);
  void add(std::string_view key, std::uint32_t value);
  void add(std::string_view key, float value);
  void add(std::string_view key, bool value);
  void add(std::string_view key, std::span<const std::string> values);
  void add(std::string_view key, std::span<const std::int32_t> values);
  /// An entry as another file has it.
  void add(const GgufEntry& entry);

  /// @throws Error Unsupported for an element type that the format lacks.
  void declare(std::string_view name, DType dtype, const Shape& shape);

  /// The next bytes of the data: all of the first tensor, then of the second, and so on, in parts
  /// of any size that do not reach into the next tensor. @throws Error Io.
  void write(std::span<const std::byte> bytes);
  /// @throws Error Io; Internal unless all that was declared has been written.
  void commit();

  /// Bytes of all tensors that are declared.
  std::int64_t data_bytes() const { return data_bytes_; }

 private:
  void begin_entry(std::string_view key, GgufKind kind);
  void put(std::string& to, const void* bytes, std::size_t size) { to.append(static_cast<const char*>(bytes), size); }
  template <typename T>
  void put_number(std::string& to, T value) { put(to, &value, sizeof value); }
  void put_text(std::string& to, std::string_view text);
  void write_head();

  AtomicFile file_;
  std::string entries_, infos_;
  std::uint64_t entry_count_ = 0;
  std::vector<std::int64_t> sizes_;
  std::int64_t data_bytes_ = 0;
  std::size_t current_ = 0;   // the tensor that is written
  std::int64_t written_ = 0;  // of it
  bool head_written_ = false;
};

}  // namespace naru
