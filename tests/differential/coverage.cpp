// Pairs of operators.
#include "tests/differential/coverage.h"

#include <string_view>

#include "graph/op_def.h"
#include "tests/differential/recipes.h"

namespace naru::fuzz {
namespace {

/// The operators of the recipes, each once.
std::vector<std::string_view> operators() {
  std::vector<std::string_view> names;
  for (const RecipeEntry& entry : recipes()) {
    if (names.empty() || names.back() != entry.op) names.push_back(entry.op);
  }
  return names;
}

}  // namespace

void PairCoverage::add(const Graph& graph) {
  const UseIndex uses(graph);
  for (const Node& node : graph.nodes) {
    for (const ValueId id : node.inputs) {
      if (id == kNoValue) continue;
      const std::int32_t producer = uses.producer[static_cast<std::size_t>(id)];
      if (producer >= 0) met_.emplace(graph.nodes[static_cast<std::size_t>(producer)].op->name, node.op->name);
    }
  }
}

std::size_t PairCoverage::possible() const { return operators().size() * operators().size(); }

std::vector<std::string> PairCoverage::missing(std::size_t count) const {
  std::vector<std::string> names;
  for (const std::string_view a : operators()) {
    for (const std::string_view b : operators()) {
      if (names.size() < count && !met_.contains({std::string(a), std::string(b)})) {
        names.push_back(std::string(a) + " -> " + std::string(b));
      }
    }
  }
  return names;
}

}  // namespace naru::fuzz
