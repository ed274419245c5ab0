// The bounds analysis: proves that a launch touches only what its operands hold.
#pragma once

#include "compiler/kernel/program.h"

namespace naru::kernel {

/// Follows the intervals of all index arithmetic over the launch's grid, loops and guards.
/// @throws Error Internal naming the access that may leave its buffer, or the arithmetic that may
/// leave 32 bits.
void check_bounds(const Launch& launch);

}  // namespace naru::kernel
