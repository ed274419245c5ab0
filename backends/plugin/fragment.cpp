// Fragments: attributes spelled out, then the container's bytes in shared memory.
#include "backends/plugin/fragment.h"

#include <cstring>

#include "graph/op_def.h"
#include "graph/serialize.h"

namespace naru::plugin {
namespace {

/// Constants up to here are shapes and scalars that decide whether a node can be run.
constexpr std::int64_t kQuestionConstantBytes = 4096;

/// A plug-in has no table of operators to look defaults up in.
Graph spelled_out(const Graph& graph) {
  Graph result = graph;
  result.metadata.clear();
  for (Node& node : result.nodes) {
    for (const AttrSpec& spec : node.op->attributes) {
      if (spec.default_value) node.attributes.try_emplace(spec.name, *spec.default_value);
    }
  }
  return result;
}

std::shared_ptr<SharedMemory> in_shared_memory(const std::vector<std::byte>& bytes) {
  auto memory = std::make_shared<SharedMemory>(static_cast<std::int64_t>(bytes.size()));
  std::memcpy(memory->data(), bytes.data(), bytes.size());
  return memory;
}

}  // namespace

std::shared_ptr<SharedMemory> fragment_bytes(const Graph& graph) {
  return in_shared_memory(naru_bytes(spelled_out(graph)));
}

std::shared_ptr<SharedMemory> question_bytes(const Graph& graph) {
  return in_shared_memory(
      naru_bytes(spelled_out(graph), {.verify = false, .max_constant_bytes = kQuestionConstantBytes}));
}

}  // namespace naru::plugin
