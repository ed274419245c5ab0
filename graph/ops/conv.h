// Convolution of wide values, shared by the float, integer and quantised operators.
#pragma once

#include <span>
#include <vector>

#include "graph/ops/patches.h"

namespace naru {

/// Sizes of one convolution; channel counts are per group.
struct ConvSizes {
  std::int64_t batch = 1;
  std::int64_t groups = 1;
  std::int64_t in_channels = 1;
  std::int64_t out_channels = 1;
  PatchGrid grid;
};

/// y[batch, groups * out_channels, coarse] of x[batch, groups * in_channels, fine] and
/// w[groups * out_channels, in_channels, kernel]; `y` starts as the bias or zero and is added to.
void convolve(const ConvSizes& sizes, const std::vector<double>& x, const std::vector<double>& w,
              std::vector<double>& y);

/// The transpose of convolve(): y[batch, groups * out_channels, fine] of
/// x[batch, groups * in_channels, coarse] and w[groups * in_channels, out_channels, kernel].
void convolve_transposed(const ConvSizes& sizes, const std::vector<double>& x,
                         const std::vector<double>& w, std::vector<double>& y);

/// The rule of Conv and its integer forms: sets output 0 to `dtype` and the shape that input `x`,
/// weights input `w` and the window attributes give.
void infer_convolution(InferContext& ctx, std::size_t x, std::size_t w, DType dtype);
/// The sizes at concrete shapes. @throws Error InvalidModel when they break the rule.
ConvSizes conv_sizes(const Node& node, const Shape& x, const Shape& w, const Shape& y);

/// Multiply-adds of a convolution as a cost, all operands moved once.
Cost conv_cost(const Node& node, std::span<const Type> inputs, std::span<const Type> outputs,
               std::size_t weights);

/// The attributes that all convolutions have; kernel_shape may be absent.
std::vector<AttrSpec> conv_attributes();

}  // namespace naru
