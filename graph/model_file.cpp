// Opening and mapping of model files; files named by a model stay beneath its folder.
#include "graph/model_file.h"

#include <cerrno>
#include <cstring>
#include <system_error>

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "graph/fail.h"
#include "graph/limits.h"

namespace naru {
namespace {

// O_NONBLOCK: opening a FIFO must not wait for a writer.
constexpr int kOpenFlags = O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY;

std::string reason(int error) { return std::generic_category().message(error); }

/// True when no component is empty, "." or ".." and none can hide another name.
bool stays_beneath(std::string_view name) {
  if (name.empty() || name.size() > 4096) return false;
  if (name.find('\0') != std::string_view::npos || name.find('\\') != std::string_view::npos)
    return false;
  while (true) {
    const std::size_t slash = name.find('/');
    const std::string_view component = name.substr(0, slash);
    if (component.empty() || component == "..") return false;
    if (slash == std::string_view::npos) return true;
    name.remove_prefix(slash + 1);
  }
}

/// What openat2(RESOLVE_BENEATH, ...) does, for kernels and sandboxes without it: each component is
/// opened from the one before, and a symbolic link is never followed.
int walk_beneath(int directory, const std::string& name) {
  FileHandle parent;
  int at = directory;
  std::size_t start = 0;
  while (true) {
    const std::size_t slash = name.find('/', start);
    const std::string component = name.substr(start, slash - start);
    if (slash == std::string::npos) return ::openat(at, component.c_str(), kOpenFlags | O_NOFOLLOW);
    parent =
        FileHandle(::openat(at, component.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!parent.valid()) return -1;
    at = parent.get();
    start = slash + 1;
  }
}

int open_beneath(int directory, const std::string& name) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(kOpenFlags);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  const long result = ::syscall(SYS_openat2, directory, name.c_str(), &how, sizeof how);
  if (result >= 0 || (errno != ENOSYS && errno != EPERM)) return static_cast<int>(result);
  return walk_beneath(directory, name);
}

}  // namespace

FileHandle& FileHandle::operator=(FileHandle&& other) noexcept {
  if (this != &other) {
    reset();
    descriptor_ = other.release();
  }
  return *this;
}

int FileHandle::release() noexcept {
  const int descriptor = descriptor_;
  descriptor_ = -1;
  return descriptor;
}

void FileHandle::reset() noexcept {
  if (valid()) ::close(release());
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<void*>(data_), size_);
}

/// Maps an open regular file; `label` names it in messages.
std::shared_ptr<const MappedFile> map_file(const FileHandle& handle, const std::string& label) {
  struct stat status{};
  if (::fstat(handle.get(), &status) != 0) {
    fail(ErrorCode::Io, "file {}: {}", label, reason(errno));
  }
  if (!S_ISREG(status.st_mode)) fail(ErrorCode::Io, "file {}: got no regular file", label);
  if (status.st_size > kLimits.max_model_bytes) {
    fail(ErrorCode::InvalidModel, "file {}: got {} bytes, expected at most {}", label,
         status.st_size, kLimits.max_model_bytes);
  }
  std::shared_ptr<MappedFile> file(new MappedFile);
  if (status.st_size == 0) return file;  // mmap refuses a length of 0
  const auto size = static_cast<std::size_t>(status.st_size);
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, handle.get(), 0);
  if (data == MAP_FAILED)
    fail(ErrorCode::Io, "file {}: cannot be mapped: {}", label, reason(errno));
  file->data_ = data;
  file->size_ = size;
  return file;
}

ModelDirectory::ModelDirectory(const std::filesystem::path& directory)
    : handle_(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)) {
  if (!handle_.valid()) {
    fail(ErrorCode::Io, "folder {}: {}", quote_name(directory.native()), reason(errno));
  }
}

std::shared_ptr<const MappedFile> ModelDirectory::open(std::string_view name) {
  if (const auto found = files_.find(name); found != files_.end()) return found->second;
  const std::string label = quote_name(name);
  if (!stays_beneath(name)) {
    fail(ErrorCode::InvalidModel,
         "external data: got the file name {}, expected one beneath the "
         "folder of the model",
         label);
  }
  if (static_cast<std::int64_t>(files_.size()) >= kLimits.max_external_files) {
    fail(ErrorCode::InvalidModel, "external data: got over {} files", kLimits.max_external_files);
  }
  const FileHandle handle(open_beneath(handle_.get(), std::string(name)));
  if (!handle.valid()) {
    const int error = errno;
    const bool refused = error == EXDEV || error == ELOOP || error == ENXIO || error == ENOTDIR ||
                         error == ENAMETOOLONG;
    fail(refused ? ErrorCode::InvalidModel : ErrorCode::Io, "external data {}: {}", label,
         refused ? "it passes a link, leaves the folder of the model or is no regular file"
                 : reason(error));
  }
  struct stat status{};
  if (::fstat(handle.get(), &status) == 0 && !S_ISREG(status.st_mode)) {
    fail(ErrorCode::InvalidModel, "external data {}: got no regular file", label);
  }
  auto file = map_file(handle, label);
  files_.emplace(name, file);
  return file;
}

ModelFile open_model_file(const std::filesystem::path& path) {
  const std::string label = quote_name(path.native());
  std::error_code error;
  const std::filesystem::path real = std::filesystem::canonical(path, error);
  if (error) fail(ErrorCode::Io, "file {}: {}", label, error.message());
  const FileHandle handle(::open(real.c_str(), kOpenFlags));
  if (!handle.valid()) fail(ErrorCode::Io, "file {}: {}", label, reason(errno));
  return {map_file(handle, label), ModelDirectory(real.parent_path())};
}

std::string quote_name(std::string_view name) {
  constexpr std::size_t kLongest = 160;
  std::string text = "'";
  for (const char c : name.substr(0, kLongest)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f)
      text += fmt::format("\\x{:02x}", byte);
    else
      text += c;
  }
  if (name.size() > kLongest) text += "...";
  return text + "'";
}

}  // namespace naru
