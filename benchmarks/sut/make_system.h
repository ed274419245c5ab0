// From the words of --sut to systems under test.
#pragma once

#include <string>

#include "benchmarks/session/session.h"

namespace naru::bench {

/// "in-process", or "synthetic:{...}".
/// @throws Error InvalidArgument for anything else.
SystemFactory system_factory(const std::string& text, int threads);

}  // namespace naru::bench
