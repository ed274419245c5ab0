// Memory: a pool of slabs that device buffers are cut from.
#pragma once

#include <map>
#include <memory>
#include <mutex>

#include "backends/backend.h"
#include "backends/opencl/api.h"

namespace naru::opencl {

/// Where an operand lies: an offset into a memory object.
struct Location {
  cl_mem memory = nullptr;
  std::int64_t offset_bytes = 0;
};

/// Device memory in slabs. Kernels take an offset with every buffer, so that ranges of a slab need no
/// objects of their own and no alignment beyond their elements'. Thread-safe.
class Pool : public std::enable_shared_from_this<Pool> {
 public:
  Pool(cl_context context, std::int64_t max_slab_bytes) : context_(context), max_slab_bytes_(max_slab_bytes) {}

  /// A range that goes back to the pool when its last owner lets go.
  /// @throws Error OutOfMemory with the numbers.
  std::shared_ptr<const Location> allocate(std::int64_t size_bytes);

 private:
  struct Slab {
    Memory memory;
    std::int64_t size_bytes = 0;
    std::map<std::int64_t, std::int64_t> free;  ///< offset -> size, neighbours merged
  };
  void give_back(const Location& location, std::int64_t size_bytes) noexcept;

  cl_context context_;
  std::int64_t max_slab_bytes_;
  std::mutex mutex_;
  std::map<cl_mem, Slab> slabs_;
};

/// A buffer of the pool.
class PoolBuffer final : public Buffer {
 public:
  PoolBuffer(std::shared_ptr<const Location> location, std::int64_t size_bytes)
      : location_(std::move(location)), size_bytes_(size_bytes) {}
  std::int64_t size_bytes() const override { return size_bytes_; }
  std::byte* host_data() override { return nullptr; }
  const Location& location() const { return *location_; }

 private:
  std::shared_ptr<const Location> location_;
  std::int64_t size_bytes_;
};

}  // namespace naru::opencl
