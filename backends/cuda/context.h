// Context: a device's primary context, its fence after a fault, and owners of driver objects.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "backends/cuda/api.h"

namespace naru::cuda {

/// Thread-safe. After a sticky error the driver answers every call of the context with it: the fence
/// goes up, all further work here is refused with the first cause, and nothing is called any more.
class Context {
 public:
  explicit Context(int ordinal);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  int ordinal() const { return ordinal_; }
  bool fenced() const noexcept;

  /// Makes the context the calling thread's for a scope.
  class Current {
   public:
    explicit Current(const Context& context);
    ~Current();
    Current(const Current&) = delete;
    Current& operator=(const Current&) = delete;
    explicit operator bool() const { return pushed_; }

   private:
    bool pushed_;
  };
  /// @throws Error Device when the fence is up.
  Current enter() const;

  /// Like cuda::check(), and raises the fence on a sticky status.
  void check(Status status, const char* what) const;

 private:
  void raise_fence(Status status, const char* what) const;

  int ordinal_;
  Ordinal device_ = 0;
  ContextHandle handle_ = nullptr;
  mutable std::atomic<bool> fenced_ = false;
  mutable std::mutex mutex_;
  mutable std::string cause_;
};
using ContextPtr = std::shared_ptr<const Context>;

/// Owns one object of a context; `Release` is the member of Api that lets go of it.
template <typename T, auto Release>
class Owned {
 public:
  Owned() = default;
  Owned(ContextPtr context, T value) : context_(std::move(context)), value_(value) {}
  ~Owned() { reset(); }
  Owned(Owned&& other) noexcept : context_(std::move(other.context_)), value_(std::exchange(other.value_, T{})) {}
  Owned& operator=(Owned&& other) noexcept {
    if (this != &other) {
      reset();
      context_ = std::move(other.context_);
      value_ = std::exchange(other.value_, T{});
    }
    return *this;
  }
  T get() const { return value_; }
  explicit operator bool() const { return value_ != T{}; }

 private:
  /// Objects of a fenced context are the driver's to clean up.
  void reset() noexcept {
    if (value_ == T{}) return;
    if (const Context::Current current(*context_); current) (api().*Release)(value_);
    value_ = T{};
  }
  ContextPtr context_;
  T value_ = {};
};

using Stream = Owned<StreamHandle, &Api::StreamDestroy>;
using TimingEvent = Owned<EventHandle, &Api::EventDestroy>;
using Module = Owned<ModuleHandle, &Api::ModuleUnload>;
using Graph = Owned<GraphHandle, &Api::GraphDestroy>;
using GraphProgram = Owned<GraphExec, &Api::GraphExecDestroy>;
using HostMemory = Owned<void*, &Api::MemFreeHost>;
using DevicePool = Owned<PoolHandle, &Api::MemPoolDestroy>;

Stream make_stream(const ContextPtr& context);
TimingEvent make_event(const ContextPtr& context);
/// Page-locked memory that the device sees as well.
HostMemory make_host_memory(const ContextPtr& context, std::size_t size_bytes);

}  // namespace naru::cuda
