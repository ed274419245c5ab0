// A file that appears under its name complete or not at all.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

namespace naru {

/// Writes to a temporary file in the folder of `path`. commit() brings it to the disk and renames
/// it; without commit() the destructor removes it and `path` stays as it was.
class AtomicFile {
 public:
  /// @throws Error Io when the folder cannot be written.
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  /// @throws Error Io, for example when the disk is full.
  void write(std::span<const std::byte> bytes);
  void write(const std::string& text);
  void commit();

 private:
  [[noreturn]] void fail_io(const char* what, int error) const;

  std::filesystem::path path_;
  std::filesystem::path temporary_;
  int descriptor_ = -1;
};

}  // namespace naru
