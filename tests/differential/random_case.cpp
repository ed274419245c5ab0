// Draws recipes until the graph has the nodes it should.
#include "tests/differential/random_case.h"

#include "tests/differential/recipes.h"

namespace naru::fuzz {

RandomCase random_case(std::uint64_t seed) {
  GraphBuilder builder(seed * 0x9e3779b97f4a7c15ULL + 1);
  const auto wanted = static_cast<std::size_t>(builder.choose.one_in(4) ? builder.choose.between(1, 40) : builder.choose.between(1, 14));
  const auto table = recipes();
  while (builder.node_count() < wanted) {
    const RecipeEntry& entry = table[static_cast<std::size_t>(builder.choose.between(0, static_cast<std::int64_t>(table.size()) - 1))];
    entry.recipe(builder, entry.op);
  }
  return builder.finish();
}

}  // namespace naru::fuzz
