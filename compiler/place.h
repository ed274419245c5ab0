// Placement: which device runs which node, and why.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "backends/backend.h"
#include "graph/graph.h"

namespace naru {

/// The host itself, as the executor of nodes that no device runs.
inline constexpr int kHost = -1;

/// Where one node runs and why there.
struct NodePlacement {
  int device = kHost;  ///< index into the devices, or kHost
  Tier tier = Tier::None;
  std::string reason;  ///< the kernel, or what each device answered
};

/// How a node takes part in a plan.
enum class Role : std::uint8_t {
  Placed,  ///< static: a device may run it
  Host,    ///< runs on the host: control flow, sequences, outputs known only at run time
  Later,   ///< its shapes follow from values that this plan produces
};

/// Strings are objects of the host; no device takes a node that reads or writes them.
bool touches_strings(const Graph& graph, const Node& node);

/// Nodes that have to run on one device.
struct Pin {
  std::string pattern;  ///< of node names, as in a shell: `*`, `?`, `[...]`
  std::string device;   ///< its id, or what stands before the colon of it
};

struct PlaceOptions {
  std::vector<Pin> pins;  ///< the first that fits a node counts
  /// Devices are chosen by estimated time, not by their order.
  bool by_cost = false;
};

/// Decides for every node with Role::Placed: the device that it is pinned to; else the first device, in the
/// given order, that has a kernel of its own; else the node is decomposed in place when some device then runs
/// all of its parts natively; else the first device that runs it generically; else the host. Fragments that
/// are not worth their copies, or that run faster elsewhere where time decides, are then moved: see
/// partition.h. Decomposition grows `graph` and, with it, `roles` (one per node). Entries of nodes that are
/// not Placed say so.
/// @throws Error InvalidArgument for a pin to no device of these, Unsupported where the device refuses the node.
std::vector<NodePlacement> place(Graph& graph, std::vector<Role>& roles,
                                 std::span<Device* const> devices, const PlaceOptions& options = {});

/// A maximal group of nodes that one device can run as one fragment, in execution order.
struct Group {
  int device = kHost;
  std::vector<std::size_t> nodes;  ///< ascending; exactly one for the host
};

/// Groups nodes so that no group depends on itself through another (convex fragments).
std::vector<Group> group_fragments(const Graph& graph, std::span<const NodePlacement> placement);

}  // namespace naru
