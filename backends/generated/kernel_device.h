// KernelDevice: what a device offers so that programs of generated kernels run on it.
//
// Memory, compiled kernels and sequences of launches; everything else about such a device (placement,
// memory plans, constants, workers, the program cache) is the same for all and stands in this folder.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "backends/backend.h"
#include "compiler/kernel/program.h"
#include "compiler/kernel/target.h"

namespace naru::generated {

/// Where an operand lies: an offset into memory that only the device can name.
struct Location {
  std::uintptr_t memory = 0;
  std::int64_t offset_bytes = 0;
  /// The memory's name lasts for one run only; a later one may have the same.
  bool transient = false;
};

/// Goes back to the device with its last owner.
using Memory = std::shared_ptr<const Location>;

/// A kernel's compiled program, as its device holds it, and the kernel's name there.
struct BuiltKernel {
  std::shared_ptr<const void> program;
  std::string symbol;
};

/// When one launch ran: nanoseconds of std::chrono::steady_clock.
struct LaunchSpan {
  std::int64_t start_ns = 0;
  std::int64_t end_ns = 0;
};

/// A list of launches, bound to one worker of the device. One run at a time.
class Sequence {
 public:
  virtual ~Sequence() = default;
  /// An i32 in memory that kernels write. Once it was asked for, run() clears it first and reads it last.
  virtual Location status() = 0;
  /// Runs all launches in their order and returns the status when they are done. `operands` are given
  /// by launch and operand; `spans`, when not null, gets one entry per launch.
  virtual std::int32_t run(std::span<const Location> operands, std::vector<LaunchSpan>* spans) = 0;
};

/// How fast a device is, for estimates before anything was measured.
struct Rates {
  double flops_per_s = 0;
  double bytes_per_s = 0;
  double seconds_per_launch = 0;
};

/// The worker that serves copies of constants and their preparation; any thread may use it.
inline constexpr int kSetupWorker = -1;

/// Thread-safe, except that a worker's sequences run one at a time.
class KernelDevice {
 public:
  virtual ~KernelDevice() = default;
  virtual kernel::Target target() const = 0;
  virtual Rates rates() const = 0;
  /// True when wrap_host() works, so that host memory need not be copied.
  virtual bool host_memory() const = 0;
  /// True when a run that fails here may run again on another device.
  virtual bool dispensable() const { return false; }

  /// @throws Error OutOfMemory with the numbers.
  virtual Memory allocate(std::int64_t size_bytes) = 0;
  /// Device memory that is the host's.
  virtual Memory wrap_host(const std::byte* data, std::int64_t size_bytes) = 0;
  virtual void write(const Location& to, const std::byte* from, std::int64_t size_bytes) = 0;
  virtual void read(const Location& from, std::byte* to, std::int64_t size_bytes) = 0;

  /// Why kernels cannot be built here at all, or empty.
  virtual std::string build_obstacle() const { return {}; }
  /// Offers code that a model carries.
  virtual void add_code(std::span<const CodeBlob> code) = 0;
  /// Compiles what is missing.
  virtual std::vector<BuiltKernel> build(std::span<const kernel::Kernel* const> kernels) = 0;
  /// `launches` must outlive the sequence; `built` has one entry per launch.
  virtual std::unique_ptr<Sequence> sequence(std::vector<const kernel::Launch*> launches, std::vector<BuiltKernel> built,
                                             int worker) = 0;
};

/// A buffer in the memory of one KernelDevice.
class DeviceBuffer final : public Buffer {
 public:
  DeviceBuffer(const KernelDevice& owner, Memory memory, std::int64_t size_bytes)
      : owner_(owner), memory_(std::move(memory)), size_bytes_(size_bytes) {}
  std::int64_t size_bytes() const override { return size_bytes_; }
  std::byte* host_data() override { return nullptr; }
  bool belongs_to(const KernelDevice& device) const { return &owner_ == &device; }
  Location at(std::int64_t offset_bytes) const { return {memory_->memory, memory_->offset_bytes + offset_bytes}; }

 private:
  const KernelDevice& owner_;
  Memory memory_;
  std::int64_t size_bytes_;
};

}  // namespace naru::generated
