// System: what is measured, behind a few verbs. Every kind of system under test is one of these.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "benchmarks/log/event.h"

namespace naru::bench {

/// A failure that has a reason code of its own.
class Failure : public std::runtime_error {
 public:
  Failure(Reason reason, const std::string& detail) : std::runtime_error(detail), reason_(reason) {}
  Reason reason() const { return reason_; }

 private:
  Reason reason_;
};

/// One request. Requests of one run have different ids.
struct SystemRequest {
  std::uint32_t id = 0;
  std::span<const std::int32_t> prompt;  ///< empty for models that do not generate
  std::int64_t max_tokens = 0;           ///< exactly so many where `ignore_end`
  bool ignore_end = true;
  std::uint32_t sample = 0;              ///< which input, for models that do not generate
};

/// Where a system reports to; the harness stamps each call as it comes. Thread-safe. Exactly one of
/// complete() and failed() ends a request.
class Sink {
 public:
  virtual ~Sink() = default;
  /// These tokens became visible together.
  virtual void tokens(std::uint32_t request, std::span<const std::int32_t> ids) = 0;
  /// Output of unknown token ids became visible; `count` is 0 where not even their number is known.
  virtual void chunk(std::uint32_t request, std::int64_t count) = 0;
  /// The system says how many tokens it made.
  virtual void claimed(std::uint32_t request, std::int64_t count) = 0;
  /// The system says how many tokens it read, and how many of them it knew already.
  virtual void prompted(std::uint32_t request, std::int64_t count, std::int64_t cached) = 0;
  virtual void complete(std::uint32_t request) = 0;
  virtual void failed(std::uint32_t request, Reason reason, const std::string& detail) = 0;
};

/// A named span of the cold start, in seconds.
struct LoadPhase {
  std::string name;
  double seconds = 0;
};

struct LoadResult {
  std::vector<LoadPhase> phases;
  std::int64_t weights_bytes = 0;
  std::int64_t workspace_bytes = 0;
  std::int64_t kv_bytes = 0;
  std::int64_t vocabulary = 0;  ///< token ids of prompts are below; 0: unknown
  double flops_per_unit = 0;    ///< operations of one token or one inference; 0: unknown
  double bytes_per_unit = 0;    ///< bytes that must be read for one token or inference at batch 1
  std::string note;             ///< for example where nodes ran without a kernel of their own
};

/// An input of a model that does not generate.
inline constexpr std::int64_t kBatchDim = -1;
struct InputSpec {
  std::string name;
  bool known_shape = false;        ///< else the model's own holds
  std::vector<std::int64_t> dims;  ///< kBatchDim: the row's batch
  std::optional<double> value;     ///< of all elements; else random ones
};
/// The same at this batch. @throws Error InvalidArgument when the batch is not 1 and no dimension takes it.
std::vector<InputSpec> at_batch(std::vector<InputSpec> inputs, std::int64_t batch);

/// Work for which a system prepares: one row's model and its bounds.
struct Workload {
  std::string model;        ///< its name in the suite
  std::string model_path;   ///< empty where the system has the model itself
  bool generates = true;
  std::vector<InputSpec> inputs;  ///< at the row's batch
  std::int64_t context = 0;   ///< longest sequence
  int concurrency = 1;        ///< requests in flight at most
  std::string kv_type = "f16";
  std::uint64_t seed = 1;     ///< of random inputs
};

/// A system under test. load() first, then any number of submit() from one thread.
class System {
 public:
  virtual ~System() = default;
  /// Name, version, settings, as JSON object; part of every report.
  virtual nlohmann::json describe() const = 0;
  /// Whether load() reads the model's file; else the system has the model itself.
  virtual bool needs_model_file() const { return true; }
  /// @throws Error with the cause; the row then fails with its reason.
  virtual LoadResult load(const Workload& workload) = 0;
  /// Returns soon; `sink` is called from any thread, perhaps before submit() returns.
  virtual void submit(const SystemRequest& request, Sink& sink) = 0;
  /// Asks all requests under way to end; each still ends by complete() or failed().
  virtual void cancel_all() = 0;
};

/// The reason code that stands for the error being handled.
Reason reason_of_current_error(std::string& detail);

}  // namespace naru::bench
