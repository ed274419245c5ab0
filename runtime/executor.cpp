// Executor: plan cache, step loop, host nodes with their sub-graphs, transfers.
#include "runtime/executor.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "graph/evaluate.h"
#include "graph/fail.h"
#include "runtime/absent_device.h"

namespace naru {
namespace {

/// Inputs larger than this are never part of a plan's key by value.
constexpr std::int64_t kMaxKeyBytes = 4096;

/// Host memory of a tensor seen as a device buffer.
class HostWindow final : public Buffer {
 public:
  HostWindow(std::byte* data, std::int64_t size) : data_(data), size_(size) {}
  std::int64_t size_bytes() const override { return size_; }
  std::byte* host_data() override { return data_; }

 private:
  std::byte* data_;
  std::int64_t size_;
};

Tensor empty_tensor(const Type& type) { return Tensor(type.dtype, *known_shape(*type.shape)); }

}  // namespace

void RunContext::check() const {
  if (cancelled != nullptr && cancelled->load(std::memory_order_relaxed)) {
    throw Error(ErrorCode::Cancelled, "request: cancelled by the caller");
  }
  if (deadline && std::chrono::steady_clock::now() > *deadline) {
    throw Error(ErrorCode::DeadlineExceeded, "request: its deadline passed");
  }
}

/// A cached plan with what its steps need: executors of the rest and of sub-graphs.
struct Executor::Entry {
  std::vector<InputBinding> key;
  Plan plan;
  std::unique_ptr<Executor> rest;
  std::unordered_map<const Graph*, std::unique_ptr<Executor>> subgraphs;
  std::mutex building;
  std::atomic<bool> built = false;
};

Executor::Executor(std::shared_ptr<const Graph> graph, std::vector<Device*> devices,
                   ExecutorOptions options)
    : graph_(std::move(graph)),
      devices_(std::move(devices)),
      options_(options),
      needed_by_value_(inputs_needed_by_value(*graph_)) {}

Executor::~Executor() = default;

std::vector<InputBinding> Executor::bind(const std::vector<Datum>& inputs) const {
  if (inputs.size() != graph_->inputs.size()) {
    fail(ErrorCode::InvalidArgument, "graph '{}': got {} inputs, expected {}", graph_->name,
         inputs.size(), graph_->inputs.size());
  }
  std::vector<InputBinding> bindings;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Datum& input = inputs[i];
    if (input.is_tensor() && !input.tensor.defined()) {
      fail(ErrorCode::InvalidArgument, "input '{}': got no value, expected {}",
           graph_->value(graph_->inputs[i]).name, to_string(graph_->value(graph_->inputs[i]).type));
    }
    InputBinding binding{Type::of(input), {}};
    if (needed_by_value_[i] && input.is_tensor() && input.tensor.dtype() != DType::String &&
        input.tensor.size_bytes() <= kMaxKeyBytes) {
      binding.value = input.tensor.clone();
    }
    bindings.push_back(std::move(binding));
  }
  return bindings;
}

std::shared_ptr<Executor::Entry> Executor::entry_for(const std::vector<Datum>& inputs,
                                                     const RunContext& context) {
  std::vector<InputBinding> key = bind(inputs);
  std::shared_ptr<Entry> entry;
  bool hit = true;
  {
    const std::lock_guard lock(mutex_);
    const auto found = std::find_if(entries_.begin(), entries_.end(),
                                    [&](const auto& candidate) { return candidate->key == key; });
    if (found != entries_.end()) {
      entries_.splice(entries_.begin(), entries_, found);
      entry = entries_.front();
    } else {
      hit = false;
      entry = std::make_shared<Entry>();
      entry->key = key;
      entries_.push_front(entry);
      if (entries_.size() > options_.max_plans) entries_.pop_back();
    }
  }
  // Whoever comes first builds; others for the same shapes wait for it. A failed build leaves the
  // entry as it was, and it must go: the next request tries again.
  try {
    if (!entry->built.load(std::memory_order_acquire)) {
      const std::lock_guard lock(entry->building);
      if (!entry->built.load(std::memory_order_relaxed)) {
        const std::shared_ptr<Entry> made = build(key, context);
        entry->plan = std::move(made->plan);
        entry->rest = std::move(made->rest);
        entry->subgraphs = std::move(made->subgraphs);
        entry->built.store(true, std::memory_order_release);
      }
    }
  } catch (...) {
    const std::lock_guard lock(mutex_);
    entries_.remove(entry);
    throw;
  }
  if (hit && context.log != nullptr) {
    const std::int64_t now = now_ns();
    context.log->append({.kind = EventKind::PlanHit, .request = context.request, .start_ns = now, .end_ns = now});
  }
  return entry;
}

