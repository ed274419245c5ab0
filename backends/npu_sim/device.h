// Device: memory, launches, the simulated clock and faults of one NPU. Knows no driver interface: the OpenCL
// driver in icd/ is one personality over it.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>

#include "backends/npu_sim/kernel.h"
#include "backends/npu_sim/settings.h"

namespace npu {

enum class Status : std::uint8_t { Ok, BadArguments, OutOfMemory, TimedOut, Lost };

/// A range of device memory; goes back with its last owner. Hosts reach it through the device's copies.
struct Block {
  std::unique_ptr<std::byte[]> bytes;
  std::int64_t size_bytes = 0;
};

/// When a command ran on the simulated clock, and what it took.
struct Span {
  std::int64_t start_ns = 0;
  std::int64_t end_ns = 0;
  std::int64_t picojoules = 0;
};

/// What a device did since it was opened.
struct Counters {
  std::int64_t kernels = 0;
  std::int64_t copies = 0;
  std::int64_t macs = 0;
  std::int64_t ddr_bytes = 0;
  std::int64_t host_bytes = 0;
  std::int64_t busy_ns = 0;       ///< simulated
  std::int64_t wall_ns = 0;       ///< of the machine that simulates
  std::int64_t picojoules = 0;
  std::int64_t peak_memory_bytes = 0;
  std::int64_t faults = 0;
};

/// Thread-safe; commands run one at a time, on the thread that calls.
class Device {
 public:
  explicit Device(const Settings& settings);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  const Chip& chip() const { return chip_; }
  /// Null when the device's memory, or the host's, is full. The device must outlive the block.
  std::shared_ptr<Block> allocate(std::int64_t size_bytes);

  /// Runs a kernel. `earliest_ns` is when, on the simulated clock, it may start. What is wrong with the
  /// arguments is said in `message`.
  Status launch(const Kernel& kernel, std::span<const Argument> arguments, std::int64_t earliest_ns, Span& span, std::string* message);
  /// Copies bytes, over the host's link when one end is the host's memory.
  Status copy(const std::byte* from, std::byte* to, std::int64_t size_bytes, bool over_link, std::int64_t earliest_ns, Span& span);
  /// Ends what hangs; used when the driver goes.
  void stop();

  std::int64_t now_ns() const;
  Counters counters() const;

 private:
  bool meets(FaultPlan& plan);
  Status fault_of_launch();
  void account(const Work& work, std::int64_t wall_ns, std::int64_t earliest_ns, Span& span);

  Chip chip_;
  Settings settings_;
  FaultPlan launch_faults_, memory_faults_;
  std::mutex engine_;          // held while a command runs
  mutable std::mutex mutex_;   // guards what follows
  std::condition_variable stopped_;
  bool stopping_ = false;
  bool lost_ = false;
  std::int64_t used_bytes_ = 0;
  std::int64_t clock_ns_ = 0;
  Counters counters_;
};

}  // namespace npu
