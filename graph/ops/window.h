// Geometry of sliding windows: kernels, strides, dilations and paddings of Conv and the pools.
#pragma once

#include <utility>
#include <vector>

#include "graph/op_def.h"

namespace naru {

enum class AutoPad : std::uint8_t { NotSet, SameUpper, SameLower, Valid };

/// The window attributes of a node, one entry per spatial axis.
struct Window {
  std::vector<std::int64_t> kernel;
  std::vector<std::int64_t> strides;
  std::vector<std::int64_t> dilations;
  std::vector<std::int64_t> pads_begin;
  std::vector<std::int64_t> pads_end;
  AutoPad auto_pad = AutoPad::NotSet;
  bool ceil_mode = false;

  std::size_t rank() const { return kernel.size(); }
  /// Input elements that one window spans: dilation * (kernel - 1) + 1.
  std::int64_t span(std::size_t axis) const;
};

/// Reads the attributes that `node` has; `kernel` comes from kernel_shape or the weights.
/// @throws Error InvalidModel for wrong counts and for values outside their range.
Window read_window(const Node& node, std::vector<std::int64_t> kernel);
/// As read_window(), the kernel from the required attribute kernel_shape.
Window read_pool_window(const Node& node);

/// The output size along one axis of Conv and the pools.
Dim window_output(const Window& window, std::size_t axis, const Dim& input);
/// Padding before the first element at concrete sizes; resolves auto_pad.
std::int64_t window_pad_begin(const Window& window, std::size_t axis, std::int64_t input,
                              std::int64_t output);

/// ConvTranspose: the output size along one axis, without an explicit output_shape.
Dim transposed_output(const Window& window, std::size_t axis, const Dim& input,
                      std::int64_t output_padding);
/// ConvTranspose: elements cut off before the first output. `explicit_shape` says that the output
/// size was given and the padding follows from it.
std::int64_t transposed_pad_begin(const Window& window, std::size_t axis, std::int64_t input,
                                  std::int64_t output, std::int64_t output_padding,
                                  bool explicit_shape);

/// The indices i of [0, count) for which 0 <= i * step + offset < size.
std::pair<std::int64_t, std::int64_t> steps_inside(std::int64_t count, std::int64_t step,
                                                   std::int64_t offset, std::int64_t size);

}  // namespace naru
