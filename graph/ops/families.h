// The list of operator families: each is one file of this folder that appends its OpDefs.
#pragma once

#include <span>
#include <vector>

#include "graph/op_def.h"

namespace naru {

using OpFamily = void (*)(std::vector<OpDef>&);

void define_fused(std::vector<OpDef>& ops);

/// All families, in the order of families.def.
std::span<const OpFamily> op_families();

}  // namespace naru
