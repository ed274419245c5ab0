// Pairs of operators.
#include "tests/differential/coverage.h"

#include <algorithm>

#include "graph/op_def.h"

namespace naru::fuzz {
void PairCoverage::add(const Graph& graph) {
  const UseIndex uses(graph);
  for (const Node& node : graph.nodes) {
    for (const ValueId id : node.inputs) {
      if (id == kNoValue) continue;
      const std::int32_t producer = uses.producer[static_cast<std::size_t>(id)];
      if (producer < 0) continue;
      met_.emplace(graph.nodes[static_cast<std::size_t>(producer)].op->name, node.op->name);
      consumed_[node.op->name].insert(graph.value(id).type.dtype);
    }
    for (const ValueId id : node.outputs) produced_[node.op->name].insert(graph.value(id).type.dtype);
  }
}

bool PairCoverage::can_meet(const std::string& a, const std::string& b) const {
  const auto produced = produced_.find(a), consumed = consumed_.find(b);
  if (produced == produced_.end() || consumed == consumed_.end()) return false;
  return std::any_of(produced->second.begin(), produced->second.end(), [&](DType dtype) { return consumed->second.contains(dtype); });
}

std::size_t PairCoverage::possible() const {
  std::size_t count = 0;
  for (const auto& [a, types] : produced_) {
    for (const auto& [b, others] : consumed_) count += can_meet(a, b) ? 1 : 0;
  }
  return count;
}

std::vector<std::string> PairCoverage::missing(std::size_t count) const {
  std::vector<std::string> names;
  for (const auto& [a, types] : produced_) {
    for (const auto& [b, others] : consumed_) {
      if (names.size() < count && can_meet(a, b) && !met_.contains({a, b})) names.push_back(a + " -> " + b);
    }
  }
  return names;
}

}  // namespace naru::fuzz
