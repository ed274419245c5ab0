// Runner: the context, the queue and the kernels of a device; calls and copies that never wait for ever.
#pragma once

#include <map>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "backends/generated/kernel_device.h"
#include "backends/opencl/built_in/program.h"
#include "backends/opencl/memory.h"

namespace naru::opencl {

/// A range of device memory as an object that kernels take.
Memory range_of(const generated::Location& location, std::int64_t size_bytes);

/// A buffer of the device.
class ClBuffer final : public Buffer {
 public:
  ClBuffer(generated::Memory memory, std::int64_t size_bytes) : memory_(std::move(memory)), size_bytes_(size_bytes) {}
  std::int64_t size_bytes() const override { return size_bytes_; }
  std::byte* host_data() override { return nullptr; }
  generated::Location at(std::int64_t offset_bytes) const { return {memory_->memory, memory_->offset_bytes + offset_bytes}; }

 private:
  generated::Memory memory_;
  std::int64_t size_bytes_;
};

/// The device does not answer: no command ended within the limit. What it was given may still be in its hands.
struct Hung : Error {
  using Error::Error;
};

/// Thread-safe.
class Runner {
 public:
  /// Creates all kernels that the profile names and the device has.
  Runner(const Profile& device, const DeviceProfile& profile);

  generated::Memory allocate(std::int64_t size_bytes) { return pool_->allocate(size_bytes); }
  void write(const generated::Location& to, const std::byte* from, std::int64_t size_bytes);
  void read(const generated::Location& from, std::byte* to, std::int64_t size_bytes);

  /// True when the device has a built-in kernel of this name.
  bool has_kernel(const std::string& name) const { return kernels_.count(name) != 0; }
  /// Makes the calls in their order and waits for the last. `blocks` has an object per block. When not null,
  /// `spans` gets an entry per call, in the device's own time, from the moment the first was queued.
  void run(const CallProgram& program, std::span<const cl_mem> blocks, std::vector<generated::LaunchSpan>* spans);

 private:
  EventHandle enqueue(const KernelCall& call, std::span<const cl_mem> blocks);
  void copy(const generated::Location& location, std::byte* to, const std::byte* from, std::int64_t size_bytes);
  void wait(std::span<const EventHandle> events) const;

  std::int64_t time_limit_ms_;
  Context context_;
  std::shared_ptr<Pool> pool_;
  Queue queue_;
  ProgramHandle program_;
  std::map<std::string, KernelHandle> kernels_;
  std::mutex mutex_;  // arguments belong to kernel objects
};

}  // namespace naru::opencl
