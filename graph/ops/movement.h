// Moving elements of any type between tensors, and what the rules of data-movement operators share.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "graph/op_def.h"

namespace naru {

/// Where the elements of a strided region lie: the first one, and the step per dimension.
struct StridedView {
  std::int64_t offset = 0;
  std::vector<std::int64_t> strides;
};

/// Copies `count` consecutive elements; both tensors have the same element type. Block formats move
/// whole blocks only. Ranges are the caller's duty.
void copy_elements(Tensor& to, std::int64_t to_at, const Tensor& from, std::int64_t from_at,
                   std::int64_t count);

/// Copies the region of `shape` that `from_view` describes to where `to_view` says.
void copy_strided(Tensor& to, const StridedView& to_view, const Tensor& from,
                  const StridedView& from_view, std::span<const std::int64_t> shape);

/// As above into all of `to`, whose shape is the region.
void copy_strided(Tensor& to, const Tensor& from, const StridedView& from_view);

/// Sets every element to the one element of `value`.
void fill(Tensor& to, const Tensor& value);
/// Sets every element to 0, false or the empty string.
void fill_zero(Tensor& to);

/// The row-major view of a whole tensor.
StridedView dense_view(const Tensor& tensor);

/// Walks the indices of a shape in row-major order.
class IndexWalk {
 public:
  explicit IndexWalk(const Shape& shape) : shape_(shape), index_(shape.dims().size(), 0) {}
  const std::vector<std::int64_t>& index() const { return index_; }
  /// To the next index; after the last one, back to the first.
  void next() {
    for (std::size_t d = index_.size(); d-- > 0;) {
      if (++index_[d] < shape_[static_cast<std::int64_t>(d)]) return;
      index_[d] = 0;
    }
  }

 private:
  Shape shape_;
  std::vector<std::int64_t> index_;
};

/// The static shape that infer() gave output `i`.
Shape output_shape(const ReferenceContext& ctx, std::size_t i);

/// Brings a run-time index from [-size, size) to [0, size). @throws Error InvalidArgument.
inline std::int64_t wrap_index(const ReferenceContext& ctx, std::string_view what,
                               std::int64_t index, std::int64_t size) {
  ctx.require(index >= -size && index < size, "{}: got {}, expected [{}, {})", what, index, -size,
              size);
  return index < 0 ? index + size : index;
}

// What shape rules share.

/// The elements of a shape-like integer input when known, as numbers or expressions.
std::optional<std::vector<Dim>> dims_value(const InferContext& ctx, std::size_t i);

/// The axes in input `i`, brought to [0, rank) and checked to be distinct; nullopt when unknown.
std::optional<std::vector<std::int64_t>> axes_value(const InferContext& ctx, std::size_t i,
                                                    std::int64_t rank);
std::vector<std::int64_t> normalize_axes(const InferContext& ctx, std::vector<std::int64_t> axes,
                                         std::int64_t rank);

/// The element count of a rank-1 input when known.
std::optional<std::int64_t> length_of(const InferContext& ctx, std::size_t i);

/// A shape of `rank` dimensions that nothing is known of.
SymShape fresh_shape(InferContext& ctx, std::int64_t rank);

/// Product of dimensions [first, last); a fresh dimension when the expression grows too large.
Dim product_or_fresh(InferContext& ctx, const SymShape& shape, std::size_t first, std::size_t last);

/// Rejects two known dimensions that differ; returns the one that says more.
Dim match_dims(const InferContext& ctx, std::string_view what, const Dim& a, const Dim& b);

/// Rejects an input of a known rank outside [low, high].
inline constexpr std::int64_t kAnyRank = INT64_MAX;
void require_rank(const InferContext& ctx, std::size_t i, std::int64_t low,
                  std::int64_t high = kAnyRank);

/// Costs: nothing is moved; each output element is read and written once.
Cost view_cost(const Node&, std::span<const Type>, std::span<const Type>);
Cost copy_cost(const Node&, std::span<const Type>, std::span<const Type> outputs);
/// Bytes of a static tensor type, 0 for any other.
double type_bytes(const Type& type);

}  // namespace naru
