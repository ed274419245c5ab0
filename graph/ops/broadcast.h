// Broadcast: strided iteration of several operands over one output shape, as NumPy broadcasts.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "graph/op_def.h"

namespace naru {

/// Infers the NumPy broadcast of inputs [first, last) that are present as output 0 of type `dtype`;
/// the shape stays open while the rank of an input is unknown.
void infer_broadcast(InferContext& ctx, std::size_t first, std::size_t last, DType dtype);

/// Walks an output shape in rows of its innermost dimension. Neighbouring dimensions that every
/// operand crosses evenly are joined, so that equal shapes are one row.
class BroadcastRows {
 public:
  /// Each operand's shape must broadcast to `output`. @throws Error InvalidArgument otherwise.
  BroadcastRows(const Shape& output, std::span<const Shape* const> operands);

  bool done() const { return row_ == row_count_; }
  void next();

  std::int64_t row_length() const { return row_length_; }
  std::int64_t output_offset() const { return row_ * row_length_; }
  /// Where operand `i` stands at the start of the row, and its step along it (0 or 1 mostly).
  std::int64_t offset(std::size_t i) const { return offsets_[i]; }
  std::int64_t step(std::size_t i) const { return steps_[i]; }

 private:
  std::int64_t row_length_ = 1;
  std::int64_t row_count_ = 1;
  std::int64_t row_ = 0;
  std::vector<std::int64_t> outer_dims_;
  std::vector<std::int64_t> counter_;
  std::vector<std::vector<std::int64_t>> outer_strides_;  // per operand, as outer_dims_
  std::vector<std::int64_t> offsets_;
  std::vector<std::int64_t> steps_;
};

/// Calls `body(output_index, operand_indices)` for each element of `output` in row-major order.
/// `operand_indices` is a std::array of N element indices, one per operand.
template <std::size_t N, typename Body>
void for_each_broadcast(const Shape& output, const std::array<const Shape*, N>& operands, Body&& body) {
  for (BroadcastRows rows(output, operands); !rows.done(); rows.next()) {
    std::array<std::int64_t, N> at, step;
    for (std::size_t i = 0; i < N; ++i) {
      at[i] = rows.offset(i);
      step[i] = rows.step(i);
    }
    const std::int64_t first = rows.output_offset();
    const std::int64_t length = rows.row_length();
    for (std::int64_t i = 0; i < length; ++i) {
      body(first + i, at);
      for (std::size_t k = 0; k < N; ++k) at[k] += step[k];
    }
  }
}

}  // namespace naru
