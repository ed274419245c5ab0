// Placement: verdicts of all devices, trial decomposition, convex grouping.
#include "compiler/place.h"

#include <fnmatch.h>

#include <algorithm>
#include <array>
#include <map>

#include "compiler/decompose.h"
#include "compiler/extract.h"
#include "compiler/partition.h"
#include "graph/fail.h"
#include "graph/op_def.h"

namespace naru {
namespace {

constexpr int kMaxDecompositionDepth = 8;

constexpr std::size_t kNotPinned = SIZE_MAX;

/// The device that a node is pinned to.
std::size_t pinned_to(std::span<Device* const> devices, const PlaceOptions& options, const Node& node) {
  const auto pin = std::find_if(options.pins.begin(), options.pins.end(),
                                [&](const Pin& p) { return fnmatch(p.pattern.c_str(), node.name.c_str(), 0) == 0; });
  if (pin == options.pins.end()) return kNotPinned;
  for (std::size_t d = 0; d < devices.size(); ++d) {
    const std::string& id = devices[d]->info().id;
    if (id == pin->device || id.starts_with(pin->device + ":")) return d;
  }
  std::string ids;
  for (const Device* device : devices) ids += (ids.empty() ? "" : ", ") + device->info().id;
  fail(ErrorCode::InvalidArgument, "pin '{}': got device '{}', expected one of {}", pin->pattern, pin->device, ids);
}

/// A node that is pinned runs there or not at all.
void require_pin(std::span<Device* const> devices, std::size_t pinned, const Node& node, const NodePlacement& placement) {
  if (pinned == kNotPinned || placement.device == static_cast<int>(pinned)) return;
  fail(ErrorCode::Unsupported, "{}: is pinned to {}, which does not run it ({})", node.label(), devices[pinned]->info().id,
       placement.reason);
}

NodePlacement choose(std::span<Device* const> devices, const Verdicts& verdicts, std::size_t node) {
  for (const Tier tier : {Tier::Native, Tier::Generic}) {
    for (std::size_t d = 0; d < devices.size(); ++d) {
      const Verdict& verdict = verdicts[d][node];
      if (verdict.tier == tier) return {static_cast<int>(d), tier, verdict.reason};
    }
  }
  std::string reasons;
  for (std::size_t d = 0; d < devices.size(); ++d) {
    reasons += (reasons.empty() ? "" : "; ") + devices[d]->info().id + ": " + verdicts[d][node].reason;
  }
  return {kHost, Tier::None, reasons};
}

/// What all devices say, and the choice that follows from their order and the pins.
struct Answers {
  std::vector<std::size_t> pinned;  // by node: a device, or kNotPinned
  Verdicts verdicts;
  std::vector<NodePlacement> placements;
};

Answers ask(const Graph& graph, std::span<Device* const> devices, const PlaceOptions& options) {
  Answers answers;
  for (const Node& node : graph.nodes) answers.pinned.push_back(pinned_to(devices, options, node));
  for (std::size_t d = 0; d < devices.size(); ++d) {
    answers.verdicts.push_back(devices[d]->support(graph));
    NARU_CHECK(answers.verdicts.back().size() == graph.nodes.size(), "one verdict per node");
    for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
      const std::size_t pinned = answers.pinned[i];
      if (pinned != kNotPinned && pinned != d) answers.verdicts[d][i] = {Tier::None, "pinned elsewhere", 0};
    }
  }
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    answers.placements.push_back(choose(devices, answers.verdicts, i));
  }
  return answers;
}

/// Tries to rewrite node `index` so that every part runs natively; null when it does not.
std::unique_ptr<Graph> native_decomposition(const Graph& graph, std::size_t index,
                                            std::span<Device* const> devices,
                                            const PlaceOptions& options, int depth) {
  if (graph.nodes[index].op->decompose == nullptr || depth > kMaxDecompositionDepth) return nullptr;
  const std::array<std::size_t, 1> one{index};
  std::vector<ValueId> outputs;
  for (const ValueId id : graph.nodes[index].outputs) {
    if (id != kNoValue) outputs.push_back(id);
  }
  auto trial = std::make_unique<Graph>(extract(graph, one, outputs).graph);
  if (!decompose_node(*trial, 0)) return nullptr;
  for (std::size_t i = 0; i < trial->nodes.size();) {
    const NodePlacement placement = ask(*trial, devices, options).placements[i];
    if (placement.tier == Tier::Native) {
      ++i;
    } else if (native_decomposition(*trial, i, devices, options, depth + 1) == nullptr ||
               !decompose_node(*trial, i)) {
      return nullptr;
    }
  }
  return trial;
}

}  // namespace

