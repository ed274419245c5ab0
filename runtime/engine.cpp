// Engine, Model, Session, Request: the public API over loader, compiler, executor and scheduler.
#include "naru/engine.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "backends/registry.h"
#include "compiler/pipeline.h"
#include "graph/fail.h"
#include "graph/infer.h"
#include "graph/load.h"
#include "graph/serialize.h"
#include "runtime/engine_impl.h"
#include "runtime/metrics.h"

namespace naru {
namespace {

/// Devices in order, "auto" spelled out. The backends' order is the order of preference.
std::vector<std::string> expand_devices(const std::vector<std::string>& requested) {
  std::vector<std::string> ids;
  for (const std::string& id : requested) {
    if (id != "auto") {
      ids.push_back(id);
      continue;
    }
    for (const auto& backend : backends()) {
      for (const DeviceInfo& device : backend->devices()) {
        if (device.available && device.automatic) ids.push_back(device.id);
      }
    }
  }
  if (ids.empty()) fail(ErrorCode::InvalidArgument, "devices: got none, expected at least one");
  return ids;
}

PortInfo port_of(const Value& value) {
  PortInfo port;
  port.name = value.name;
  port.dtype = value.type.dtype;
  port.type = to_string(value.type);
  port.shape_known = value.type.shape.has_value();
  if (value.type.shape) {
    for (const Dim& dim : *value.type.shape) port.dims.push_back(dim.to_string());
  }
  return port;
}

/// Declares the carried pairs as states of the graph.
void declare_states(Graph& graph, const ModelOptions& options) {
  for (const auto& [input, output] : options.carry) {
    const ValueId in = graph.find_value(input);
    const ValueId out = graph.find_value(output);
    const auto is_port = [](const std::vector<ValueId>& ports, ValueId id) {
      return std::find(ports.begin(), ports.end(), id) != ports.end();
    };
    if (in == kNoValue || !is_port(graph.inputs, in)) {
      fail(ErrorCode::InvalidArgument, "carry: '{}' is not an input of the model", input);
    }
    if (out == kNoValue || !is_port(graph.outputs, out)) {
      fail(ErrorCode::InvalidArgument, "carry: '{}' is not an output of the model", output);
    }
    std::erase(graph.inputs, in);
    graph.states.push_back({input, StateKind::Tensor, in, out});
  }
}

/// The executor knows no states: they become the last inputs and outputs of its graph.
std::shared_ptr<const Graph> with_states_as_ports(const Graph& graph) {
  Graph result = graph;
  for (const State& state : graph.states) {
    result.inputs.push_back(state.input);
    result.outputs.push_back(state.output);
  }
  result.states.clear();
  return std::make_shared<const Graph>(std::move(result));
}

/// Metadata key by which a saved graph says which pipeline it went through, so that loading it skips
/// that work. A false value costs speed or fusion only: the graph is verified like any other.
constexpr const char* kOptimised = "naru.optimised";

/// The number before the point changes with the passes.
std::string optimised_mark(int level) { return "1." + std::to_string(level); }

/// The level in a graph's mark; -1 when it has none of this version.
int optimised_level(const Graph& graph) {
  const auto found = graph.metadata.find(kOptimised);
  for (int level = 0; found != graph.metadata.end() && level <= 2; ++level) {
    if (found->second == optimised_mark(level)) return level;
  }
  return -1;
}

std::int64_t constant_bytes(const Graph& graph) {
  std::int64_t total = 0;
  for (const Value& value : graph.values) {
    if (value.is_constant()) total += value.constant.size_bytes();
  }
  return total;
}

}  // namespace

std::vector<DeviceDescription> list_devices() {
  std::vector<DeviceDescription> result;
  for (const auto& backend : backends()) {
    for (const DeviceInfo& info : backend->devices()) {
      result.push_back({info.id, info.name, info.description, info.memory_bytes, info.features,
                        info.available, info.unavailable_reason});
    }
  }
  return result;
}

// Engine

Engine::Impl::Impl(const EngineOptions& engine_options) : options(engine_options) {
  if (options.streams < 1 || options.threads < 0) {
    fail(ErrorCode::InvalidArgument, "engine: got {} threads and {} streams, expected >= 0 and >= 1",
         options.threads, options.streams);
  }
  if (options.threads == 0) {
    const int cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
    options.threads = std::max(1, cores / options.streams);
  }
  for (const std::string& id : expand_devices(options.devices)) {
    devices.push_back(open_device(id, {options.threads, options.streams, options.exact}));
    device_ids.push_back(devices.back()->info().id);
  }
  scheduler = std::make_unique<Scheduler>(options.streams, static_cast<std::size_t>(options.max_queued));
}

void Engine::Impl::log_phase(const char* name, std::int64_t start) {
  log.append({.kind = EventKind::Phase, .name = log.intern(name), .start_ns = start, .end_ns = now_ns()});
}

Engine::Engine(const EngineOptions& options) : impl_(std::make_shared<Impl>(options)) {}

Model Engine::load(const std::filesystem::path& path, const ModelOptions& options) {
  return with_context([&] { return "loading '" + path.string() + "'"; }, [&] {
    const std::int64_t start = now_ns();
    ModelLoadOptions load;
    load.kv_type = options.kv_type;
    load.page_tokens = options.kv_page_tokens;
    load.context = options.context;
    for (const LoraAdapter& adapter : options.adapters) load.adapters.push_back({adapter.path, adapter.scale});
    std::vector<CodeBlob> code;
    if (impl_->options.trust_code) load.code = &code;
    Graph graph = load_model(path, load);
    for (const auto& device : impl_->devices) device->add_code(code);
    impl_->log_phase("parse", start);
    return make_model(impl_, std::move(graph), options);
  });
}

Model make_model(const std::shared_ptr<Engine::Impl>& engine, Graph graph, const ModelOptions& options) {
  const std::int64_t start = now_ns();
  declare_states(graph, options);
  const int level = engine->options.optimisation;
  if (optimised_level(graph) < level) {
    optimize(graph, generic_pipeline(level));
    graph.metadata[kOptimised] = optimised_mark(level);
  }
  engine->log_phase("optimise", start);
  return Model(std::make_shared<Model::Impl>(engine, std::move(graph)));
}

Metrics Engine::metrics() const { return fold_metrics(impl_->log.snapshot(), impl_->device_ids); }

void Engine::write_trace(std::ostream& out) const {
  naru::write_trace(impl_->log.snapshot(), impl_->device_ids, out);
}

void Engine::clear_log() { impl_->log.clear(); }

// Model

Model::Impl::Impl(std::shared_ptr<Engine::Impl> owner, Graph optimised)
    : engine(std::move(owner)),
      graph(std::make_shared<const Graph>(std::move(optimised))),
      constants_bytes(constant_bytes(*graph)) {
  for (const ValueId id : graph->inputs) inputs.push_back(port_of(graph->value(id)));
  for (const ValueId id : graph->outputs) outputs.push_back(port_of(graph->value(id)));
  for (const State& state : graph->states) {
    states.push_back(port_of(graph->value(state.input)));
    states.back().name = state.name;
  }
  std::vector<Device*> devices;
  for (const auto& device : engine->devices) devices.push_back(device.get());
  ExecutorOptions executor_options;
  executor_options.plan.strict = engine->options.strict;
  for (const auto& [pattern, device] : engine->options.pins) executor_options.plan.place.pins.push_back({pattern, device});
  const std::vector<std::string>& asked = engine->options.devices;
  executor_options.plan.place.by_cost = std::find(asked.begin(), asked.end(), "auto") != asked.end();
  executor_options.max_plans = static_cast<std::size_t>(std::max(1, engine->options.max_plans));
  executor_options.memory_budget_bytes = engine->options.memory_budget_bytes;
  executor_options.overwritable.assign(graph->inputs.size(), false);
  for (const State& state : graph->states) executor_options.overwritable.push_back(state.kind != StateKind::Tensor);
  executor = std::make_unique<Executor>(with_states_as_ports(*graph), devices, executor_options);
}

std::vector<Datum> Model::Impl::check_inputs(std::vector<Datum> data) const {
  if (data.size() != inputs.size()) {
    std::string names;
    for (const PortInfo& port : inputs) names += (names.empty() ? "" : ", ") + port.name + ": " + port.type;
    fail(ErrorCode::InvalidArgument, "model '{}': got {} inputs, expected {} ({})", graph->name,
         data.size(), inputs.size(), names);
  }
  return data;
}

std::vector<Datum> Model::Impl::initial_states(const std::vector<Datum>& data,
                                               const std::map<std::string, Datum>& given) const {
  std::map<std::string, Dim> symbols;
  for (std::size_t i = 0; i < data.size(); ++i) {
    const Type& type = graph->value(graph->inputs[i]).type;
    if (!data[i].is_tensor() || !type.shape) continue;
    const std::size_t rank = std::min(type.shape->size(), static_cast<std::size_t>(data[i].tensor.rank()));
    for (std::size_t d = 0; d < rank; ++d) {
      if ((*type.shape)[d].is_symbol()) {
        symbols.emplace((*type.shape)[d].to_string(), data[i].tensor.shape()[static_cast<std::int64_t>(d)]);
      }
    }
  }
  const auto lookup = [&](const std::string& name) -> std::optional<Dim> {
    const auto found = symbols.find(name);
    return found == symbols.end() ? std::nullopt : std::optional(found->second);
  };
  std::vector<Datum> result;
  for (const State& state : graph->states) {
    if (const auto found = given.find(state.name); found != given.end()) {
      result.push_back(found->second);
      continue;
    }
    const Type& type = graph->value(state.input).type;
    Shape shape;
    for (const Dim& dim : type.shape.value_or(SymShape{})) {
      const Dim bound = dim.substitute(lookup);
      if (!bound.is_known()) {
        fail(ErrorCode::InvalidArgument,
             "state '{}': its shape {} does not follow from the inputs, set it before the first run",
             state.name, to_string(type));
      }
      shape.push_back(bound.value());
    }
    Tensor zeros(type.dtype, shape);
    std::fill_n(zeros.mutable_data(), zeros.size_bytes(), std::byte{0});
    result.emplace_back(std::move(zeros));
  }
  return result;
}

const std::string& Model::name() const { return impl_->graph->name; }
const std::vector<PortInfo>& Model::inputs() const { return impl_->inputs; }
const std::vector<PortInfo>& Model::outputs() const { return impl_->outputs; }
const std::vector<PortInfo>& Model::states() const { return impl_->states; }

std::vector<std::pair<std::string, std::string>> Model::metadata() const {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const auto& pair : impl_->graph->metadata) {
    if (pair.first != kOptimised) pairs.push_back(pair);
  }
  return pairs;
}

