// Fragments: graphs as the bytes that a plug-in reads.
#pragma once

#include <memory>

#include "backends/plugin/memory.h"
#include "graph/graph.h"

namespace naru::plugin {

/// A graph to compile: every attribute spelled out, constants in place.
std::shared_ptr<SharedMemory> fragment_bytes(const Graph& graph);

/// A graph to ask about: as above without the bytes of large constants.
std::shared_ptr<SharedMemory> question_bytes(const Graph& graph);

}  // namespace naru::plugin
