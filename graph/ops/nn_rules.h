// Checks and small computations that the rules of the neural-network operators share.
#pragma once

#include <initializer_list>
#include <span>
#include <string_view>
#include <vector>

#include "graph/op_def.h"
#include "graph/ops/type_set.h"

namespace naru {

inline constexpr TypeSet kBytes{DType::U8, DType::I8};
inline constexpr TypeSet kIndices{DType::I64, DType::I32};

/// Requires input `i`, when present, to be a tensor of one of `types`; an unknown type passes.
void expect_type(const InferContext& ctx, std::size_t i, TypeSet types);
/// expect_type() of the present ones of `inputs`, which must have one common type; returns it,
/// Undefined while none is known.
DType expect_common_type(const InferContext& ctx, std::initializer_list<std::size_t> inputs,
                         TypeSet types = kFloats);
/// The symbolic shape of input `i`, null when absent or of unknown rank.
/// @throws Error InvalidModel when the known rank is not `rank`.
const SymShape* expect_rank(const InferContext& ctx, std::size_t i, std::size_t rank);
const SymShape* expect_min_rank(const InferContext& ctx, std::size_t i, std::size_t rank);
/// The more precise of two dimensions that must be equal.
/// @throws Error InvalidModel when both are known and differ.
Dim expect_equal(const InferContext& ctx, const Dim& got, const Dim& expected,
                 std::string_view what);
/// Requires input `i`, when present and of known shape, to be a vector of `length` elements.
void expect_vector(const InferContext& ctx, std::size_t i, const Dim& length);
/// Requires input `i`, when present and of known shape, to hold one element.
void expect_single(const InferContext& ctx, std::size_t i);
/// Requires input `i`, when present, to broadcast to `shape` without enlarging it.
void expect_broadcasts_to(const InferContext& ctx, std::size_t i, const SymShape& shape);
/// The string attribute, required to be one of `allowed`; returns its index there.
std::size_t expect_choice(const Node& node, std::string_view attribute,
                          std::initializer_list<std::string_view> allowed);

/// Sets output 0 to the type of input 0.
void infer_like_input(InferContext& ctx);

/// Elements of a type, 0 while a dimension is not known.
double element_count(const Type& type);
/// Bytes of all types, each once.
double total_bytes(std::span<const Type> inputs, std::span<const Type> outputs);
/// A cost of `flops_per_element` operations for each element of input 0, all operands moved once.
template <int flops_per_element>
Cost cost_per_input_element(const Node&, std::span<const Type> inputs,
                            std::span<const Type> outputs) {
  return {flops_per_element * element_count(inputs[0]), total_bytes(inputs, outputs)};
}

}  // namespace naru
