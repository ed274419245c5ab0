// make_plan(): what can be planned now, on which device, in which steps; the rest for later.
#include "compiler/plan.h"

#include <algorithm>
#include <array>
#include <chrono>

#include "compiler/extract.h"
#include "graph/fail.h"
#include "graph/infer.h"

namespace naru {
namespace {

using Clock = std::chrono::steady_clock;

std::int64_t ns_since(Clock::time_point start) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start).count();
}

std::int64_t bytes_of(const Type& type) {
  return type.is_static() && type.dtype != DType::String
             ? storage_bytes(type.dtype, known_shape(*type.shape)->numel())
             : 0;
}

}  // namespace

std::vector<bool> inputs_needed_by_value(const Graph& graph) {
  std::vector<bool> needed(graph.values.size(), false);
  for (const Node& node : graph.nodes) {
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      const auto& formal = node.op->inputs;
      if (formal.empty() || node.inputs[i] == kNoValue) continue;
      if (formal[std::min(i, formal.size() - 1)].value_needed) {
        needed[static_cast<std::size_t>(node.inputs[i])] = true;
      }
    }
  }
  std::vector<bool> result;
  for (const ValueId id : graph.inputs) result.push_back(needed[static_cast<std::size_t>(id)]);
  return result;
}

namespace {

/// The value that `id` is an in-place update of and that nothing but this update reads, or kNoValue.
ValueId updated_by(const Graph& graph, const UseIndex& uses, ValueId id) {
  const std::int32_t producer = uses.producer[static_cast<std::size_t>(id)];
  if (producer < 0) return kNoValue;
  const Node& node = graph.nodes[static_cast<std::size_t>(producer)];
  for (const InPlaceOutput& pair : node.op->in_place) {
    if (!node.has_output(pair.output) || node.outputs[pair.output] != id || !node.has_input(pair.input)) continue;
    const ValueId input = node.inputs[pair.input];
    return uses.single_use(input) ? input : kNoValue;
  }
  return kNoValue;
}

/// Per output of a fragment the input that it updates in place, through any number of nodes; -1: none.
std::vector<int> updates_of(const Graph& fragment) {
  const UseIndex uses(fragment);
  std::vector<int> updates;
  for (ValueId id : fragment.outputs) {
    do id = updated_by(fragment, uses, id);
    while (id != kNoValue && uses.producer[static_cast<std::size_t>(id)] >= 0);
    const auto input = std::find(fragment.inputs.begin(), fragment.inputs.end(), id);
    const bool found = id != kNoValue && input != fragment.inputs.end();
    updates.push_back(found ? static_cast<int>(input - fragment.inputs.begin()) : -1);
  }
  return updates;
}

/// What is known of a value when steps are laid out.
enum class Known : std::uint8_t {
  No,       ///< not produced by this plan
  Value,    ///< produced at run time with a type found only then
  Shape,    ///< static
};

/// A node whose shapes follow from run-time values costs less on the host than a second plan when
/// it moves no more than this. Under `strict` the host is no choice.
constexpr std::int64_t kSmallBytes = 64 << 10;

class Classifier {
 public:
  /// What moves no more than `host_bytes` goes to the host rather than into a plan of its own.
  Classifier(const Graph& graph, std::int64_t host_bytes)
      : graph_(graph), host_bytes_(host_bytes), known_(graph.values.size(), Known::No) {
    for (std::size_t i = 0; i < graph.values.size(); ++i) {
      if (graph.values[i].is_constant()) known_[i] = Known::Shape;
    }
    for (const ValueId id : graph.inputs) mark(id, true);
  }

  std::vector<Role> run() {
    std::vector<Role> roles;
    for (const Node& node : graph_.nodes) {
      roles.push_back(role_of(node));
      for (const ValueId id : node.outputs) {
        if (id != kNoValue) mark(id, roles.back() != Role::Later);
      }
    }
    // A rest that repeats the whole graph would never end; its first node then runs on the host.
    const bool stuck = std::all_of(roles.begin(), roles.end(), [](Role r) { return r == Role::Later; });
    if (stuck && !roles.empty()) roles.front() = Role::Host;
    return roles;
  }

 private:
  void mark(ValueId id, bool produced) {
    Known& known = known_[static_cast<std::size_t>(id)];
    known = !produced ? Known::No
                      : graph_.value(id).type.is_static() ? Known::Shape : Known::Value;
  }