Session Model::create_session() const { return Session(std::make_shared<Session::Impl>(impl_)); }

std::vector<Datum> Model::Impl::with_states(std::vector<Datum> data) const {
  data = check_inputs(std::move(data));
  std::vector<Datum> states = initial_states(data);
  std::move(states.begin(), states.end(), std::back_inserter(data));
  return data;
}

std::shared_ptr<const Plan> Model::Impl::plan_for(std::vector<Datum> data) {
  RunContext context;
  context.log = &engine->log;
  return executor->plan_for(with_states(std::move(data)), context);
}

std::vector<CodeBlob> Model::Impl::code_for(const std::string& target, const std::vector<Datum>& data) const {
  return with_context([&] { return "compiling for '" + target + "'"; }, [&] {
    const std::unique_ptr<Device> compiler = open_compiler(target);
    Executor planner(with_states_as_ports(*graph), {compiler.get()}, {});
    RunContext context;
    context.log = &engine->log;
    planner.plan_for(with_states(data), context);
    return compiler->code();
  });
}

std::vector<PlacementRow> Model::placement(const std::vector<Datum>& inputs) const {
  const std::shared_ptr<const Plan> plan = impl_->plan_for(inputs);
  std::vector<PlacementRow> rows;
  for (std::size_t i = 0; i < plan->placements.size(); ++i) {
    const NodePlacement& placement = plan->placements[i];
    const Node& node = plan->graph.nodes[plan->planned_nodes[i]];
    const bool host = placement.device == kHost;
    rows.push_back({node.name, node.op->full_name(),
                    host ? "host" : impl_->engine->device_ids[static_cast<std::size_t>(placement.device)],
                    host ? "host" : placement.tier == Tier::Native ? "native" : "generic", placement.reason});
  }
  return rows;
}

