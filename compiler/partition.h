// Partition: takes fragments off a device where the copies around them cost more than they are worth.
#pragma once

#include <span>
#include <vector>

#include "compiler/place.h"

namespace naru {

/// What each device said of each node: [device][node].
using Verdicts = std::vector<std::vector<Verdict>>;

/// Moves whole fragments between devices while that shortens the estimated time of a run: the nodes' own time, as
/// devices estimate it, and the copies of values that cross from one memory to another, each to each device once.
/// Only nodes marked in `movable` move, only to a native kernel, and only where both estimates are known.
/// Unless `by_cost`, the order of the devices is what the caller wants: a fragment then moves only when the copies
/// that this saves take longer than its whole work. Each node that moved says so in its reason.
void improve_partition(const Graph& graph, std::span<Device* const> devices, const Verdicts& verdicts,
                       const std::vector<bool>& movable, bool by_cost, std::vector<NodePlacement>& placements);

}  // namespace naru
