// The one ordered list of passes that know no device.
#pragma once

#include <vector>

#include "compiler/pass.h"

namespace naru {

/// Level 0: dead code only. Level 1: clean-up and folding, in standard operators. Level 2: fusion
/// into naru's own operators as well, each of which decomposes for a device that lacks it.
std::vector<Pass> generic_pipeline(int level);

/// After a graph was bound to concrete shapes: folds what they determine and drops what that frees.
std::vector<Pass> specialised_pipeline();

}  // namespace naru
