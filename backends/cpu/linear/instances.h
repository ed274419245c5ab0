// The instances of the loops over tiles, one per instruction set and file.
#pragma once

#include "backends/cpu/isa.h"
#include "backends/cpu/linear/tiles.h"

namespace naru::cpu {

namespace base_tiles {
extern const TileLoops kLoops;
}

#if NARU_CPU_AVX2
namespace avx2_tiles {
extern const TileLoops kLoops;
}
namespace avxvnni_tiles {
extern const TileLoops kLoops;
}
namespace avx512_tiles {
extern const TileLoops kLoops;
}
#endif

}  // namespace naru::cpu
