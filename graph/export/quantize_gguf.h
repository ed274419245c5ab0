// From a GGUF file to one with other element types.
#pragma once

#include <filesystem>

#include "graph/export/progress.h"
#include "graph/export/weight_mix.h"

namespace naru {

/// Writes `from` (all files of a split model) as one file whose matrices have the types of `mix`. What
/// has its type already is copied as it is. `from` and `to` may be the same file. `threads` >= 1.
/// @throws Error as load_gguf(), Unsupported for models without an architecture, Io.
void quantize_gguf(const std::filesystem::path& from, const std::filesystem::path& to, const WeightMix& mix,
                   int threads, const WriteProgress& progress);

}  // namespace naru
