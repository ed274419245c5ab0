// What the public handles point to. Private to runtime/ and to tools that look inside models.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "backends/backend.h"
#include "naru/engine.h"
#include "runtime/event_log.h"
#include "runtime/executor.h"
#include "runtime/scheduler.h"

namespace naru {

struct Engine::Impl {
  explicit Impl(const EngineOptions& options);
  void log_phase(const char* name, std::int64_t start);

  EngineOptions options;
  EventLog log;
  std::vector<std::unique_ptr<Device>> devices;
  std::vector<std::string> device_ids;
  std::atomic<std::uint32_t> next_request{1};
  std::unique_ptr<Scheduler> scheduler;  // last: its threads use everything above
};

struct Model::Impl {
  Impl(std::shared_ptr<Engine::Impl> owner, Graph optimised);

  std::vector<Datum> check_inputs(std::vector<Datum> data) const;
  /// For every state what `given` holds, else zeros with the symbols that `data` binds.
  std::vector<Datum> initial_states(const std::vector<Datum>& data,
                                    const std::map<std::string, Datum>& given = {}) const;
  std::shared_ptr<const Plan> plan_for(std::vector<Datum> data);
  /// The inputs of the executor's graph: `data`, then the states at their start.
  std::vector<Datum> with_states(std::vector<Datum> data) const;
  /// Compiled code of every kernel that `target` needs for these inputs.
  std::vector<CodeBlob> code_for(const std::string& target, const std::vector<Datum>& data) const;

  std::shared_ptr<Engine::Impl> engine;
  std::shared_ptr<const Graph> graph;
  std::int64_t constants_bytes = 0;
  std::vector<PortInfo> inputs;
  std::vector<PortInfo> outputs;
  std::vector<PortInfo> states;
  std::unique_ptr<Executor> executor;
};

struct Session::Impl {
  explicit Impl(std::shared_ptr<Model::Impl> owner) : model(std::move(owner)) {}
  std::vector<Datum> run(std::vector<Datum> data, const RunContext& context);
  std::vector<Datum> run_logged(std::vector<Datum> data, const RunContext& context);
  RunContext new_context(const RunOptions& options);

  std::shared_ptr<Model::Impl> model;
  std::mutex state_mutex;
  std::map<std::string, Datum> given;  ///< states set before the first run
  std::vector<Datum> states;           ///< empty before the first run
};

/// Makes a model from a graph in memory; Engine::load() and tools share it.
Model make_model(const std::shared_ptr<Engine::Impl>& engine, Graph graph, const ModelOptions& options);

}  // namespace naru