std::shared_ptr<Executor::Entry> Executor::build(const std::vector<InputBinding>& bindings,
                                                 const RunContext& context) {
  auto entry = std::make_shared<Entry>();
  entry->plan = make_plan(*graph_, bindings, devices_, options_.plan);
  const Plan& plan = entry->plan;

  std::int64_t planned = plan.boundary_bytes;
  for (const MemoryUse& use : plan.memory) planned += use.weights_bytes + use.workspace_bytes;
  if (options_.memory_budget_bytes > 0 && planned > options_.memory_budget_bytes) {
    fail(ErrorCode::OutOfMemory, "plan of graph '{}': needs {} bytes, the budget is {}", graph_->name,
         planned, options_.memory_budget_bytes);
  }

  if (plan.rest != nullptr) entry->rest = std::make_unique<Executor>(plan.rest, devices_, options_);
  for (const Step& step : plan.steps) {
    if (step.device != kHost) continue;
    for (const auto& [name, attribute] : step.host_node().attributes) {
      const auto add = [&](const GraphPtr& sub) {
        entry->subgraphs[sub.get()] = std::make_unique<Executor>(sub, devices_, options_);
      };
      if (const auto* sub = std::get_if<GraphPtr>(&attribute)) add(*sub);
      if (const auto* subs = std::get_if<std::vector<GraphPtr>>(&attribute)) {
        for (const GraphPtr& sub : *subs) add(sub);
      }
    }
  }
  if (context.log != nullptr) {
    std::int64_t end = now_ns();
    std::int64_t start = end - plan.specialise_ns - plan.place_ns - plan.compile_ns;
    const std::array<std::pair<const char*, std::int64_t>, 3> phases{
        {{"specialise", plan.specialise_ns}, {"place", plan.place_ns}, {"compile", plan.compile_ns}}};
    for (const auto& [name, duration] : phases) {
      context.log->append({.kind = EventKind::Phase, .request = context.request,
                           .name = context.log->intern(name), .start_ns = start, .end_ns = start + duration});
      start += duration;
    }
  }
  return entry;
}

/// One run of one plan: the values and the work in flight.
class Executor::Run {
 public:
  Run(Executor& executor, Entry& entry, const RunContext& context)
      : executor_(executor), entry_(entry), plan_(entry.plan), context_(context),
        slots_(plan_.graph.values.size()) {}

