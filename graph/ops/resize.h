// Resize as tables: which elements of an axis make up each element of the result.
#pragma once

#include <vector>

#include "graph/op_def.h"

namespace naru {

/// The inputs of a Resize besides X; null where absent.
struct ResizeInputs {
  const Tensor* roi = nullptr;
  const Tensor* scales = nullptr;
  const Tensor* sizes = nullptr;
};

/// One axis: output element i is the sum of weight * input[index] over `taps` entries from i * taps on.
/// An index of -1 stands for the extrapolation value. An axis that stays as it is has no taps.
struct ResizeAxis {
  std::int64_t input = 1;
  std::int64_t output = 1;
  std::int64_t taps = 0;
  std::vector<std::int64_t> index;
  std::vector<double> weight;
};

/// The axes of a node at concrete shapes that inference has accepted.
std::vector<ResizeAxis> resize_axes(const Node& node, const Shape& x, const Shape& y,
                                    const ResizeInputs& inputs);

}  // namespace naru
