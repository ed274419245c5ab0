// Plan: a graph bound to concrete shapes, as steps over devices. What the runtime executes.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "backends/backend.h"
#include "compiler/place.h"
#include "compiler/specialise.h"
#include "graph/graph.h"

namespace naru {

/// One step: a fragment on a device, or one node on the host. Ids are values of Plan::graph.
struct Step {
  int device = kHost;
  std::vector<ValueId> inputs;   ///< a host node's list follows node.inputs, absent ones included
  std::vector<ValueId> captures; ///< host only
  std::vector<ValueId> outputs;
  /// Device only, one per output: the input, an index into `inputs`, that the output updates in place
  /// (OpDef::in_place) and that nothing else in the fragment reads; -1 for none.
  std::vector<int> updates;
  std::shared_ptr<const Graph> fragment;
  std::shared_ptr<const Executable> executable;  ///< device only
  std::vector<ValueId> release;  ///< values whose last use is this step
  std::int64_t compile_ns = 0;

  const Node& host_node() const { return fragment->nodes.front(); }
};

/// Where a graph output comes from: a value of this plan, or an output of the rest.
struct OutputSource {
  ValueId value = kNoValue;
  int rest_output = -1;
};

/// A graph at concrete shapes. Nodes whose shapes follow from run-time data are left to `rest`, a
/// graph of its own that is planned once those data are there.
struct Plan {
  Graph graph;
  std::vector<Step> steps;
  std::vector<NodePlacement> placements;  ///< one per node of `graph`, those of `rest` excluded
  std::vector<std::size_t> planned_nodes; ///< their indices in `graph`
  std::vector<OutputSource> outputs;

  std::shared_ptr<const Graph> rest;      ///< null when everything is planned
  std::vector<ValueId> rest_inputs;       ///< values of `graph`, one per input of `rest`
  std::vector<bool> rest_input_value_needed;

  std::int64_t specialise_ns = 0;
  std::int64_t place_ns = 0;
  std::int64_t compile_ns = 0;
  /// Packed weights and the largest workspace of any step, per device.
  std::vector<MemoryUse> memory;
  std::int64_t boundary_bytes = 0;  ///< values between steps
};

struct PlanOptions {
  bool strict = false;  ///< a node that falls to the host, or runs generically, is an error
  PlaceOptions place;
};

/// Binds, places, groups and compiles. `devices` in order of preference.
/// @throws Error InvalidArgument for inputs that do not fit, Unsupported under `strict`.
Plan make_plan(const Graph& graph, std::span<const InputBinding> bindings,
               std::span<Device* const> devices, const PlanOptions& options = {});

/// Which inputs of `graph` some operator needs by value for its shape rule.
std::vector<bool> inputs_needed_by_value(const Graph& graph);

/// The plan in words: one line per step with device, nodes, kernels, bytes.
std::string to_string(const Plan& plan, std::span<Device* const> devices);

}  // namespace naru
