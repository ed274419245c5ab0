// A case as ONNX files, for a peer that reads nothing else.
#pragma once

#include <filesystem>
#include <span>

#include "tests/differential/oracle.h"

namespace naru::fuzz {

/// Node `index` alone: what it uses, out of `values` of the whole graph, are constants or inputs as there.
RandomCase node_case(const RandomCase& test, std::span<const Datum> values, std::size_t index);

/// Writes `model.onnx`, and `data.onnx` whose initializers are `input_<i>`, `output_<i>` and, one f64 for
/// each element, `tolerance_<i>`, which is infinite where the reference is undecided. Writes nothing and
/// returns false when rounding may change a shape or a value is no tensor.
bool write_peer_case(const RandomCase& test, std::span<const Expected> expected, const std::filesystem::path& folder);

}  // namespace naru::fuzz
