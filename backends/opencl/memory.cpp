// Pool: first fit within slabs, new slabs on demand.
#include "backends/opencl/memory.h"

#include <algorithm>

#include "graph/checked.h"

namespace naru::opencl {
namespace {

constexpr std::int64_t kAlignment = 256;
constexpr std::int64_t kSlabBytes = INT64_C(16) << 20;

}  // namespace

generated::Memory Pool::allocate(std::int64_t size_bytes) {
  const std::int64_t size = CheckedSize(std::max<std::int64_t>(size_bytes, 1)).align_up(kAlignment).value();
  const std::lock_guard lock(mutex_);
  const auto hand_out = [&](Location location) {
    auto self = shared_from_this();
    return generated::Memory(new Location(location), [self, size](const Location* l) {
      self->give_back(*l, size);
      delete l;
    });
  };
  for (auto& [memory, slab] : slabs_) {
    for (auto range = slab.free.begin(); range != slab.free.end(); ++range) {
      if (range->second < size) continue;
      const auto [offset, free] = *range;
      slab.free.erase(range);
      if (free > size) slab.free[offset + size] = free - size;
      return hand_out(location_in(memory, offset));
    }
  }
  const std::int64_t bytes = std::max(size, std::min(kSlabBytes, max_slab_bytes_));
  if (bytes > max_slab_bytes_) {
    fail(ErrorCode::OutOfMemory, "opencl: got a request for {} bytes, the device's largest buffer is {}", size_bytes, max_slab_bytes_);
  }
  cl_int status = CL_SUCCESS;
  Slab slab{Memory(api().CreateBuffer(context_, CL_MEM_READ_WRITE, static_cast<std::size_t>(bytes), nullptr, &status)), bytes, {}};
  check(status, "allocating a buffer");
  if (bytes > size) slab.free[size] = bytes - size;
  const cl_mem memory = slab.memory.get();
  slabs_.emplace(memory, std::move(slab));
  return hand_out(location_in(memory, 0));
}

void Pool::give_back(const Location& location, std::int64_t size_bytes) noexcept {
  const std::lock_guard lock(mutex_);
  const auto found = slabs_.find(object_of(location));
  if (found == slabs_.end()) return;
  Slab& slab = found->second;
  auto [range, added] = slab.free.emplace(location.offset_bytes, size_bytes);
  const auto next = std::next(range);
  if (next != slab.free.end() && range->first + range->second == next->first) {
    range->second += next->second;
    slab.free.erase(next);
  }
  if (range != slab.free.begin()) {
    const auto before = std::prev(range);
    if (before->first + before->second == range->first) {
      before->second += range->second;
      slab.free.erase(range);
      range = before;
    }
  }
  // A slab of its own for one large buffer goes with it.
  if (range->second == slab.size_bytes && slab.size_bytes > kSlabBytes) slabs_.erase(found);
}

}  // namespace naru::opencl
