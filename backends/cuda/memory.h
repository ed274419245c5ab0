// Pool: device memory in the order of one stream. Staging: copies through page-locked memory.
#pragma once

#include <memory>
#include <mutex>

#include "backends/cuda/context.h"
#include "backends/generated/kernel_device.h"

namespace naru::cuda {

/// The address of a location.
inline DevicePointer address_of(const generated::Location& location) {
  return static_cast<DevicePointer>(location.memory) + static_cast<DevicePointer>(location.offset_bytes);
}

/// Memory from the driver's stream-ordered allocator, which keeps what is freed for the next request;
/// from its plain one on devices that lack that. Thread-safe.
class Pool : public std::enable_shared_from_this<Pool> {
 public:
  Pool(ContextPtr context, bool ordered);

  /// @throws Error OutOfMemory with the numbers.
  generated::Memory allocate(std::int64_t size_bytes);

 private:
  Status take(DevicePointer& address, std::size_t size_bytes);
  Status try_take(DevicePointer& address, std::size_t size_bytes);
  void give_back(DevicePointer address) noexcept;

  ContextPtr context_;
  std::mutex mutex_;
  Stream stream_;     ///< the order of allocations; no work runs on it
  DevicePool pool_;   ///< none: plain allocation
};

/// Copies between pageable host memory and the device: one part is copied by the host while another
/// is on its way. Returns when all is there. Thread-safe, one copy at a time.
class Staging {
 public:
  explicit Staging(ContextPtr context);
  void write(DevicePointer to, const std::byte* from, std::int64_t size_bytes);
  void read(DevicePointer from, std::byte* to, std::int64_t size_bytes);

 private:
  struct Slot {
    HostMemory memory;
    TimingEvent free;
    std::byte* data() const { return static_cast<std::byte*>(memory.get()); }
  };
  void finish();

  ContextPtr context_;
  std::mutex mutex_;
  Stream stream_;
  Slot slots_[2];
};

}  // namespace naru::cuda
