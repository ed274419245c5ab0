// Recipes: how each operator gets inputs and attributes that it takes, often at their boundaries.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "tests/differential/graph_builder.h"

namespace naru::fuzz {

/// Adds a node of operator `op`; false where the attempt did not fit.
using Recipe = bool (*)(GraphBuilder& builder, std::string_view op);

struct RecipeEntry {
  std::string_view op;
  Recipe recipe;
};

/// Every operator that the fuzzer makes, by name.
std::span<const RecipeEntry> recipes();

// Each file of recipes appends its entries.
void add_elementwise_recipes(std::vector<RecipeEntry>& table);
void add_movement_recipes(std::vector<RecipeEntry>& table);
void add_neural_recipes(std::vector<RecipeEntry>& table);
void add_quantised_recipes(std::vector<RecipeEntry>& table);
void add_control_recipes(std::vector<RecipeEntry>& table);

}  // namespace naru::fuzz
