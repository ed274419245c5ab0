// The backend interface: devices, buffers, executables, events. Everything above speaks only this.
//
// A backend is asked about a whole graph at once, compiles fragments at concrete shapes, and runs
// them asynchronously, ordered by events. A synchronous device is the special case in which submit()
// returns a finished event. Nothing here could not cross a C boundary: plain data, opaque handles,
// no callbacks into the compiler. Tensors at a fragment's boundary are dense and row-major.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graph/code_blob.h"
#include "graph/graph.h"

namespace naru {

/// What a device is and can do, as found on this machine.
struct DeviceInfo {
  std::string id;           ///< "<backend>:<index>", for example "cpu:0"
  std::string name;         ///< the maker's name of the device
  std::string description;  ///< versions of driver and library, instruction sets
  std::int64_t memory_bytes = 0;
  bool host_memory = false;       ///< buffers are host memory: copies are free
  double copy_bytes_per_s = 8e9;  ///< else, about how fast they are copied to and from the host
  bool needs_static_shapes = true;
  std::vector<std::string> features;
  bool automatic = true;  ///< chosen by device "auto"; false for oracles and skeletons
  bool available = true;
  std::string unavailable_reason;  ///< when not available: what is missing and what to do
};

struct DeviceOptions {
  int threads = 0;  ///< cores of one stream; 0: all
  int streams = 1;  ///< independent executions side by side
  /// Multiply block-quantised weights with unchanged f32 activations; by default a device may round
  /// activations to 8 bits with a scale per 32 values, which is faster.
  bool exact = false;
};

/// How a device would run a node.
enum class Tier : std::uint8_t {
  None,     ///< not at all: `reason` says why
  Generic,  ///< by the operator's reference meaning: right, slow
  Native,   ///< by a kernel made for it
};

/// A device's answer about one node.
struct Verdict {
  Tier tier = Tier::None;
  std::string reason;  ///< why not, in words; or which kernel
  double seconds = 0;  ///< estimated time; 0 when the device has no estimate
};

/// Device memory. Destroying the last reference frees it once no submitted work uses it.
class Buffer {
 public:
  virtual ~Buffer() = default;
  virtual std::int64_t size_bytes() const = 0;
  /// Where the host may read and write, or null for memory that is not host-addressable.
  virtual std::byte* host_data() = 0;
};

/// A range of a buffer. The buffer must outlive the work that uses the view.
struct BufferView {
  Buffer* buffer = nullptr;
  std::int64_t offset_bytes = 0;
  std::int64_t size_bytes = 0;
};

/// The completion of submitted work. Thread-safe.
class Event {
 public:
  virtual ~Event() = default;
  virtual bool done() const = 0;
  /// Blocks until done; rethrows the Error of failed work.
  virtual void wait() = 0;
};
using EventPtr = std::shared_ptr<Event>;

/// When one node of an executable ran: nanoseconds of std::chrono::steady_clock.
struct NodeSpan {
  std::int32_t node = -1;  ///< index into the fragment's nodes; -1 for a layout conversion
  std::string kernel;
  std::int64_t start_ns = 0;
  std::int64_t end_ns = 0;
};

struct MemoryUse {
  std::int64_t weights_bytes = 0;    ///< packed copies; constants used in place count 0
  std::int64_t workspace_bytes = 0;  ///< intermediates and scratch of one running submission
};

/// A fragment compiled for one device at concrete shapes. Immutable; may be submitted many times
/// at once.
class Executable {
 public:
  virtual ~Executable() = default;
  virtual MemoryUse memory() const = 0;
  /// One line per step: kernels, layouts, offsets.
  virtual std::string describe() const = 0;
};

/// One run of an executable.
struct Submission {
  std::shared_ptr<const Executable> executable;
  std::vector<BufferView> inputs;   ///< one per fragment input
  /// One per fragment output, sized by its static type. An output that updates an input in place
  /// (OpDef::in_place) may be the same view as that input; when it is another, the executable copies
  /// the input's content there first. No other views overlap.
  std::vector<BufferView> outputs;
  std::vector<EventPtr> wait;       ///< work that must finish first; its failure fails this work
  std::vector<NodeSpan>* spans = nullptr;  ///< filled before the event is done, when not null
};

/// An open device. Thread-safe. Must outlive its buffers, executables and events.
class Device {
 public:
  virtual ~Device() = default;
  virtual const DeviceInfo& info() const = 0;
  /// True when a run that fails here with Error Device may run again on the other devices instead.
  virtual bool dispensable() const { return false; }

  /// One verdict per node of `graph`, whose types are as concrete as known. Never throws for an
  /// operator it does not know: that is a verdict.
  virtual std::vector<Verdict> support(const Graph& graph) const = 0;

  /// @throws Error OutOfMemory with the numbers.
  virtual std::unique_ptr<Buffer> allocate(std::int64_t size_bytes) = 0;
  /// Copies between this device's memory and the host; returns when the copy is complete.
  virtual void write(const BufferView& to, const std::byte* from) = 0;
  virtual void read(const BufferView& from, std::byte* to) = 0;

  /// Compiles a fragment: all types static, every node accepted by support(). Keeps `fragment`
  /// alive; constants are shared, not copied, unless packed.
  virtual std::shared_ptr<const Executable> compile(std::shared_ptr<const Graph> fragment) = 0;
  /// Offers compiled code that a model carries: where it fits, it is used in place of a compiler.
  virtual void add_code(std::span<const CodeBlob>) {}
  /// What compile() made so far, to be carried by a model; of devices that Backend::open_compiler() opened.
  virtual std::vector<CodeBlob> code() const { return {}; }

  /// Queues one run and returns at once. Views' buffers and the executable are kept by the caller
  /// until the event is done.
  virtual EventPtr submit(Submission submission) = 0;
};

/// The index of a device that stands behind the colon of an id: digits alone, nothing before or after them.
std::optional<int> parse_device_index(std::string_view target);

/// A kind of device. Stateless.
class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string name() const = 0;
  /// The devices found, unavailable ones with the reason.
  virtual std::vector<DeviceInfo> devices() const = 0;
  /// @throws Error Device or Unsupported with the reason.
  virtual std::unique_ptr<Device> open(int index, const DeviceOptions& options) const = 0;
  /// Opens what stands behind the colon of an id when that is no index: the path of a library, say.
  /// @throws Error InvalidArgument where indices are all there is.
  virtual std::unique_ptr<Device> open_named(std::string_view target, const DeviceOptions& options) const;
  /// Opens a device that compiles ahead of time and does nothing else; this machine need not have it.
  /// `target` is what stands behind the colon: an architecture, or the index of a device.
  /// @throws Error Unsupported where nothing is compiled ahead of time, or what that needs is missing.
  virtual std::unique_ptr<Device> open_compiler(std::string_view target) const;
};

}  // namespace naru
