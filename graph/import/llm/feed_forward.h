// The feed-forward half of a transformer layer.
#pragma once

#include "graph/import/llm/layer_builder.h"

namespace naru::llm {

/// Gated, with one matrix for gate and up or two; `experts` of them with a router, or one.
ValueId feed_forward(LayerBuilder& at, ValueId x, bool experts);

}  // namespace naru::llm
