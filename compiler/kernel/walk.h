// Walks: boxes of elements seen through strides, with as few dimensions as they need.
#pragma once

#include <string>
#include <vector>

#include "compiler/kernel/lowering.h"

namespace naru::kernel {

/// A box that several tensors are walked over; a stride 0 repeats an element.
struct Walk {
  std::vector<std::int64_t> extents;                ///< outermost first
  std::vector<std::vector<std::int64_t>> strides;   ///< per tensor, per dimension, in elements

  /// Drops dimensions of size 1 and merges neighbours that every tensor walks as one.
  void collapse();
};

/// Row-major strides of `from` where it broadcasts to `to`.
std::vector<std::int64_t> broadcast_strides(const Shape& from, const Shape& to);
/// `shape` with ones in front.
Shape with_rank(const Shape& shape, std::int64_t rank);
/// Brings an axis from [-rank, rank) to [0, rank).
inline std::int64_t positive_axis(std::int64_t axis, std::int64_t rank) { return axis < 0 ? axis + rank : axis; }

/// `rep` with elements of the same size that are moved without a look: one kernel then serves all
/// types of a size.
Rep as_bits(Rep rep);

/// One item per point of a walk.
struct Points {
  std::vector<Expr> at;      ///< the coordinates
  std::vector<Expr> index;   ///< per tensor: the element
};
Points walk_points(Call& call, const Walk& walk);
/// The element index of coordinates: their product with strides, which become arguments.
Expr dot(Call& call, const std::vector<Expr>& at, const std::vector<std::int64_t>& strides);
/// The coordinates of a row-major index, outermost first.
std::vector<Expr> unravel(Call& call, Expr index, const std::vector<Expr>& extents);
/// The row-major index of coordinates.
Expr ravel(const std::vector<Expr>& at, const std::vector<Expr>& extents);
std::vector<Expr> sizes(Call& call, const std::vector<std::int64_t>& values);
inline std::vector<Expr> sizes(Call& call, const Shape& shape) { return sizes(call, shape.dims()); }

// Reasons to refuse, shared by many operators.

/// Why a value of this type cannot be computed, or empty; Undefined is not known yet.
std::string refuses_type(DType dtype, const Target& target);
/// Why a tensor is too large, or empty; open shapes are not.
std::string refuses_size(const Type& type, const Target& target);
/// Both for one value, which has to be a tensor.
std::string refuses_value(const Type& type, const Target& target);
/// As refuses_value() for all inputs and outputs.
std::string refuses_types(const NodeView& view, const Target& target);
/// Why these inputs, which have to be constant, are not; or empty.
std::string refuses_variable(const NodeView& view, std::initializer_list<std::size_t> inputs);
template <std::size_t... Inputs>
std::string refuses_unless_constant(const NodeView& view, const Target& target) {
  std::string reason = refuses_variable(view, {Inputs...});
  return reason.empty() ? refuses_types(view, target) : reason;
}

}  // namespace naru::kernel
