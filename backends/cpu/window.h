// Window: strides, dilations and padding of convolution and pooling, as oneDNN counts them.
#pragma once

#include <oneapi/dnnl/dnnl.hpp>

#include "backends/cpu/node_view.h"

namespace naru::cpu {

struct Window {
  dnnl::memory::dims kernel;
  dnnl::memory::dims strides;
  dnnl::memory::dims dilations;  ///< 0 is dense
  dnnl::memory::dims begin;      ///< padding before
  dnnl::memory::dims end;        ///< padding after
};

/// The window of a convolution or pooling from `input` to `output`, both spatial shapes.
Window window_of(const Node& node, const Shape& kernel, const Shape& input, const Shape& output);

/// The window of a transposed convolution from `input` to `output`, as that of the convolution from
/// `output` to `input`. Padding may be negative where output_padding adds to the end.
Window transposed_window_of(const Node& node, const Shape& kernel, const Shape& input, const Shape& output);

/// Dimensions [2, rank).
Shape spatial_shape(const Shape& shape);

}  // namespace naru::cpu
