// What checkpoints of model hubs hold besides plain weights.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "graph/import/llm/weights.h"

namespace naru::llm {

/// Drops buffers that are no weights and layers that only draft, and brings weights that are kept
/// in parts (AWQ, GPTQ, fp8 with scales) into one tensor each. @throws Error InvalidModel, or
/// Unsupported for other quantisation.
void normalise_checkpoint(const nlohmann::json& config, TensorMap& tensors);

}  // namespace naru::llm