  std::vector<Datum> operator()(std::vector<Datum> inputs) {
    const std::vector<bool>& overwritable = executor_.options_.overwritable;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      slot(plan_.graph.inputs[i]).host = std::move(inputs[i]);
      slot(plan_.graph.inputs[i]).on_host = true;
      slot(plan_.graph.inputs[i]).overwritable = i < overwritable.size() && overwritable[i];
    }
    try {
      for (const Step& step : plan_.steps) {
        context_.check();
        if (step.device == kHost) {
          run_on_host(step);
        } else {
          run_on_device(step);
        }
        for (const ValueId id : step.release) slot(id) = Slot{};
      }
      return outputs();
    } catch (...) {
      drain();
      throw;
    }
  }

 private:
  /// A value's copies: on the host, on one device, or both.
  struct Slot {
    Datum host;
    bool on_host = false;
    bool overwritable = false;
    int device = kHost;
    std::shared_ptr<Buffer> buffer;
  };

  Slot& slot(ValueId id) { return slots_[static_cast<std::size_t>(id)]; }
  const Value& value(ValueId id) const { return plan_.graph.value(id); }

  /// The value in host memory; waits for nothing, since device steps are waited for as they run.
  const Datum& on_host(ValueId id) {
    Slot& s = slot(id);
    if (s.on_host) return s.host;
    if (value(id).is_constant()) {
      s.host = value(id).constant;
      s.on_host = true;
      return s.host;
    }
    NARU_CHECK(s.buffer != nullptr, "value '" + value(id).name + "' was not produced");
    Tensor tensor = empty_tensor(value(id).type);
    const std::int64_t start = now_ns();
    device(s.device).read({s.buffer.get(), 0, tensor.size_bytes()}, tensor.mutable_data());
    log_copy(s.device, start, tensor.size_bytes());
    s.host = std::move(tensor);
    s.on_host = true;
    return s.host;
  }

  BufferView on_device(ValueId id, int target) {
    Slot& s = slot(id);
    if (s.device == target && s.buffer != nullptr) return {s.buffer.get(), 0, s.buffer->size_bytes()};
    const Tensor tensor = on_host(id).tensor;
    const std::int64_t size = tensor.size_bytes();
    if (device(target).info().host_memory) {
      auto* data = const_cast<std::byte*>(tensor.data());
      s.buffer = std::make_shared<HostWindow>(data, size);
    } else {
      s.buffer = device(target).allocate(size);
      const std::int64_t start = now_ns();
      device(target).write({s.buffer.get(), 0, size}, tensor.data());
      log_copy(target, start, size);
    }
    s.device = target;
    return {s.buffer.get(), 0, size};
  }

  BufferView new_on_device(ValueId id, int target) {
    Slot& s = slot(id);
    const Type& type = value(id).type;
    if (device(target).info().host_memory) {
      s.host = empty_tensor(type);
      s.on_host = true;
      s.buffer = std::make_shared<HostWindow>(s.host.tensor.mutable_data(), s.host.tensor.size_bytes());
    } else {
      const std::int64_t size = storage_bytes(type.dtype, known_shape(*type.shape)->numel());
      s.buffer = device(target).allocate(size);
    }
    s.device = target;
    return {s.buffer.get(), 0, s.buffer->size_bytes()};
  }

  /// The memory of output `i` of a step: that of the input it updates in place where it may be
  /// overwritten and nobody reads it later, else new memory.
  BufferView output_view(const Step& step, std::size_t i) {
    const ValueId id = step.outputs[i];
    const int updated = step.updates[i];
    if (updated < 0) return new_on_device(id, step.device);
    const ValueId input = step.inputs[static_cast<std::size_t>(updated)];
    const bool last_use = std::find(step.release.begin(), step.release.end(), input) != step.release.end();
    if (!last_use || !slot(input).overwritable) return new_on_device(id, step.device);
    slot(id) = slot(input);
    // A copy on the host that is not the device's memory is no longer the value.
    slot(id).on_host = slot(input).on_host && device(step.device).info().host_memory;
    return on_device(id, step.device);
  }

  void run_on_device(const Step& step) {
    Submission submission;
    submission.executable = step.executable;
    for (const ValueId id : step.inputs) submission.inputs.push_back(on_device(id, step.device));
    for (std::size_t i = 0; i < step.outputs.size(); ++i) submission.outputs.push_back(output_view(step, i));
    std::vector<NodeSpan> spans;
    if (context_.profile) submission.spans = &spans;
    const std::int64_t start = now_ns();
    in_flight_ = device(step.device).submit(std::move(submission));
    in_flight_->wait();
    in_flight_.reset();
    log_step(step, step.device, start, spans);
  }

  void run_on_host(const Step& step) {
    const Node& node = step.host_node();
    const auto gather = [&](const std::vector<ValueId>& ids) {
      std::vector<Datum> data;
      for (const ValueId id : ids) data.push_back(id == kNoValue ? Datum{} : on_host(id));
      return data;
    };
    const ReferenceContext::SubgraphRunner run_subgraph = [&](const Graph& graph, std::vector<Datum> inputs) {
      context_.check();
      const auto found = entry_.subgraphs.find(&graph);
      NARU_CHECK(found != entry_.subgraphs.end(), "sub-graph without executor");
      return found->second->run(std::move(inputs), context_);
    };
    const std::int64_t start = now_ns();
    std::vector<Datum> results =
        evaluate_node(node, gather(step.inputs), gather(step.captures), &run_subgraph);
    for (std::size_t i = 0; i < step.outputs.size(); ++i) {
      if (step.outputs[i] == kNoValue) continue;
      check_planned_type(step.outputs[i], results[i]);
      slot(step.outputs[i]).host = std::move(results[i]);
      slot(step.outputs[i]).on_host = true;
    }
    log_step(step, kHost, start, {});
  }

  /// Later steps were compiled for the inferred type, so a host node must keep to it.
  void check_planned_type(ValueId id, const Datum& result) const {
    const Type& planned = value(id).type;
    if (!planned.is_static()) return;
    if (!result.is_tensor() || !(Type::of(result) == planned)) {
      fail(ErrorCode::InvalidModel, "value '{}': got {} at run time, the model says {}",
           value(id).name, to_string(Type::of(result)), to_string(planned));
    }
  }

  std::vector<Datum> outputs() {
    std::vector<Datum> rest_outputs;
    if (entry_.rest != nullptr) {
      std::vector<Datum> rest_inputs;
      for (const ValueId id : plan_.rest_inputs) rest_inputs.push_back(on_host(id));
      rest_outputs = entry_.rest->run(std::move(rest_inputs), context_);
    }
    std::vector<Datum> results;
    for (const OutputSource& source : plan_.outputs) {
      if (source.rest_output >= 0) {
        results.push_back(rest_outputs[static_cast<std::size_t>(source.rest_output)]);
        continue;
      }
      const Datum& datum = on_host(source.value);
      // A constant belongs to the model; the caller may write into what it gets.
      results.push_back(value(source.value).is_constant() ? Datum(datum.tensor.clone()) : datum);
    }
    return results;
  }

  /// Work in flight uses this run's memory, so it must end before the memory goes.
  void drain() noexcept {
    if (in_flight_ == nullptr) return;
    try {
      in_flight_->wait();
    } catch (...) {
      // The failure that started the drain is the one to report.
    }
  }

  Device& device(int index) const { return *executor_.devices_[static_cast<std::size_t>(index)]; }

  void log_copy(int device_index, std::int64_t start, std::int64_t bytes) {
    if (context_.log == nullptr) return;
    context_.log->append({.kind = EventKind::Copy, .device = static_cast<std::int16_t>(device_index),
                          .request = context_.request, .name = context_.log->intern("copy"),
                          .start_ns = start, .end_ns = now_ns(), .bytes = bytes});
  }

  void log_step(const Step& step, int device_index, std::int64_t start, const std::vector<NodeSpan>& spans) {
    if (context_.log == nullptr) return;
    EventLog& log = *context_.log;
    const auto device_id = static_cast<std::int16_t>(device_index);
    log.append({.kind = EventKind::Step, .device = device_id, .request = context_.request,
                .name = log.intern(step.fragment->nodes.front().name),
                .op = log.intern(step.fragment->nodes.front().op->full_name()),
                .start_ns = start, .end_ns = now_ns()});
    for (const NodeSpan& span : spans) {
      const bool known = span.node >= 0;
      const Node* node = known ? &step.fragment->nodes[static_cast<std::size_t>(span.node)] : nullptr;
      log.append({.kind = EventKind::Node, .device = device_id, .request = context_.request,
                  .name = log.intern(known ? node->name : "layout conversion"),
                  .op = log.intern(known ? node->op->full_name() : "reorder"),
                  .detail = log.intern(span.kernel), .start_ns = span.start_ns, .end_ns = span.end_ns});
    }
  }

  Executor& executor_;
  Entry& entry_;
  const Plan& plan_;
  const RunContext& context_;
  std::vector<Slot> slots_;
  EventPtr in_flight_;
};

