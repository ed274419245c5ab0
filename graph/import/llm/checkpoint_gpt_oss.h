// gpt-oss checkpoints, whose experts are kept unlike those of others.
#pragma once

#include "graph/import/llm/weights.h"

namespace naru::llm {

/// Brings experts, in bf16 or MXFP4, to "<layer>.mlp.experts.gate|up|down" with parts "weight"
/// [experts, outputs, inputs] and "bias", and gives sinks the part "weight". Other checkpoints have
/// no tensors of these names. @throws Error InvalidModel for shapes that do not fit.
void split_gpt_oss(TensorMap& tensors);

}  // namespace naru::llm
