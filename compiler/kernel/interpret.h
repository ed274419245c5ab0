// The interpreter: runs kernels on host memory by the meaning of the IR; for tests.
#pragma once

#include <span>
#include <vector>

#include "compiler/kernel/program.h"
#include "graph/graph.h"

namespace naru::kernel {

/// Runs one launch. `operands` are the addresses of what its operands name. The items of a group step
/// together, so that barriers mean what they say.
/// @throws Error Internal for an access outside an operand or array.
void interpret(const Launch& launch, std::span<std::byte* const> operands);

/// Runs the program of `fragment`: one tensor per input in, one per output out.
/// @throws Error InvalidArgument where data break an operator's rules.
std::vector<Tensor> interpret(const Program& program, const Graph& fragment, std::span<const Tensor> inputs);

}  // namespace naru::kernel
