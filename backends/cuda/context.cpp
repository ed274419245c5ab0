// Context: retaining, fencing, making objects.
#include "backends/cuda/context.h"

#include "graph/fail.h"

namespace naru::cuda {

Context::Context(int ordinal) : ordinal_(ordinal) {
  cuda::check(api().DeviceGet(&device_, ordinal), "opening a device");
  cuda::check(api().DevicePrimaryCtxRetain(&handle_, device_), "creating a context");
}

// A context that is beyond use stays retained: releasing it would reset it under the process's other users.
Context::~Context() {
  if (!fenced()) api().DevicePrimaryCtxRelease(device_);
}

bool Context::fenced() const noexcept { return fenced_.load(std::memory_order_acquire); }

Context::Current::Current(const Context& context) : pushed_(!context.fenced() && api().CtxPushCurrent(context.handle_) == kSuccess) {}

Context::Current::~Current() {
  ContextHandle popped = nullptr;
  if (pushed_) api().CtxPopCurrent(&popped);
}

Context::Current Context::enter() const {
  if (fenced()) {
    const std::lock_guard lock(mutex_);
    fail(ErrorCode::Device, "cuda:{}: fenced: {}; the process must be started again to use the device", ordinal_, cause_);
  }
  return Current(*this);
}

void Context::check(Status status, const char* what) const {
  if (is_sticky(status)) raise_fence(status, what);
  cuda::check(status, what);
}

void Context::raise_fence(Status status, const char* what) const {
  const std::lock_guard lock(mutex_);
  if (fenced()) return;
  cause_ = fmt::format("{} failed with {}", what, status_name(status));
  fenced_.store(true, std::memory_order_release);
}

Stream make_stream(const ContextPtr& context) {
  StreamHandle stream = nullptr;
  context->check(api().StreamCreate(&stream, kStreamNonBlocking), "creating a stream");
  return {context, stream};
}

TimingEvent make_event(const ContextPtr& context) {
  EventHandle event = nullptr;
  context->check(api().EventCreate(&event, 0), "creating an event");
  return {context, event};
}

HostMemory make_host_memory(const ContextPtr& context, std::size_t size_bytes) {
  void* memory = nullptr;
  context->check(api().MemHostAlloc(&memory, size_bytes, kHostMemoryPortable | kHostMemoryMapped), "allocating page-locked memory");
  return {context, memory};
}

}  // namespace naru::cuda
