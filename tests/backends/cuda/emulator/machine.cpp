// The emulated machine: records, faults, memory, streams.
#include "tests/backends/cuda/emulator/machine.h"

#include <algorithm>
#include <cstring>

#include "backends/cuda/api.h"

namespace naru::test::emulator {
namespace {

constexpr std::size_t kGuardBytes = 64;
constexpr auto kGuard = std::byte{0xa5};

/// Where the driver's blocks start.
constexpr std::size_t kAlignment = 256;

std::size_t aligned(std::size_t size) { return (size + kAlignment - 1) / kAlignment * kAlignment; }

}  // namespace

thread_local int context_depth = 0;

std::recursive_mutex& mutex() {
  static std::recursive_mutex instance;
  return instance;
}

State& state() {
  static State instance;
  return instance;
}

void reset(const Machine& machine) {
  const std::lock_guard lock(mutex());
  for (const void* pool : state().pools) delete static_cast<const char*>(pool);
  state() = State();
  state().machine = machine;
}

void fail(const std::string& function, int status, int after) {
  const std::lock_guard lock(mutex());
  state().faults[function] = {status, after};
}

std::vector<std::string> calls() {
  const std::lock_guard lock(mutex());
  return state().calls;
}

int count(const std::string& function) {
  const std::vector<std::string> all = calls();
  return static_cast<int>(std::count(all.begin(), all.end(), function));
}

void forget_calls() {
  const std::lock_guard lock(mutex());
  state().calls.clear();
}

std::vector<std::string> violations() {
  const std::lock_guard lock(mutex());
  return state().violations;
}

const std::vector<int>& known_architectures() { return state().machine.architectures; }

int record_compilation() {
  const std::lock_guard lock(mutex());
  return begin("nvrtcCompileProgram", false);
}

std::map<std::string, int> living() {
  const std::lock_guard lock(mutex());
  const State& s = state();
  std::map<std::string, int> result;
  const auto add = [&](const char* kind, std::size_t count) {
    if (count != 0) result[kind] = static_cast<int>(count);
  };
  add("memory", s.memory.size());
  add("host memory", s.host_memory.size());
  add("stream", s.streams.size());
  add("event", s.events.size());
  add("module", s.modules.size());
  add("graph", s.graphs.size() + s.graph_execs.size());
  add("pool", s.pools.size());
  add("context", static_cast<std::size_t>(s.contexts));
  return result;
}

void violate(const std::string& text) { state().violations.push_back(text); }

Status begin(const char* function, bool needs_context) {
  State& s = state();
  s.calls.emplace_back(function);
  if (needs_context && context_depth == 0) {
    violate(std::string(function) + ": no context is current");
    return kInvalidContext;
  }
  if (needs_context && s.sticky != 0) return s.sticky;
  const auto fault = s.faults.find(function);
  if (fault == s.faults.end() || fault->second.after-- > 0) return cuda::kSuccess;
  const Status status = fault->second.status;
  s.faults.erase(fault);
  if (cuda::is_sticky(status)) s.sticky = status;
  return status;
}

Block* block_at(std::map<DevicePointer, Block>& memory, DevicePointer address, std::size_t size) {
  auto after = memory.upper_bound(address);
  if (after == memory.begin()) return nullptr;
  auto& [start, block] = *std::prev(after);
  return address - start <= block.size && size <= block.size - (address - start) ? &block : nullptr;
}

Block make_block(std::size_t size) {
  auto* bytes = static_cast<std::byte*>(std::aligned_alloc(kAlignment, aligned(size + kGuardBytes)));
  Block block{decltype(Block::bytes)(bytes), size};
  // What a kernel reads before anything wrote it shows as not-a-number.
  std::memset(block.bytes.get(), 0xff, size);
  std::memset(block.bytes.get() + size, static_cast<int>(kGuard), kGuardBytes);
  return block;
}

Status drop_block(std::map<DevicePointer, Block>& memory, DevicePointer address, const char* what) {
  const auto found = memory.find(address);
  if (found == memory.end()) {
    violate(std::string(what) + ": freed what is not there, or twice");
    return kInvalidValue;
  }
  const std::byte* guard = found->second.bytes.get() + found->second.size;
  if (!std::all_of(guard, guard + kGuardBytes, [](std::byte b) { return b == kGuard; })) {
    violate(std::string(what) + ": something wrote behind its end");
  }
  memory.erase(found);
  return cuda::kSuccess;
}

std::size_t used_bytes() {
  std::size_t used = 0;
  for (const auto& [address, block] : state().memory) used += aligned(block.size);
  return used;
}

void drain(Stream& stream) {
  while (!stream.work.empty()) {
    const Work work = std::move(stream.work.front());
    stream.work.pop_front();
    state().clock += 1;
    if (state().sticky == 0) work.run();
  }
}

void drain_all() {
  for (auto& [handle, stream] : state().streams) drain(*stream);
}

void check_unused(const void* object, const char* what) {
  for (const auto& [handle, stream] : state().streams) {
    for (const Work& work : stream->work) {
      if (work.needs.contains(object)) return violate(std::string(what) + ": freed while work that waits needs it");
    }
  }
}

}  // namespace naru::test::emulator
