// Pool and Staging.
#include "backends/cuda/memory.h"

#include <algorithm>
#include <cstring>

#include "graph/fail.h"

namespace naru::cuda {
namespace {

constexpr std::int64_t kSlotBytes = INT64_C(4) << 20;

DevicePool make_pool(const ContextPtr& context) {
  PoolProperties properties{};
  properties.allocation = kAllocationPinned;
  properties.location_kind = kLocationDevice;
  properties.location = context->ordinal();
  PoolHandle pool = nullptr;
  context->check(api().MemPoolCreate(&pool, &properties), "creating a memory pool");
  DevicePool owned(context, pool);
  std::uint64_t keep_all = UINT64_MAX;
  context->check(api().MemPoolSetAttribute(pool, kPoolReleaseThreshold, &keep_all), "configuring a memory pool");
  return owned;
}

}  // namespace

Pool::Pool(ContextPtr context, bool ordered) : context_(std::move(context)) {
  const Context::Current current = context_->enter();
  stream_ = make_stream(context_);
  if (ordered) pool_ = make_pool(context_);
}

Status Pool::try_take(DevicePointer& address, std::size_t size_bytes) {
  if (!pool_) return api().MemAlloc(&address, size_bytes);
  const Status status = api().MemAllocFromPoolAsync(&address, size_bytes, pool_.get(), stream_.get());
  // Other streams may use the memory once this one has come to it.
  return status == kSuccess ? api().StreamSynchronize(stream_.get()) : status;
}

/// The pool may hold what others of this process need, or in pieces that are too small.
Status Pool::take(DevicePointer& address, std::size_t size_bytes) {
  const Status status = try_take(address, size_bytes);
  if (status != kOutOfMemory || !pool_) return status;
  api().StreamSynchronize(stream_.get());
  api().MemPoolTrimTo(pool_.get(), 0);
  return try_take(address, size_bytes);
}

generated::Memory Pool::allocate(std::int64_t size_bytes) {
  const Context::Current current = context_->enter();
  const std::lock_guard lock(mutex_);
  DevicePointer address = 0;
  const Status status = take(address, static_cast<std::size_t>(std::max<std::int64_t>(size_bytes, 1)));
  if (status == kOutOfMemory) {
    std::size_t free = 0;
    std::size_t total = 0;
    api().MemGetInfo(&free, &total);
    fail(ErrorCode::OutOfMemory, "cuda:{}: got a request for {} bytes, {} of {} are free", context_->ordinal(), size_bytes, free, total);
  }
  context_->check(status, "allocating memory");
  return {new generated::Location{static_cast<std::uintptr_t>(address), 0}, [self = shared_from_this()](const generated::Location* location) {
            self->give_back(address_of(*location));
            delete location;
          }};
}

// All work that used the memory has been waited for, so that the order of this stream is order enough.
void Pool::give_back(DevicePointer address) noexcept {
  const Context::Current current(*context_);
  if (!current) return;
  const std::lock_guard lock(mutex_);
  if (pool_) {
    api().MemFreeAsync(address, stream_.get());
  } else {
    api().MemFree(address);
  }
}

Staging::Staging(ContextPtr context) : context_(std::move(context)) {
  const Context::Current current = context_->enter();
  stream_ = make_stream(context_);
  for (Slot& slot : slots_) slot = {make_host_memory(context_, kSlotBytes), make_event(context_)};
}

void Staging::finish() { context_->check(api().StreamSynchronize(stream_.get()), "copying"); }

void Staging::write(DevicePointer to, const std::byte* from, std::int64_t size_bytes) {
  const Context::Current current = context_->enter();
  const std::lock_guard lock(mutex_);
  int turn = 0;
  for (std::int64_t at = 0; at < size_bytes; at += kSlotBytes, turn = 1 - turn) {
    const Slot& slot = slots_[turn];
    const auto count = static_cast<std::size_t>(std::min(kSlotBytes, size_bytes - at));
    context_->check(api().EventSynchronize(slot.free.get()), "copying to the device");
    std::memcpy(slot.data(), from + at, count);
    context_->check(api().MemcpyHtoDAsync(to + static_cast<DevicePointer>(at), slot.data(), count, stream_.get()), "copying to the device");
    context_->check(api().EventRecord(slot.free.get(), stream_.get()), "copying to the device");
  }
  finish();
}

void Staging::read(DevicePointer from, std::byte* to, std::int64_t size_bytes) {
  const Context::Current current = context_->enter();
  const std::lock_guard lock(mutex_);
  const auto fetch = [&](std::int64_t at, const Slot& slot) {
    const auto count = static_cast<std::size_t>(std::min(kSlotBytes, size_bytes - at));
    context_->check(api().MemcpyDtoHAsync(slot.data(), from + static_cast<DevicePointer>(at), count, stream_.get()), "copying from the device");
    context_->check(api().EventRecord(slot.free.get(), stream_.get()), "copying from the device");
  };
  if (size_bytes > 0) fetch(0, slots_[0]);
  int turn = 0;
  for (std::int64_t at = 0; at < size_bytes; at += kSlotBytes, turn = 1 - turn) {
    if (at + kSlotBytes < size_bytes) fetch(at + kSlotBytes, slots_[1 - turn]);
    context_->check(api().EventSynchronize(slots_[turn].free.get()), "copying from the device");
    std::memcpy(to + at, slots_[turn].data(), static_cast<std::size_t>(std::min(kSlotBytes, size_bytes - at)));
  }
  finish();
}

}  // namespace naru::cuda
