// Pool: slabs that device buffers are cut from.
#pragma once

#include <map>
#include <memory>
#include <mutex>

#include "backends/generated/kernel_device.h"
#include "backends/opencl/api.h"

namespace naru::opencl {

using generated::Location;

/// The object that a location is a range of.
inline cl_mem object_of(const Location& location) { return reinterpret_cast<cl_mem>(location.memory); }
inline Location location_in(cl_mem memory, std::int64_t offset_bytes) {
  return {reinterpret_cast<std::uintptr_t>(memory), offset_bytes};
}

/// Device memory in slabs. Kernels take an offset with every buffer, so that ranges of a slab need no
/// objects of their own and no alignment beyond their elements'. Thread-safe.
class Pool : public std::enable_shared_from_this<Pool> {
 public:
  Pool(cl_context context, std::int64_t max_slab_bytes) : context_(context), max_slab_bytes_(max_slab_bytes) {}

  /// A range that goes back to the pool when its last owner lets go.
  /// @throws Error OutOfMemory with the numbers.
  generated::Memory allocate(std::int64_t size_bytes);

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

}  // namespace naru::opencl
