// Memory that another process can map: fragments, and the arena that a worker's buffers lie in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <span>

#include "backends/backend.h"

namespace naru::plugin {

/// Anonymous memory behind a file descriptor.
class SharedMemory {
 public:
  /// New memory. @throws Error OutOfMemory.
  explicit SharedMemory(std::int64_t size_bytes);
  /// Maps what another process sent; takes the descriptor over. @throws Error Device.
  SharedMemory(int descriptor, std::int64_t size_bytes);
  ~SharedMemory();
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;

  int descriptor() const { return descriptor_; }
  std::byte* data() const { return data_; }
  std::int64_t size_bytes() const { return size_bytes_; }
  std::span<const std::byte> bytes() const { return {data_, static_cast<std::size_t>(size_bytes_)}; }

 private:
  void map();
  int descriptor_ = -1;
  std::byte* data_ = nullptr;
  std::int64_t size_bytes_ = 0;
};

/// Bytes written behind each buffer of an arena; a device that changes them wrote past its end.
inline constexpr std::int64_t kGuardBytes = 64;

/// Where a pointer into the arena lies.
struct Place {
  std::uint32_t segment = 0;
  std::int64_t offset = 0;
};

/// Buffers in shared segments. Thread-safe.
class Arena {
 public:
  explicit Arena(std::int64_t alignment) : alignment_(alignment) {}

  /// @throws Error OutOfMemory.
  std::byte* allocate(std::int64_t size_bytes);
  void release(std::byte* data, std::int64_t size_bytes) noexcept;
  /// @throws Error InvalidArgument for a pointer that is not in the arena.
  Place find(const std::byte* data) const;
  /// Segments so far; a segment stays as long as the arena.
  std::size_t segment_count() const;
  const SharedMemory& segment(std::size_t index) const;

 private:
  struct Segment {
    explicit Segment(std::int64_t size_bytes) : memory(size_bytes) { free[0] = size_bytes; }
    SharedMemory memory;
    std::map<std::int64_t, std::int64_t> free;  ///< offset -> size
  };
  std::int64_t padded(std::int64_t size_bytes) const;
  std::byte* take(Segment& segment, std::int64_t size_bytes);

  std::int64_t alignment_;
  mutable std::mutex mutex_;
  std::list<Segment> segments_;
};

/// A buffer of the arena with guard bytes behind it.
class SharedBuffer final : public Buffer {
 public:
  SharedBuffer(std::shared_ptr<Arena> arena, std::int64_t size_bytes);
  ~SharedBuffer() override;
  std::int64_t size_bytes() const override { return size_bytes_; }
  std::byte* host_data() override { return data_; }
  bool guard_intact() const;

 private:
  std::shared_ptr<Arena> arena_;
  std::int64_t size_bytes_;
  std::byte* data_;
};

}  // namespace naru::plugin
