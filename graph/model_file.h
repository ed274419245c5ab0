// The one opener of model files and of files that a model names: regular files only, mapped
// read-only.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace naru {

/// An owned file descriptor.
class FileHandle {
 public:
  FileHandle() = default;
  explicit FileHandle(int descriptor) : descriptor_(descriptor) {}
  FileHandle(FileHandle&& other) noexcept : descriptor_(other.release()) {}
  FileHandle& operator=(FileHandle&& other) noexcept;
  ~FileHandle() { reset(); }

  int get() const noexcept { return descriptor_; }
  bool valid() const noexcept { return descriptor_ >= 0; }

 private:
  int release() noexcept;
  void reset() noexcept;

  int descriptor_ = -1;
};

/// The bytes of a regular file. Share it to keep tensors that lie in it alive.
class MappedFile {
 public:
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  std::span<const std::byte> bytes() const noexcept {
    return {static_cast<const std::byte*>(data_), size_};
  }
  std::int64_t size_bytes() const noexcept { return static_cast<std::int64_t>(size_); }

 private:
  friend std::shared_ptr<const MappedFile> map_file(const FileHandle&, const std::string&);
  MappedFile() = default;

  const void* data_ = nullptr;
  std::size_t size_ = 0;
};

/// The folder beneath which a model may name further files. One thread at a time.
class ModelDirectory {
 public:
  /// @throws Error Io when there is no such folder.
  explicit ModelDirectory(const std::filesystem::path& directory);

  /// Opens the file that a model calls `name`, at most kLimits.max_external_files distinct ones.
  /// @throws Error InvalidModel for a name that is absolute, leaves the folder, passes a symbolic
  /// link or is no regular file; Io when it is missing or cannot be read.
  std::shared_ptr<const MappedFile> open(std::string_view name);

 private:
  FileHandle handle_;
  std::map<std::string, std::shared_ptr<const MappedFile>, std::less<>> files_;
};

/// A model file and the folder of its real path.
struct ModelFile {
  std::shared_ptr<const MappedFile> file;
  ModelDirectory directory;
};

/// Opens a model file that the caller names; symbolic links are followed.
/// @throws Error Io when it is missing, unreadable or no regular file; InvalidModel over the
/// limits.
ModelFile open_model_file(const std::filesystem::path& path);

/// `name` between quotes, cut short and with control characters escaped: for messages about names
/// that come from a file.
std::string quote_name(std::string_view name);

}  // namespace naru
