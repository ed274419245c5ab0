// The random case of a seed.
#pragma once

#include <cstdint>

#include "tests/differential/graph_builder.h"

namespace naru::fuzz {

/// A graph of 1 to 40 nodes and the values of its inputs; the same on every run.
RandomCase random_case(std::uint64_t seed);

}  // namespace naru::fuzz
