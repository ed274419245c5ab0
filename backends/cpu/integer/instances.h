// The loops of each instruction set, best first; tests compare all that this machine has.
#pragma once

#include <span>

#include "backends/cpu/integer/products.h"
#include "backends/cpu/isa.h"

namespace naru::cpu {

#if NARU_CPU_AVX2
namespace avx512_bytes {
extern const ByteLoops kLoops;
}
namespace avxvnni_bytes {
extern const ByteLoops kLoops;
}
namespace avx2_bytes {
extern const ByteLoops kLoops;
}
#endif
namespace base_bytes {
extern const ByteLoops kLoops;
}

std::span<const ByteLoops* const> all_byte_loops();

}  // namespace naru::cpu
