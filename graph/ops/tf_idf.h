// The n-grams that a TfIdfVectorizer looks for.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "graph/op_def.h"

namespace naru {

enum class Weighting : std::uint8_t { Tf, Idf, TfIdf };

/// Tokens are numbers: strings stand as their places in `words`.
struct Grams {
  Weighting weighting = Weighting::Tf;
  std::int64_t shortest = 1, longest = 1, most_skips = 0;
  std::map<std::string, std::int64_t> words;
  std::map<std::vector<std::int64_t>, std::int64_t> columns;  ///< output column of each n-gram
  std::int64_t width = 0;
};

/// @throws Error InvalidModel for attributes that do not fit together.
Grams grams_of(const Node& node);

}  // namespace naru
