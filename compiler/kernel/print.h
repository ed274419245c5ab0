// Printers: one kernel as OpenCL C 1.2 or as CUDA C, from the same description.
#pragma once

#include <span>
#include <string>

#include "compiler/kernel/ir.h"

namespace naru::kernel {

enum class Dialect : std::uint8_t { OpenCl, Cuda };

/// The function's name in printed text: the kernel's, and what tells it from others of that name.
std::string symbol_of(const Kernel& kernel);

/// What every program text begins with.
std::string prelude(Dialect dialect);

/// The kernel's function. Parameters: per buffer its address and an i32 offset in elements, then the
/// scalars; in CUDA C then the groups of the grid's second and third dimension, which the grid of the
/// launch may hold folded: as many in all, or some more.
std::string print(const Kernel& kernel, Dialect dialect);

}  // namespace naru::kernel
