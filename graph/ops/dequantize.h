// What operators that take block formats share.
#pragma once

#include "graph/op_def.h"

namespace naru {

/// Rejects block-format input `i` unless its rows are known to be, or may be, whole blocks.
void require_whole_blocks(const InferContext& ctx, std::size_t i);

}  // namespace naru
