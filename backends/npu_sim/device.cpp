// Device: accounting, faults, reports.
#include "backends/npu_sim/device.h"

#include <chrono>
#include <cstring>
#include <fstream>
#include <new>

namespace npu {
namespace {

using Clock = std::chrono::steady_clock;

std::int64_t since(Clock::time_point start) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start).count();
}

/// Flips a bit of some bytes of each output, which no arithmetic would.
void spoil(const Kernel& kernel, std::span<const Argument> arguments) {
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (kernel.parameters[i].role != Role::Output) continue;
    const std::span<std::byte> bytes = std::get<std::span<std::byte>>(arguments[i]);
    for (std::size_t at = 1; at < bytes.size(); at += 97) bytes[at] ^= std::byte{0x10};
  }
}

void write_report(const std::string& path, const Counters& c) {
  std::ofstream(path) << "{\"kernels\": " << c.kernels << ", \"copies\": " << c.copies << ", \"macs\": " << c.macs
                      << ", \"ddr_bytes\": " << c.ddr_bytes << ", \"host_bytes\": " << c.host_bytes << ", \"simulated_ns\": " << c.busy_ns
                      << ", \"wall_ns\": " << c.wall_ns << ", \"picojoules\": " << c.picojoules
                      << ", \"peak_memory_bytes\": " << c.peak_memory_bytes << ", \"faults\": " << c.faults << "}\n";
}

}  // namespace

Device::Device(const Settings& settings) : settings_(settings) {
  if (settings.memory_bytes > 0) chip_.memory_bytes = settings.memory_bytes;
  (settings.faults.fault == Fault::OutOfMemory ? memory_faults_ : launch_faults_) = settings.faults;
}

Device::~Device() {
  if (!settings_.report.empty()) write_report(settings_.report, counters_);
}

std::shared_ptr<Block> Device::allocate(std::int64_t size_bytes) {
  const std::lock_guard lock(mutex_);
  if (size_bytes <= 0 || size_bytes > chip_.memory_bytes - used_bytes_ || meets(memory_faults_)) return nullptr;
  std::unique_ptr<std::byte[]> bytes(new (std::nothrow) std::byte[static_cast<std::size_t>(size_bytes)]);
  if (bytes == nullptr) return nullptr;
  used_bytes_ += size_bytes;
  counters_.peak_memory_bytes = std::max(counters_.peak_memory_bytes, used_bytes_);
  return {new Block{std::move(bytes), size_bytes}, [this](Block* block) {
            const std::lock_guard release(mutex_);
            used_bytes_ -= block->size_bytes;
            delete block;
          }};
}

bool Device::meets(FaultPlan& plan) {
  if (plan.fault == Fault::None || plan.count == 0) return false;
  if (plan.after > 0) {
    --plan.after;
    return false;
  }
  plan.after = plan.every - 1;
  --plan.count;
  ++counters_.faults;
  return true;
}

Status Device::fault_of_launch() {
  std::unique_lock lock(mutex_);
  if (lost_) return Status::Lost;
  if (stopping_) return Status::TimedOut;
  if (launch_faults_.fault == Fault::WrongResult || !meets(launch_faults_)) return Status::Ok;
  if (launch_faults_.fault == Fault::DeviceLost) {
    lost_ = true;
    return Status::Lost;
  }
  stopped_.wait_for(lock, std::chrono::milliseconds(settings_.time_out_ms), [&] { return stopping_; });
  return Status::TimedOut;
}

void Device::account(const Work& work, std::int64_t wall_ns, std::int64_t earliest_ns, Span& span) {
  const Cost cost = cost_of(chip_, work);
  const std::lock_guard lock(mutex_);
  span.start_ns = std::max(clock_ns_, earliest_ns);
  span.end_ns = clock_ns_ = span.start_ns + cost.ns;
  span.picojoules = cost.picojoules;
  counters_.macs += work.macs;
  counters_.ddr_bytes += work.ddr_bytes;
  counters_.host_bytes += work.host_bytes;
  counters_.busy_ns += cost.ns;
  counters_.wall_ns += wall_ns;
  counters_.picojoules += cost.picojoules;
}

Status Device::launch(const Kernel& kernel, std::span<const Argument> arguments, std::int64_t earliest_ns, Span& span, std::string* message) {
  const std::lock_guard engine(engine_);
  if (const Status status = fault_of_launch(); status != Status::Ok) return status;
  const Clock::time_point start = Clock::now();
  Work work;
  try {
    Call call(chip_, kernel, arguments);
    work = kernel.run(call);
  } catch (const BadArguments& error) {
    *message = error.what();
    return Status::BadArguments;
  } catch (const std::bad_alloc&) {
    return Status::OutOfMemory;
  }
  account(work, since(start), earliest_ns, span);
  const std::lock_guard lock(mutex_);
  ++counters_.kernels;
  if (launch_faults_.fault == Fault::WrongResult && meets(launch_faults_)) spoil(kernel, arguments);
  return Status::Ok;
}

Status Device::copy(const std::byte* from, std::byte* to, std::int64_t size_bytes, bool over_link, std::int64_t earliest_ns, Span& span) {
  const std::lock_guard engine(engine_);
  {
    const std::lock_guard lock(mutex_);
    if (lost_) return Status::Lost;
    ++counters_.copies;
  }
  const Clock::time_point start = Clock::now();
  std::memmove(to, from, static_cast<std::size_t>(size_bytes));
  account({Type::U8, 0, 0, over_link ? size_bytes : 2 * size_bytes, over_link ? size_bytes : 0}, since(start), earliest_ns, span);
  return Status::Ok;
}

void Device::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stopped_.notify_all();
}

std::int64_t Device::now_ns() const {
  const std::lock_guard lock(mutex_);
  return clock_ns_;
}

Counters Device::counters() const {
  const std::lock_guard lock(mutex_);
  return counters_;
}

}  // namespace npu
