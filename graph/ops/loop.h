// What the attributes and bodies of Loop and Scan say, for their rules and for passes that unroll them.
#pragma once

#include <cstdint>
#include <vector>

#include "graph/op_def.h"

namespace naru {

/// The shape in which the body of a Loop takes its counter or condition: [] mostly, [1] in some models.
Shape counter_shape(const Graph& body, std::size_t i);

/// True when the condition of a Loop's body is its input or the constant true: it never stops the loop.
bool condition_stays(const Graph& body);

/// Body inputs: states, one slice of each scan input. Body outputs: states, one slice each.
struct ScanParts {
  std::size_t states = 0, scan_inputs = 0, scan_outputs = 0;
  std::vector<std::int64_t> input_axes, input_directions, output_axes, output_directions;

  /// @throws Error InvalidModel when node and body do not fit.
  explicit ScanParts(const Node& node);
};

}  // namespace naru