std::string Model::describe_plan(const std::vector<Datum>& inputs) const {
  return to_string(*impl_->plan_for(inputs), impl_->executor->devices());
}

MemoryReport Model::memory(const std::vector<Datum>& inputs) const {
  const std::shared_ptr<const Plan> plan = impl_->plan_for(inputs);
  MemoryReport report;
  report.constants_bytes = impl_->constants_bytes;
  report.boundary_bytes = plan->boundary_bytes;
  for (std::size_t d = 0; d < plan->memory.size(); ++d) {
    report.devices.push_back({impl_->engine->device_ids[d], plan->memory[d].weights_bytes,
                              plan->memory[d].workspace_bytes});
  }
  const ResidentSet resident = resident_set();
  report.measured_peak_bytes = resident.peak_bytes;
  report.measured_current_bytes = resident.current_bytes;
  return report;
}

void Model::save(const std::filesystem::path& path, const std::vector<std::string>& targets, const std::vector<Datum>& inputs) const {
  SaveOptions options;
  for (const std::string& target : targets) {
    std::vector<CodeBlob> code = impl_->code_for(target, inputs);
    std::move(code.begin(), code.end(), std::back_inserter(options.code));
  }
  save_naru(*impl_->graph, path, options);
}

// Session

std::vector<Datum> Session::Impl::run(std::vector<Datum> data, const RunContext& context) {
  data = model->check_inputs(std::move(data));
  if (model->graph->states.empty()) return model->executor->run(std::move(data), context);
  const std::lock_guard lock(state_mutex);
  if (states.empty()) {
    states = model->initial_states(data, given);
    given.clear();
  }
  data.insert(data.end(), states.begin(), states.end());
  std::vector<Datum> outputs = model->executor->run(std::move(data), context);
  const auto first_state = outputs.end() - static_cast<std::ptrdiff_t>(states.size());
  states.assign(first_state, outputs.end());
  outputs.erase(first_state, outputs.end());
  return outputs;
}

