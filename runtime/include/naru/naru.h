// The umbrella header of the public API.
#pragma once

#include "naru/dtype.h"    // IWYU pragma: export
#include "naru/engine.h"   // IWYU pragma: export
#include "naru/error.h"    // IWYU pragma: export
#include "naru/generate.h" // IWYU pragma: export
#include "naru/metrics.h"  // IWYU pragma: export
#include "naru/shape.h"    // IWYU pragma: export
#include "naru/tensor.h"   // IWYU pragma: export
