// Engine, Model, Session, Request: load a model once, run it on whatever the machine has.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "naru/metrics.h"
#include "naru/tensor.h"

namespace naru {

/// One device as `naru devices` lists it.
struct DeviceDescription {
  std::string id;
  std::string name;
  std::string description;
  std::int64_t memory_bytes = 0;
  std::vector<std::string> features;
  bool available = true;
  std::string unavailable_reason;
};

/// All devices of all built-in backends. Thread-safe.
std::vector<DeviceDescription> list_devices();

struct EngineOptions {
  /// In order of preference, for example {"cpu"} or {"reference"}: work leaves the first device that has a
  /// kernel for it only where the copies around it would take longer than the work itself. "auto" is every
  /// device that is available, and estimated time decides.
  std::vector<std::string> devices = {"auto"};
  /// {pattern of node names, device}: nodes that run there or not at all; patterns as in a shell, first match counts.
  std::vector<std::pair<std::string, std::string>> pins;
  int threads = 0;           ///< cores of one stream; 0: all of the machine divided by `streams`
  int streams = 1;           ///< executions side by side on one device
  bool strict = false;       ///< a node without a kernel of its own on a device is an error
  bool exact = false;        ///< block-quantised weights meet f32 activations, not ones rounded to 8 bits
  int optimisation = 2;      ///< 0: as loaded, 1: folded and cleaned, 2: fused
  int max_plans = 64;        ///< shape-specialised plans kept per model
  int max_queued = 1024;     ///< requests that may wait; more are refused
  std::int64_t memory_budget_bytes = 0;  ///< weights and workspace of one model; 0: no budget
  /// Run compiled kernels that `.naru` files carry. They are programs: only for files whose source is trusted.
  bool trust_code = false;
};

/// A named input or output.
struct PortInfo {
  std::string name;
  DType dtype = DType::Undefined;
  std::vector<std::string> dims;  ///< numbers or symbolic expressions; empty for rank 0
  bool shape_known = false;       ///< false: the rank is unknown and `dims` empty
  std::string type;               ///< the whole type as text, for example "f32[batch,3,48,w]"
};

/// Which node ran where, and why there.
struct PlacementRow {
  std::string node;
  std::string op;
  std::string device;  ///< a device id, or "host"
  std::string tier;    ///< "native", "generic" or "host"
  std::string reason;  ///< the kernel, or why no device took the node
};

/// How to run one request.
struct RunOptions {
  /// When the answer is no longer wanted: the request then fails with DeadlineExceeded.
  std::optional<std::chrono::steady_clock::time_point> deadline;
  int priority = 0;      ///< higher first among waiting requests
  bool profile = false;  ///< log the time of every node
};

/// A request under way. Copies refer to the same request. Thread-safe.
class Request {
 public:
  /// Blocks until done. @throws the Error that the request failed with.
  std::vector<Datum> wait();
  bool done() const;
  /// Asks the request to stop; it then fails with Cancelled unless it is already done.
  void cancel();

  struct State;
  explicit Request(std::shared_ptr<State> state) : state_(std::move(state)) {}

 private:
  std::shared_ptr<State> state_;
};

/// A model bound to one caller's states (KV caches, recurrent states), which run() carries from one
/// request to the next. Requests of one session run one after another; different sessions run side
/// by side. Thread-safe.
class Session {
 public:
  /// Runs one request on the calling thread and returns one value per model output.
  /// @param inputs one per Model::inputs(), in that order.
  /// @throws Error InvalidArgument for inputs that do not fit, naming the input, what was got and
  /// what was expected; and whatever the run fails with.
  std::vector<Datum> run(std::vector<Datum> inputs, const RunOptions& options = {});
  /// Queues one request. @throws Error OutOfMemory when `max_queued` requests wait already.
  Request submit(std::vector<Datum> inputs, const RunOptions& options = {});
  /// Forgets the carried states: the next run starts from zeros.
  void reset();
  /// Replaces what a state holds. Needed before the first run only where the shape of its zeros
  /// does not follow from the inputs. A KV cache is updated in place, in the memory of `value`, which
  /// the caller leaves to the session; its unused part need not be initialised. @throws Error InvalidArgument for an unknown state, or another
  /// type than Model::states() names.
  void set_state(const std::string& name, Datum value);

  struct Impl;
  explicit Session(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

 private:
  std::shared_ptr<Impl> impl_;
};

/// A LoRA adapter for a language model: a GGUF file for a GGUF model, a folder as PEFT writes it for a
/// Hugging Face folder.
struct LoraAdapter {
  std::filesystem::path path;
  double scale = 1;  ///< times the adapter's own
};

struct ModelOptions {
  /// Outputs that become inputs of the next run, as {input name, output name}: recurrent states.
  std::vector<std::pair<std::string, std::string>> carry;
  /// Language models: element type of the KV caches (f32, f16, bf16, q8_0 or q4_0) and tokens of a page.
  DType kv_type = DType::F16;
  std::int64_t kv_page_tokens = 32;
  std::int64_t context = 0;  ///< positions that will be used, which decides how some models count them; 0: all
  std::vector<LoraAdapter> adapters;  ///< added to the weights, all of them
};

/// A loaded and optimised model. Immutable; copies refer to the same model. Thread-safe.
class Model {
 public:
  const std::string& name() const;
  const std::vector<PortInfo>& inputs() const;
  const std::vector<PortInfo>& outputs() const;
  /// The states that a session carries, by the name of the input that reads each.
  const std::vector<PortInfo>& states() const;
  /// Key/value pairs that the model file carries.
  std::vector<std::pair<std::string, std::string>> metadata() const;
  Session create_session() const;

  /// Plans for these input shapes without running, and says where each node goes.
  std::vector<PlacementRow> placement(const std::vector<Datum>& inputs) const;
  /// The plan for these inputs in words: steps, kernels, memory.
  std::string describe_plan(const std::vector<Datum>& inputs) const;
  MemoryReport memory(const std::vector<Datum>& inputs) const;
  /// Writes the optimised graph as `model.naru`; an existing file is replaced whole or not at all. With
  /// it go the kernels that `targets` ("cuda:sm_90", "opencl:0") need for inputs of the shapes of `inputs`.
  /// @throws Error Unsupported where a target's compiler is missing, saying what to install.
  void save(const std::filesystem::path& path, const std::vector<std::string>& targets = {},
            const std::vector<Datum>& inputs = {}) const;

  struct Impl;
  explicit Model(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
  const std::shared_ptr<Impl>& impl() const { return impl_; }

 private:
  std::shared_ptr<Impl> impl_;
};

/// Owns devices, scheduler and event log. Must outlive its models' last use only through them:
/// models keep what they need. Thread-safe.
class Engine {
 public:
  /// @throws Error InvalidArgument for an unknown device, Unsupported for one that is not available.
  explicit Engine(const EngineOptions& options = {});

  /// Loads ONNX, `.naru` or text. @throws Error Io, InvalidModel, Unsupported, OutOfMemory.
  Model load(const std::filesystem::path& path, const ModelOptions& options = {});

  /// Figures over everything logged so far, or since the last clear_log().
  Metrics metrics() const;
  /// Writes the event log as a Chrome/Perfetto trace (JSON).
  void write_trace(std::ostream& out) const;
  void clear_log();

  struct Impl;
  const std::shared_ptr<Impl>& impl() const { return impl_; }

 private:
  std::shared_ptr<Impl> impl_;
};

}  // namespace naru