/// Runs a request with its arrival and completion logged.
std::vector<Datum> Session::Impl::run_logged(std::vector<Datum> data, const RunContext& context) {
  EventLog& log = *context.log;
  LogRecord record{.kind = EventKind::Run, .request = context.request, .start_ns = now_ns()};
  try {
    std::vector<Datum> outputs = run(std::move(data), context);
    record.end_ns = now_ns();
    log.append(record);
    return outputs;
  } catch (...) {
    record.failed = true;
    record.end_ns = now_ns();
    log.append(record);
    throw;
  }
}

RunContext Session::Impl::new_context(const RunOptions& options) {
  Engine::Impl& engine = *model->engine;
  RunContext context;
  context.log = &engine.log;
  context.request = engine.next_request.fetch_add(1);
  context.profile = options.profile;
  context.deadline = options.deadline;
  const std::int64_t now = now_ns();
  engine.log.append({.kind = EventKind::Arrival, .request = context.request, .start_ns = now, .end_ns = now});
  return context;
}

std::vector<Datum> Session::run(std::vector<Datum> inputs, const RunOptions& options) {
  return impl_->run_logged(std::move(inputs), impl_->new_context(options));
}

void Session::reset() {
  const std::lock_guard lock(impl_->state_mutex);
  impl_->states.clear();
  impl_->given.clear();
}

void Session::set_state(const std::string& name, Datum value) {
  const Graph& graph = *impl_->model->graph;
  const auto found = std::find_if(graph.states.begin(), graph.states.end(),
                                  [&](const State& state) { return state.name == name; });
  if (found == graph.states.end()) {
    fail(ErrorCode::InvalidArgument, "model '{}': has no state '{}'", graph.name, name);
  }
  with_context([&] { return "setting state '" + name + "'"; },
               [&] { check_binding(graph.value(found->input), Type::of(value)); });
  const std::lock_guard lock(impl_->state_mutex);
  if (impl_->states.empty()) {
    impl_->given[name] = std::move(value);
  } else {
    impl_->states[static_cast<std::size_t>(found - graph.states.begin())] = std::move(value);
  }
}

// Request

struct Request::State {
  std::mutex mutex;
  std::condition_variable changed;
  bool done = false;
  std::vector<Datum> outputs;
  std::exception_ptr error;
  std::atomic<bool> cancelled = false;

  void complete(std::vector<Datum> result, std::exception_ptr failure) {
    const std::lock_guard lock(mutex);
    outputs = std::move(result);
    error = std::move(failure);
    done = true;
    changed.notify_all();
  }
};

Request Session::submit(std::vector<Datum> inputs, const RunOptions& options) {
  auto state = std::make_shared<Request::State>();
  RunContext context = impl_->new_context(options);
  context.cancelled = &state->cancelled;
  impl_->model->engine->scheduler->submit(
      options.priority, [impl = impl_, state, context, inputs = std::move(inputs)]() mutable {
        std::vector<Datum> outputs;
        std::exception_ptr error;
        try {
          outputs = impl->run_logged(std::move(inputs), context);
        } catch (...) {
          error = std::current_exception();  // rethrown by wait()
        }
        state->complete(std::move(outputs), std::move(error));
      });
  return Request(std::move(state));
}

std::vector<Datum> Request::wait() {
  std::unique_lock lock(state_->mutex);
  state_->changed.wait(lock, [&] { return state_->done; });
  if (state_->error != nullptr) std::rethrow_exception(state_->error);
  return state_->outputs;
}

bool Request::done() const {
  const std::lock_guard lock(state_->mutex);
  return state_->done;
}

void Request::cancel() { state_->cancelled.store(true, std::memory_order_relaxed); }

}  // namespace naru