  Role role_of(const Node& node) const {
    Known inputs = Known::Shape;
    std::int64_t bytes = 0;
    for (const auto* ids : {&node.inputs, &node.captures}) {
      for (const ValueId id : *ids) {
        if (id == kNoValue) continue;
        inputs = std::min(inputs, known_[static_cast<std::size_t>(id)]);
        bytes += bytes_of(graph_.value(id).type);
      }
    }
    if (inputs == Known::No) return Role::Later;
    if (node.op->dynamic_output || touches_strings(graph_, node)) return Role::Host;
    if (inputs == Known::Value) return Role::Later;
    const bool outputs_static = std::all_of(node.outputs.begin(), node.outputs.end(), [&](ValueId id) {
      return id == kNoValue || graph_.value(id).type.is_static();
    });
    if (outputs_static) return Role::Placed;
    return bytes <= host_bytes_ ? Role::Host : Role::Later;
  }

  const Graph& graph_;
  std::int64_t host_bytes_;
  std::vector<Known> known_;
};

void require_strict(const Plan& plan, std::span<Device* const> devices) {
  for (std::size_t i = 0; i < plan.placements.size(); ++i) {
    const NodePlacement& placement = plan.placements[i];
    if (placement.tier == Tier::Native) continue;
    const Node& node = plan.graph.nodes[plan.planned_nodes[i]];
    if (placement.device == kHost && node.op->dynamic_output) continue;  // the host is its place
    const std::string where = placement.device == kHost
                                  ? "the host"
                                  : devices[static_cast<std::size_t>(placement.device)]->info().id;
    fail(ErrorCode::Unsupported, "{}: runs on {} without a kernel of its own, refused by strict ({})",
         node.label(), where, placement.reason);
  }
}

/// Lays out steps: `keep` marks values that outlive the plan's steps (outputs, inputs of the rest).
void add_steps(Plan& plan, std::span<Device* const> devices, const std::vector<bool>& keep) {
  const Graph& graph = plan.graph;
  // The planned part as a graph of its own, so that node indices match the placements.
  Graph part = graph;
  part.nodes.clear();
  for (const std::size_t i : plan.planned_nodes) part.nodes.push_back(graph.nodes[i]);
  const std::vector<Group> groups = group_fragments(part, plan.placements);

  // A fragment returns what another group, or the outside, uses.
  std::vector<int> group_of(graph.values.size(), -1);
  std::vector<bool> crosses = keep;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    for (const std::size_t n : groups[g].nodes) {
      for (const ValueId id : part.nodes[n].outputs) {
        if (id != kNoValue) group_of[static_cast<std::size_t>(id)] = static_cast<int>(g);
      }
    }
  }
  for (std::size_t g = 0; g < groups.size(); ++g) {
    for (const std::size_t n : groups[g].nodes) {
      for (const auto* ids : {&part.nodes[n].inputs, &part.nodes[n].captures}) {
        for (const ValueId id : *ids) {
          if (id != kNoValue && group_of[static_cast<std::size_t>(id)] != static_cast<int>(g)) {
            crosses[static_cast<std::size_t>(id)] = true;
          }
        }
      }
    }
  }

  for (const Group& group : groups) {
    Step step;
    step.device = group.device;
    if (group.device == kHost) {
      const Node& node = part.nodes[group.nodes.front()];
      auto holder = std::make_shared<Graph>();
      holder->nodes.push_back(node);
      step.inputs = node.inputs;
      step.captures = node.captures;
      step.outputs = node.outputs;
      step.fragment = std::move(holder);
    } else {
      std::vector<ValueId> outputs;
      for (const std::size_t n : group.nodes) {
        for (const ValueId id : part.nodes[n].outputs) {
          if (id != kNoValue && crosses[static_cast<std::size_t>(id)]) outputs.push_back(id);
        }
      }
      Extract cut = extract(part, group.nodes, outputs);
      step.inputs = std::move(cut.inputs);
      step.outputs = std::move(cut.outputs);
      step.updates = updates_of(cut.graph);
      step.fragment = std::make_shared<const Graph>(std::move(cut.graph));
      const Clock::time_point start = Clock::now();
      Device& device = *devices[static_cast<std::size_t>(group.device)];
      step.executable = with_context(
          [&] { return "compiling a fragment for " + device.info().id; },
          [&] { return device.compile(step.fragment); });
      step.compile_ns = ns_since(start);
      plan.compile_ns += step.compile_ns;
      MemoryUse& use = plan.memory[static_cast<std::size_t>(group.device)];
      const MemoryUse own = step.executable->memory();
      use.weights_bytes += own.weights_bytes;
      use.workspace_bytes = std::max(use.workspace_bytes, own.workspace_bytes);
    }
    plan.steps.push_back(std::move(step));
  }
}

