// Quantised checkpoints of model hubs: weights in parts become one tensor each.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "graph/import/llm/weights.h"

namespace naru::llm {

/// Unpacks what the object "quantization_config" describes.
///
/// GPTQ and AWQ of four bits become Q4_0 where all zero points are 8, which is exact, and Q4_1
/// otherwise, whose minimum is rounded to f16. Floats of eight bits with scales become bf16.
/// @throws Error InvalidModel for parts that do not fit, Unsupported for other kinds.
void unpack_quantised(const nlohmann::json& quantised, TensorMap& tensors);

}  // namespace naru::llm
