// The umbrella header of the public API.
#pragma once

#include "naru/beam_search.h"    // IWYU pragma: export
#include "naru/chat_template.h"  // IWYU pragma: export
#include "naru/constraint.h"     // IWYU pragma: export
#include "naru/dtype.h"          // IWYU pragma: export
#include "naru/engine.h"         // IWYU pragma: export
#include "naru/error.h"          // IWYU pragma: export
#include "naru/generate.h"       // IWYU pragma: export
#include "naru/metrics.h"        // IWYU pragma: export
#include "naru/sampling.h"       // IWYU pragma: export
#include "naru/shape.h"          // IWYU pragma: export
#include "naru/tensor.h"         // IWYU pragma: export
#include "naru/token_mask.h"     // IWYU pragma: export
#include "naru/tokenizer.h"      // IWYU pragma: export