/// Marks at each step the values that nothing needs after it.
void add_releases(Plan& plan, const std::vector<bool>& keep) {
  std::vector<bool> seen = keep;
  for (std::size_t s = plan.steps.size(); s-- > 0;) {
    Step& step = plan.steps[s];
    for (const auto* ids : {&step.inputs, &step.captures, &step.outputs}) {
      for (const ValueId id : *ids) {
        if (id == kNoValue || seen[static_cast<std::size_t>(id)]) continue;
        if (plan.graph.value(id).is_constant()) continue;
        seen[static_cast<std::size_t>(id)] = true;
        step.release.push_back(id);
      }
    }
    for (const ValueId id : step.outputs) {
      if (id != kNoValue) plan.boundary_bytes += bytes_of(plan.graph.value(id).type);
    }
  }
}

/// Sends each graph output to the value or the rest output that produces it, and cuts out the rest.
/// Returns which values must outlive the steps.
std::vector<bool> split_rest(Plan& plan, std::span<const Role> roles) {
  const Graph& graph = plan.graph;
  std::vector<std::size_t> later;
  std::vector<bool> is_later(graph.values.size(), false);
  for (std::size_t i = 0; i < roles.size(); ++i) {
    if (roles[i] != Role::Later) continue;
    later.push_back(i);
    for (const ValueId id : graph.nodes[i].outputs) {
      if (id != kNoValue) is_later[static_cast<std::size_t>(id)] = true;
    }
  }
  std::vector<bool> keep(graph.values.size(), false);
  std::vector<ValueId> rest_outputs;
  for (const ValueId id : graph.outputs) {
    if (is_later[static_cast<std::size_t>(id)]) {
      plan.outputs.push_back({kNoValue, static_cast<int>(rest_outputs.size())});
      rest_outputs.push_back(id);
    } else {
      plan.outputs.push_back({id, -1});
      keep[static_cast<std::size_t>(id)] = true;
    }
  }
  if (later.empty()) return keep;
  Extract cut = extract(graph, later, rest_outputs);
  plan.rest_inputs = std::move(cut.inputs);
  for (const ValueId id : plan.rest_inputs) keep[static_cast<std::size_t>(id)] = true;
  plan.rest_input_value_needed = inputs_needed_by_value(cut.graph);
  plan.rest = std::make_shared<const Graph>(std::move(cut.graph));
  return keep;
}

}  // namespace

Plan make_plan(const Graph& graph, std::span<const InputBinding> bindings,
               std::span<Device* const> devices, const PlanOptions& options) {
  Plan plan;
  plan.memory.resize(devices.size());
  Clock::time_point start = Clock::now();
  plan.graph = specialise(graph, bindings);
  plan.specialise_ns = ns_since(start);

  start = Clock::now();
  std::vector<Role> roles = Classifier(plan.graph, options.strict ? -1 : kSmallBytes).run();
  std::vector<NodePlacement> placements = place(plan.graph, roles, devices, options.place);
  for (std::size_t i = 0; i < roles.size(); ++i) {
    if (roles[i] == Role::Later) continue;
    plan.planned_nodes.push_back(i);
    plan.placements.push_back(std::move(placements[i]));
  }
  plan.place_ns = ns_since(start);
  if (options.strict) require_strict(plan, devices);

  const std::vector<bool> keep = split_rest(plan, roles);
  add_steps(plan, devices, keep);
  add_releases(plan, keep);
  return plan;
}

std::string to_string(const Plan& plan, std::span<Device* const> devices) {
  std::string text;
  for (std::size_t s = 0; s < plan.steps.size(); ++s) {
    const Step& step = plan.steps[s];
    const std::string where =
        step.device == kHost ? "host" : devices[static_cast<std::size_t>(step.device)]->info().id;
    text += fmt::format("step {} on {}: {} nodes, {} inputs, {} outputs\n", s, where,
                        step.fragment->nodes.size(), step.inputs.size(), step.outputs.size());
    if (step.executable != nullptr) {
      text += step.executable->describe();
    } else {
      text += "  " + step.host_node().label() + "\n";
    }
  }
  if (plan.rest != nullptr) {
    text += fmt::format("rest: {} nodes, planned when {} values are known\n", plan.rest->nodes.size(),
                        plan.rest_inputs.size());
  }
  return text;
}

}  // namespace naru
