// Link: an open device of a plug-in as the host uses it, in this process or in another one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "backends/backend.h"
#include "backends/plugin/facts.h"
#include "backends/plugin/memory.h"

namespace naru::plugin {

using Bytes = std::span<const std::byte>;

/// An end of a submission: bytes in host memory.
struct Binding {
  std::byte* data = nullptr;
  std::int64_t size_bytes = 0;
};

/// A compiled fragment, as its link knows it.
struct Compiled {
  std::uint64_t id = 0;
  std::uint64_t weights_bytes = 0;
  std::uint64_t workspace_bytes = 0;
  std::uint64_t padded_flops = 0;
  std::uint64_t total_flops = 0;
  std::string text;
};

/// What telemetry() found; `valid` has bits NARU_HAS_..., 0 for a plug-in that measures nothing.
struct Telemetry {
  std::uint32_t valid = 0;
  std::int64_t power_mw = 0, energy_uj = 0, temperature_mc = 0, utilisation_permille = 0, clock_khz = 0;
  std::int64_t memory_used_bytes = 0, busy_ns = 0;
  std::uint32_t throttle = 0;
};

/// Thread-safe. Every call throws Error: Device for a fault of the plug-in, else what it answered.
class Link {
 public:
  virtual ~Link() = default;
  virtual const DeviceFacts& facts() const = 0;
  virtual std::vector<Verdict> support(const SharedMemory& fragment, std::size_t node_count) = 0;
  /// `fragment` outlives the compiled fragment.
  virtual Compiled compile(const SharedMemory& fragment) = 0;
  virtual void destroy(std::uint64_t id) noexcept = 0;
  /// Returns when the work is done.
  virtual void submit(std::uint64_t id, std::span<const Binding> inputs, std::span<const Binding> outputs,
                      std::vector<NodeSpan>* spans) = 0;
  virtual Telemetry telemetry() = 0;
  virtual std::vector<std::byte> save(std::uint64_t id) = 0;
  /// An executable of saved bytes, or id 0 when the plug-in asks for a new compilation.
  virtual Compiled load(Bytes artefact) = 0;
  /// After a fault: whatever is under way fails, where it can be stopped.
  virtual void end() noexcept {}
};

}  // namespace naru::plugin
