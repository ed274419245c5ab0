// Temporary file, fsync, rename, fsync of the folder.
#include "graph/atomic_file.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <system_error>

#include <fcntl.h>
#include <unistd.h>

#include "graph/fail.h"

namespace naru {
namespace {

std::filesystem::path folder_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

/// A name that no other writer of this process or machine uses at the moment.
std::filesystem::path temporary_name(const std::filesystem::path& path) {
  static std::atomic<std::uint64_t> counter{0};
  return folder_of(path) / fmt::format(".{}.{}.{}.tmp", path.filename().native().substr(0, 200),
                                       ::getpid(), counter++);
}

/// The new name must reach the disk as well. Some file systems cannot sync folders; that is no
/// error.
void sync_folder(const std::filesystem::path& folder) noexcept {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return;
  ::fsync(descriptor);
  ::close(descriptor);
}

}  // namespace

AtomicFile::AtomicFile(std::filesystem::path path) : path_(std::move(path)) {
  if (!path_.has_filename()) fail(ErrorCode::Io, "file '{}': got no file name", path_.native());
  // A left-over of a killed process may have the same number; another counter value solves that.
  for (int attempt = 0; attempt < 100 && descriptor_ < 0; ++attempt) {
    temporary_ = temporary_name(path_);
    descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor_ < 0 && errno != EEXIST) break;
  }
  if (descriptor_ < 0) fail_io("create", errno);
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::fail_io(const char* what, int error) const {
  fail(ErrorCode::Io, "file '{}': could not {} it: {}", path_.native(), what,
       std::generic_category().message(error));
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  constexpr std::size_t kLargestWrite = std::size_t{1} << 30;  // Linux stops at 2 GiB a call
  while (!bytes.empty()) {
    const ssize_t written =
        ::write(descriptor_, bytes.data(), std::min(bytes.size(), kLargestWrite));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) fail_io("write", written < 0 ? errno : EIO);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

void AtomicFile::write(const std::string& text) { write(std::as_bytes(std::span(text))); }

void AtomicFile::commit() {
  if (::fsync(descriptor_) != 0) fail_io("write", errno);
  const int closed = ::close(std::exchange(descriptor_, -1));
  if (closed != 0) fail_io("write", errno);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail_io("replace", errno);
  temporary_.clear();
  sync_folder(folder_of(path_));
}

}  // namespace naru
