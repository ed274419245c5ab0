// Symbolic element values: broadcast of elements, and what their lower bounds prove.
#include "graph/ops/symbolic.h"

#include <algorithm>

#include "graph/limits.h"
#include "graph/ops/type_set.h"
#include "graph/scalar.h"

namespace naru {
namespace {

constexpr TypeSet kElementTypes{DType::I64, DType::I32, DType::Bool};

/// A number as the output type holds it; symbols are dimensions and fit.
Dim in_type(DType dtype, const Dim& value) {
  if (dtype != DType::I32 || !value.is_known()) return value;
  return static_cast<std::int32_t>(value.value());
}

std::optional<SymValue> combine(std::span<const SymValue> inputs, DType dtype,
                                const DimFunction& function) {
  std::size_t count = 1;
  bool is_scalar = true;
  for (const SymValue& input : inputs) {
    if (input.elements.size() != 1) count = input.elements.size();
    is_scalar = is_scalar && input.is_scalar;
  }
  SymValue result{{}, is_scalar};
  std::vector<Dim> arguments(inputs.size());
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t k = 0; k < inputs.size(); ++k) {
      const std::vector<Dim>& elements = inputs[k].elements;
      if (elements.size() != 1 && elements.size() != count) return std::nullopt;
      arguments[k] = elements[elements.size() == 1 ? 0 : i];
    }
    const std::optional<Dim> element = function(arguments);
    if (!element) return std::nullopt;
    result.elements.push_back(in_type(dtype, *element));
  }
  return result;
}

}  // namespace

std::optional<SymValue> symbolic_elements(const InferContext& ctx, std::size_t i) {
  const Tensor* value = ctx.constant(i);
  if (value == nullptr || value->dtype() != DType::Bool) return ctx.symbolic_value(i);
  if (value->rank() > 1 || value->numel() > kLimits.max_rank) return std::nullopt;
  const std::vector<std::int64_t> elements = to_wide<std::int64_t>(*value);
  return SymValue{{elements.begin(), elements.end()}, value->rank() == 0};
}

void propagate_elements(InferContext& ctx, const DimFunction& function) {
  if (ctx.output_count() == 0 || !kElementTypes.contains(ctx.output_types()[0].dtype)) return;
  std::vector<SymValue> inputs;
  for (std::size_t i = 0; i < ctx.input_count(); ++i) {
    if (!ctx.has_input(i)) continue;
    if (!kElementTypes.contains(ctx.dtype(i))) return;
    std::optional<SymValue> elements = symbolic_elements(ctx, i);
    if (!elements) return;
    inputs.push_back(std::move(*elements));
  }
  try {
    const DType dtype = ctx.output_types()[0].dtype;
    if (auto result = combine(inputs, dtype, function)) ctx.set_symbolic_value(0, std::move(*result));
  } catch (const Error&) {
    // Overflow of a dimension expression: the elements are then simply not known here.
  }
}

std::optional<bool> proves_less(const Dim& a, const Dim& b) {
  if ((b - a - 1).is_nonnegative()) return true;
  if ((a - b).is_nonnegative()) return false;
  return std::nullopt;
}

std::optional<bool> proves_equal(const Dim& a, const Dim& b) {
  if (a == b) return true;
  if (proves_less(a, b).value_or(false) || proves_less(b, a).value_or(false)) return false;
  return std::nullopt;
}

}  // namespace naru