bool touches_strings(const Graph& graph, const Node& node) {
  const auto any = [&](const std::vector<ValueId>& ids) {
    return std::any_of(ids.begin(), ids.end(), [&](ValueId id) {
      return id != kNoValue && graph.value(id).type.dtype == DType::String;
    });
  };
  return any(node.inputs) || any(node.outputs);
}

std::vector<NodePlacement> place(Graph& graph, std::vector<Role>& roles,
                                 std::span<Device* const> devices, const PlaceOptions& options) {
  Answers answers = ask(graph, devices, options);
  bool changed = true;
  for (int round = 0; changed && round < kMaxDecompositionDepth; ++round) {
    changed = false;
    for (std::size_t i = graph.nodes.size(); i-- > 0;) {
      if (roles[i] != Role::Placed || answers.placements[i].tier == Tier::Native) continue;
      if (native_decomposition(graph, i, devices, options, 0) == nullptr) continue;
      const std::size_t before = graph.nodes.size();
      if (!decompose_node(graph, i)) continue;
      changed = true;
      roles.insert(roles.begin() + static_cast<std::ptrdiff_t>(i),
                   graph.nodes.size() - before, Role::Placed);
    }
    if (changed) answers = ask(graph, devices, options);
  }
  std::vector<NodePlacement>& placements = answers.placements;
  std::vector<bool> movable;
  for (std::size_t i = 0; i < roles.size(); ++i) {
    movable.push_back(roles[i] == Role::Placed);
    if (roles[i] == Role::Placed) {
      require_pin(devices, answers.pinned[i], graph.nodes[i], placements[i]);
      continue;
    }
    const bool dynamic = graph.nodes[i].op->dynamic_output;
    placements[i] = {kHost, Tier::Generic,
                     dynamic                                  ? "its output is known only at run time"
                     : touches_strings(graph, graph.nodes[i]) ? "strings stay on the host"
                                                              : "its shape follows from run-time values"};
  }
  improve_partition(graph, devices, answers.verdicts, movable, options.by_cost, placements);
  return std::move(answers.placements);
}

std::vector<Group> group_fragments(const Graph& graph, std::span<const NodePlacement> placement) {
  // A node's stage is at least that of its producers, and one more where the device changes. Nodes
  // of one device and stage then form a convex group: leaving and coming back raises the stage.
  std::vector<int> stage(graph.nodes.size(), 0);
  std::vector<std::int32_t> producer(graph.values.size(), -1);
  std::map<std::pair<int, int>, Group> groups;
  int host_order = 0;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    const int device = placement[i].device;
    for (const auto* ids : {&node.inputs, &node.captures}) {
      for (const ValueId id : *ids) {
        if (id == kNoValue || producer[static_cast<std::size_t>(id)] < 0) continue;
        const auto p = static_cast<std::size_t>(producer[static_cast<std::size_t>(id)]);
        const bool same = placement[p].device == device && device != kHost;
        stage[i] = std::max(stage[i], stage[p] + (same ? 0 : 1));
      }
    }
    for (const ValueId id : node.outputs) {
      if (id != kNoValue) producer[static_cast<std::size_t>(id)] = static_cast<std::int32_t>(i);
    }
    // Host nodes never share a group: their key is made unique below every device index.
    const int key = device == kHost ? -1 - host_order++ : device;
    Group& group = groups[{stage[i], key}];
    group.device = device;
    group.nodes.push_back(i);
  }
  std::vector<Group> result;
  for (auto& [key, group] : groups) result.push_back(std::move(group));
  return result;
}

}  // namespace naru
