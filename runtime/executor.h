// Executor: runs a graph for any input shapes: finds or makes the plan, walks its steps.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "backends/backend.h"
#include "compiler/plan.h"
#include "naru/error.h"
#include "runtime/event_log.h"

namespace naru {

/// What one request carries through all steps, sub-graphs included.
struct RunContext {
  EventLog* log = nullptr;
  std::uint32_t request = 0;
  bool profile = false;
  const std::atomic<bool>* cancelled = nullptr;
  std::optional<std::chrono::steady_clock::time_point> deadline;

  /// @throws Error Cancelled or DeadlineExceeded when the request shall stop.
  void check() const;
};

struct ExecutorOptions {
  PlanOptions plan;
  std::size_t max_plans = 64;
  std::int64_t memory_budget_bytes = 0;
  /// Per graph input: its memory may become that of an output that updates it in place. Empty: none.
  std::vector<bool> overwritable;
};

/// Runs one graph on a list of devices. Thread-safe.
class Executor {
 public:
  /// `devices` must outlive the executor.
  Executor(std::shared_ptr<const Graph> graph, std::vector<Device*> devices, ExecutorOptions options);
  ~Executor();

  /// Runs on whole values, one per graph input; returns one per graph output.
  std::vector<Datum> run(std::vector<Datum> inputs, const RunContext& context);

  /// The plan for these inputs, made when it is not cached.
  std::shared_ptr<const Plan> plan_for(const std::vector<Datum>& inputs, const RunContext& context);

  const Graph& graph() const { return *graph_; }
  const std::vector<Device*>& devices() const { return devices_; }

 private:
  struct Entry;
  class Run;

  std::shared_ptr<Entry> entry_for(const std::vector<Datum>& inputs, const RunContext& context);
  std::vector<InputBinding> bind(const std::vector<Datum>& inputs) const;
  std::vector<Datum> run_here(std::vector<Datum> inputs, const RunContext& context);
  bool movable() const;
  Executor& spare(const Error& error, const RunContext& context);
  std::shared_ptr<Entry> build(const std::vector<InputBinding>& bindings, const RunContext& context);

  std::shared_ptr<const Graph> graph_;
  std::vector<Device*> devices_;
  ExecutorOptions options_;
  std::vector<bool> needed_by_value_;

  std::mutex mutex_;
  std::list<std::shared_ptr<Entry>> entries_;  // most recently used first
  std::vector<std::unique_ptr<Device>> absent_;  // in the place of the dispensable devices, for spare_
  std::unique_ptr<Executor> spare_;              // made when one of them fails
};

}  // namespace naru
