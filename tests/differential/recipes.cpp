// The table of recipes.
#include "tests/differential/recipes.h"

#include <algorithm>

namespace naru::fuzz {

std::span<const RecipeEntry> recipes() {
  static const std::vector<RecipeEntry> table = [] {
    std::vector<RecipeEntry> entries;
    add_elementwise_recipes(entries);
    add_movement_recipes(entries);
    add_neural_recipes(entries);
    add_quantised_recipes(entries);
    add_control_recipes(entries);
    std::sort(entries.begin(), entries.end(),
              [](const RecipeEntry& a, const RecipeEntry& b) { return a.op < b.op; });
    return entries;
  }();
  return table;
}

}  // namespace naru::fuzz
