// Shared memory: memfd segments, a first-fit arena over them, guarded buffers.
#include "backends/plugin/memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "graph/checked.h"
#include "graph/fail.h"

namespace naru::plugin {
namespace {

constexpr std::byte kGuard{0xA7};
constexpr std::int64_t kSegmentBytes = INT64_C(64) << 20;

}  // namespace

SharedMemory::SharedMemory(std::int64_t size_bytes) : size_bytes_(std::max<std::int64_t>(size_bytes, 1)) {
  descriptor_ = memfd_create("naru", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (descriptor_ < 0 || ftruncate(descriptor_, size_bytes_) != 0) {
    if (descriptor_ >= 0) ::close(descriptor_);
    fail(ErrorCode::OutOfMemory, "shared memory: the host refused {} bytes", size_bytes);
  }
  // A worker that shrank it would make the host fault.
  fcntl(descriptor_, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
  map();
}

SharedMemory::SharedMemory(int descriptor, std::int64_t size_bytes) : descriptor_(descriptor), size_bytes_(size_bytes) {
  struct stat status {};
  if (size_bytes <= 0 || fstat(descriptor, &status) != 0 || status.st_size < size_bytes) {
    ::close(descriptor_);
    fail(ErrorCode::Device, "shared memory: got {} bytes, expected {}", status.st_size, size_bytes);
  }
  map();
}

void SharedMemory::map() {
  void* memory = mmap(nullptr, static_cast<std::size_t>(size_bytes_), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor_, 0);
  if (memory == MAP_FAILED) {
    ::close(descriptor_);
    fail(ErrorCode::OutOfMemory, "shared memory: the host refused to map {} bytes", size_bytes_);
  }
  data_ = static_cast<std::byte*>(memory);
}

SharedMemory::~SharedMemory() {
  munmap(data_, static_cast<std::size_t>(size_bytes_));
  ::close(descriptor_);
}

std::int64_t Arena::padded(std::int64_t size_bytes) const {
  return (CheckedSize(size_bytes) + kGuardBytes).align_up(alignment_).value();
}

std::byte* Arena::take(Segment& segment, std::int64_t size) {
  for (auto it = segment.free.begin(); it != segment.free.end(); ++it) {
    const auto [offset, available] = *it;
    if (available < size) continue;
    segment.free.erase(it);
    if (available > size) segment.free[offset + size] = available - size;
    return segment.memory.data() + offset;
  }
  return nullptr;
}

std::byte* Arena::allocate(std::int64_t size_bytes) {
  const std::int64_t size = padded(size_bytes);
  const std::lock_guard lock(mutex_);
  for (Segment& segment : segments_) {
    if (std::byte* data = take(segment, size)) return data;
  }
  segments_.emplace_back(std::max(kSegmentBytes, CheckedSize(size).align_up(4096).value()));
  return take(segments_.back(), size);
}

void Arena::release(std::byte* data, std::int64_t size_bytes) noexcept {
  const std::int64_t size = padded(size_bytes);
  const std::lock_guard lock(mutex_);
  for (Segment& segment : segments_) {
    if (data < segment.memory.data() || data >= segment.memory.data() + segment.memory.size_bytes()) continue;
    auto it = segment.free.emplace(data - segment.memory.data(), size).first;
    if (const auto next = std::next(it); next != segment.free.end() && it->first + it->second == next->first) {
      it->second += next->second;
      segment.free.erase(next);
    }
    if (it == segment.free.begin()) return;
    if (const auto before = std::prev(it); before->first + before->second == it->first) {
      before->second += it->second;
      segment.free.erase(it);
    }
    return;
  }
}

Place Arena::find(const std::byte* data) const {
  const std::lock_guard lock(mutex_);
  std::uint32_t index = 0;
  for (const Segment& segment : segments_) {
    const std::byte* first = segment.memory.data();
    if (data >= first && data <= first + segment.memory.size_bytes()) return {index, data - first};
    ++index;
  }
  fail(ErrorCode::InvalidArgument, "plug-in: a buffer is not one of the device's own");
}

std::size_t Arena::segment_count() const {
  const std::lock_guard lock(mutex_);
  return segments_.size();
}

const SharedMemory& Arena::segment(std::size_t index) const {
  const std::lock_guard lock(mutex_);
  return std::next(segments_.begin(), static_cast<std::ptrdiff_t>(index))->memory;
}

SharedBuffer::SharedBuffer(std::shared_ptr<Arena> arena, std::int64_t size_bytes)
    : arena_(std::move(arena)), size_bytes_(size_bytes), data_(arena_->allocate(size_bytes)) {
  std::memset(data_ + size_bytes_, std::to_integer<int>(kGuard), kGuardBytes);
}

SharedBuffer::~SharedBuffer() { arena_->release(data_, size_bytes_); }

bool SharedBuffer::guard_intact() const {
  const std::byte* guard = data_ + size_bytes_;
  return std::all_of(guard, guard + kGuardBytes, [](std::byte b) { return b == kGuard; });
}

}  // namespace naru::plugin