/// True when what a dispensable device fails may run again elsewhere: not under `strict`, and not where
/// a run overwrites its inputs.
bool Executor::movable() const {
  const auto is_set = [](bool flag) { return flag; };
  return !options_.plan.strict && std::none_of(options_.overwritable.begin(), options_.overwritable.end(), is_set) &&
         std::any_of(devices_.begin(), devices_.end(), [](const Device* device) { return device->dispensable(); });
}

/// Where runs go that `error` ended here.
Executor& Executor::spare(const Error& error, const RunContext& context) {
  if (context.log != nullptr) {
    const std::int64_t now = now_ns();
    context.log->append({.kind = EventKind::Moved, .request = context.request, .name = context.log->intern(error.message()),
                         .start_ns = now, .end_ns = now});
  }
  const std::lock_guard lock(mutex_);
  if (spare_ == nullptr) {
    std::vector<Device*> others = devices_;
    for (Device*& device : others) {
      if (!device->dispensable()) continue;
      absent_.push_back(std::make_unique<AbsentDevice>(device->info(), error.message()));
      device = absent_.back().get();
    }
    spare_ = std::make_unique<Executor>(graph_, std::move(others), options_);
  }
  return *spare_;
}

std::vector<Datum> Executor::run(std::vector<Datum> inputs, const RunContext& context) {
  if (!movable()) return run_here(std::move(inputs), context);
  try {
    return run_here(inputs, context);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::Device) throw;
    return spare(error, context).run(std::move(inputs), context);
  }
}

std::vector<Datum> Executor::run_here(std::vector<Datum> inputs, const RunContext& context) {
  context.check();
  const std::shared_ptr<Entry> entry = entry_for(inputs, context);
  return Run(*this, *entry, context)(std::move(inputs));
}

std::shared_ptr<const Plan> Executor::plan_for(const std::vector<Datum>& inputs, const RunContext& context) {
  try {
    const std::shared_ptr<Entry> entry = entry_for(inputs, context);
    return {entry, &entry->plan};
  } catch (const Error& error) {
    if (error.code() != ErrorCode::Device || !movable()) throw;
    return spare(error, context).plan_for(inputs, context);
  }
}

}  // namespace naru
