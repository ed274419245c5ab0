// The choice of loops over tiles.
#include "backends/cpu/linear/tiles.h"

#include <algorithm>

#include "backends/cpu/isa.h"
#include "backends/cpu/linear/instances.h"

namespace naru::cpu {

std::span<const TileLoops* const> all_tile_loops() {
  static constexpr const TileLoops* kAll[] = {
#if NARU_CPU_AVX2
      &avx512_tiles::kLoops,
      &avxvnni_tiles::kLoops,
      &avx2_tiles::kLoops,
#endif
      &base_tiles::kLoops,
  };
  return kAll;
}

const TileLoops& tile_loops() {
  static const TileLoops& best = **std::find_if(all_tile_loops().begin(), all_tile_loops().end(),
                                                [](const TileLoops* loops) { return loops->present(); });
  return best;
}

}  // namespace naru::cpu
