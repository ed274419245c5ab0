// The objects behind OpenCL's handles. Each begins with the dispatch table through which the ICD loader calls.
#pragma once

#define CL_TARGET_OPENCL_VERSION 300
#define CL_USE_DEPRECATED_OPENCL_1_0_APIS
#define CL_USE_DEPRECATED_OPENCL_1_1_APIS
#define CL_USE_DEPRECATED_OPENCL_1_2_APIS
#define CL_USE_DEPRECATED_OPENCL_2_0_APIS
#define CL_USE_DEPRECATED_OPENCL_2_1_APIS
#define CL_USE_DEPRECATED_OPENCL_2_2_APIS
#include <CL/cl.h>
#include <CL/cl_icd.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "backends/npu_sim/device.h"

namespace npu::icd {

/// The table of all entry points; none is null.
const cl_icd_dispatch& dispatch();

/// What handles share. `Self::kMark` tells kinds apart, and live objects from most others.
template <typename Self>
struct Object {
  const cl_icd_dispatch* table = &dispatch();
  std::uint32_t mark = Self::kMark;
  std::atomic<cl_uint> references{1};
  ~Object() { mark = 0; }
};

template <typename T>
bool valid(const T* object) { return object != nullptr && object->mark == T::kMark; }

template <typename T>
void retain(T* object) { object->references.fetch_add(1, std::memory_order_relaxed); }
template <typename T>
void release(T* object) {
  if (object->references.fetch_sub(1, std::memory_order_acq_rel) == 1) delete object;
}

/// Holds a reference to an object for the driver itself.
template <typename T>
class Ref {
 public:
  Ref() = default;
  explicit Ref(T* object) : object_(object) {
    if (object_ != nullptr) retain(object_);
  }
  Ref(const Ref& other) : Ref(other.object_) {}
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Ref& operator=(Ref other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Ref() {
    if (object_ != nullptr) release(object_);
  }
  T* get() const { return object_; }
  T* operator->() const { return object_; }

 private:
  T* object_ = nullptr;
};

/// Answers a clGet...Info call: checks the size and writes what it is given.
class Answer {
 public:
  Answer(std::size_t size, void* value, std::size_t* needed) : size_(size), value_(value), needed_(needed) {}
  cl_int bytes(const void* data, std::size_t size) const;
  cl_int text(const std::string& text) const { return bytes(text.c_str(), text.size() + 1); }
  template <typename T>
  cl_int number(T value) const { return bytes(&value, sizeof(value)); }
  template <typename T>
  cl_int list(const std::vector<T>& values) const { return bytes(values.data(), values.size() * sizeof(T)); }

 private:
  std::size_t size_;
  void* value_;
  std::size_t* needed_;
};

/// Stores a status where clCreate... functions want it, and returns no object.
inline std::nullptr_t refuse(cl_int status, cl_int* to) {
  if (to != nullptr) *to = status;
  return nullptr;
}
/// Hands out a new object.
template <typename T>
T* hand_out(T* object, cl_int* status) {
  if (status != nullptr) *status = CL_SUCCESS;
  return object;
}

cl_platform_id platform();
cl_device_id device();
/// The names of all kernels, separated by ';'.
std::string kernel_names();
cl_int status_of(Status status);

class QueueThread;

}  // namespace npu::icd

struct _cl_platform_id {
  const cl_icd_dispatch* table = &npu::icd::dispatch();
};

struct _cl_device_id {
  const cl_icd_dispatch* table = &npu::icd::dispatch();
};

/// Each context opens the simulated device anew, with its own memory, clock and settings.
struct _cl_context : npu::icd::Object<_cl_context> {
  static constexpr std::uint32_t kMark = 0x4e505501;
  std::shared_ptr<npu::Device> device;
  std::vector<cl_context_properties> properties;
  /// The host's function for errors in words.
  void(CL_CALLBACK* notify)(const char*, const void*, std::size_t, void*) = nullptr;
  void* notify_data = nullptr;
};

struct _cl_mem : npu::icd::Object<_cl_mem> {
  static constexpr std::uint32_t kMark = 0x4e505502;
  using Callback = std::pair<void(CL_CALLBACK*)(cl_mem, void*), void*>;
  ~_cl_mem();

  std::byte* data() const { return block->bytes.get() + offset; }

  npu::icd::Ref<_cl_context> context;
  npu::icd::Ref<_cl_mem> parent;  ///< of a sub-buffer
  std::shared_ptr<npu::Block> block;
  cl_mem_flags flags = 0;
  std::size_t offset = 0;
  std::size_t size = 0;
  void* host_pointer = nullptr;

  std::mutex mutex;  // guards what follows
  std::vector<Callback> callbacks;
  /// A mapped range: the host's copy, and whether it goes back.
  struct Mapping {
    std::unique_ptr<std::byte[]> bytes;
    std::size_t offset, size;
    bool written;
  };
  std::multimap<void*, Mapping> mappings;
};

struct _cl_program : npu::icd::Object<_cl_program> {
  static constexpr std::uint32_t kMark = 0x4e505503;
  npu::icd::Ref<_cl_context> context;
  std::vector<const npu::Kernel*> kernels;
  std::string source;  ///< of a program that cannot be built here
};

struct _cl_kernel : npu::icd::Object<_cl_kernel> {
  static constexpr std::uint32_t kMark = 0x4e505504;
  /// What clSetKernelArg was given.
  struct Slot {
    bool set = false;
    npu::icd::Ref<_cl_mem> memory;
    npu::Argument scalar;
  };
  npu::icd::Ref<_cl_program> program;
  const npu::Kernel* kernel = nullptr;
  std::vector<Slot> slots;
};

struct _cl_event : npu::icd::Object<_cl_event> {
  static constexpr std::uint32_t kMark = 0x4e505505;
  using Callback = void(CL_CALLBACK*)(cl_event, cl_int, void*);

  /// CL_QUEUED down to CL_COMPLETE, or an error below zero.
  cl_int state() const;
  void set_state(cl_int state);
  /// Returns the last state.
  cl_int wait();
  void when(cl_int state, Callback callback, void* data);

  npu::icd::Ref<_cl_context> context;
  npu::icd::Ref<_cl_command_queue> queue;  ///< null for a user event
  cl_command_type command = 0;
  npu::Span span;              ///< simulated; written before the event is complete
  std::int64_t queued_ns = 0;  ///< simulated
  std::int64_t wall_ns = 0;    ///< what the machine that simulates took

 private:
  struct Waiting {
    cl_int state;
    Callback callback;
    void* data;
  };
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  cl_int state_ = CL_QUEUED;
  std::vector<Waiting> waiting_;
};

struct _cl_command_queue : npu::icd::Object<_cl_command_queue> {
  static constexpr std::uint32_t kMark = 0x4e505506;
  ~_cl_command_queue();
  npu::icd::Ref<_cl_context> context;
  cl_command_queue_properties properties = 0;
  std::shared_ptr<npu::icd::QueueThread> thread;
};

/// Images do not exist here, nor do their samplers.
struct _cl_sampler {
  const cl_icd_dispatch* table;
};
