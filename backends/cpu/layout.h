// Layout: how a value of the cpu backend lies in memory, seen through its channel dimension.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "naru/tensor.h"

namespace naru::cpu {

/// A logical shape and the number of channels (dimension 1) that lie innermost in memory:
/// 1 is row-major (nchw), 8 or 16 are oneDNN's blocked layouts (nChw8c), all of them is channels-last
/// (nhwc). In memory the dimensions are [N, ceil(C / block), spatial..., block]; channels that pad
/// the last block are zero. Only values of rank 3 to 5 have another block than 1.
struct Layout {
  DType dtype = DType::Undefined;
  Shape shape;
  std::int64_t block = 1;

  static Layout plain(DType dtype, Shape shape) { return {dtype, std::move(shape), 1}; }
  bool is_plain() const { return block == 1; }
  std::int64_t channels() const { return shape[1]; }
  /// True when zero channels fill up the last block.
  bool is_padded() const { return block > 1 && shape[1] % block != 0; }
  std::int64_t channel_blocks() const { return (shape[1] + block - 1) / block; }
  /// Product of the dimensions after the channels.
  std::int64_t spatial() const { return shape.rank() > 2 ? shape.numel(2, shape.rank()) : 1; }
  /// Elements in memory, padding included. @throws Error InvalidModel on overflow.
  std::int64_t physical_elements() const;
  std::int64_t size_bytes() const;
  /// True when both name the same order of the same elements, so that no copy is needed.
  bool same_bytes(const Layout& other) const;

  bool operator==(const Layout&) const = default;
};

/// For example "f32[1,64,56,56] x8".
std::string to_string(const Layout& layout);

/// The shape that has `rank` dimensions, with ones put in front.
Shape with_rank(const Shape& shape, std::int64_t rank);

}  // namespace naru::cpu
