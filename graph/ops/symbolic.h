// Symbolic element values: how element-wise operators compute on the elements of shape tensors.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>

#include "graph/op_def.h"

namespace naru {

/// InferContext::symbolic_value(), and bool constants as elements 0 and 1.
std::optional<SymValue> symbolic_elements(const InferContext& ctx, std::size_t i);

/// What an operator makes of one element of each input; nullopt when that cannot be said.
using DimFunction = std::function<std::optional<Dim>(std::span<const Dim>)>;

/// States the elements of output 0 when those of all inputs are known; they broadcast as usual.
/// Does nothing when an element cannot be said or its arithmetic overflows.
void propagate_elements(InferContext& ctx, const DimFunction& function);

/// Whether a < b and a == b hold for all values of their symbols; nullopt when it depends.
std::optional<bool> proves_less(const Dim& a, const Dim& b);
std::optional<bool> proves_equal(const Dim& a, const Dim& b);

}  // namespace naru
