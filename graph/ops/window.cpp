// Geometry of sliding windows: kernels, strides, dilations and paddings of Conv and the pools.
#include "graph/ops/window.h"

#include <algorithm>

#include "graph/checked.h"
#include "graph/ops/nn_rules.h"

namespace naru {
namespace {

// Larger values have no use, and references step through the kernel of a pool along each axis.
constexpr std::int64_t kLargest = INT32_MAX;

std::vector<std::int64_t> read_ints(const Node& node, std::string_view attribute,
                                    std::size_t count, std::int64_t otherwise,
                                    std::int64_t smallest) {
  std::vector<std::int64_t> values = node.attr_ints_or(attribute, {});
  if (values.empty()) values.assign(count, otherwise);
  if (values.size() != count) {
    fail(ErrorCode::InvalidModel, "{}: {}: got {} values, expected {}", node.label(), attribute,
         values.size(), count);
  }
  for (std::int64_t value : values) {
    if (value < smallest || value > kLargest) {
      fail(ErrorCode::InvalidModel, "{}: {}: got {}, expected [{}, {}]", node.label(), attribute,
           value, smallest, kLargest);
    }
  }
  return values;
}

}  // namespace

std::int64_t Window::span(std::size_t axis) const {
  return checked_add(checked_mul(dilations[axis], kernel[axis] - 1), 1);
}

Window read_window(const Node& node, std::vector<std::int64_t> kernel) {
  const std::size_t rank = kernel.size();
  Window window;
  for (std::int64_t size : kernel) {
    if (size < 1 || size > kLargest) {
      fail(ErrorCode::InvalidModel, "{}: kernel size: got {}, expected [1, {}]", node.label(), size,
           kLargest);
    }
  }
  window.kernel = std::move(kernel);
  window.strides = read_ints(node, "strides", rank, 1, 1);
  window.dilations = read_ints(node, "dilations", rank, 1, 1);
  const std::vector<std::int64_t> pads = read_ints(node, "pads", 2 * rank, 0, 0);
  const auto middle = pads.begin() + static_cast<std::ptrdiff_t>(rank);
  window.pads_begin.assign(pads.begin(), middle);
  window.pads_end.assign(middle, pads.end());
  if (node.op->find_attribute("auto_pad") != nullptr) {
    window.auto_pad = static_cast<AutoPad>(
        expect_choice(node, "auto_pad", {"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"}));
  }
  if (window.auto_pad != AutoPad::NotSet) {
    std::fill(window.pads_begin.begin(), window.pads_begin.end(), 0);
    std::fill(window.pads_end.begin(), window.pads_end.end(), 0);
  }
  window.ceil_mode = node.attr_int_or("ceil_mode", 0) != 0;
  return window;
}

Window read_pool_window(const Node& node) { return read_window(node, node.attr_ints("kernel_shape")); }

Dim window_output(const Window& window, std::size_t axis, const Dim& input) {
  const std::int64_t stride = window.strides[axis];
  const std::int64_t span = window.span(axis);
  if (window.auto_pad == AutoPad::SameUpper || window.auto_pad == AutoPad::SameLower) {
    return ceil_div(input, stride);
  }
  const std::int64_t begin = window.pads_begin[axis];
  const std::int64_t end = window.pads_end[axis];
  const Dim room = input + begin + end - span;
  // VALID never pads, so a last partial window would have nothing to stand on.
  if (!window.ceil_mode || window.auto_pad == AutoPad::Valid) return floor_div(room, stride) + 1;
  const Dim output = ceil_div(room, stride) + 1;
  // Windows that would start in the end padding are dropped; none does when the kernel reaches over.
  if (end + stride <= span) return output;
  return min(output, floor_div(input + begin - 1, stride) + 1);
}

std::int64_t window_pad_begin(const Window& window, std::size_t axis, std::int64_t input,
                              std::int64_t output) {
  if (window.auto_pad != AutoPad::SameUpper && window.auto_pad != AutoPad::SameLower) {
    return window.pads_begin[axis];
  }
  const std::int64_t total = std::max<std::int64_t>(
      0, checked_mul(output - 1, window.strides[axis]) + window.span(axis) - input);
  return window.auto_pad == AutoPad::SameUpper ? total / 2 : total - total / 2;
}

Dim transposed_output(const Window& window, std::size_t axis, const Dim& input,
                      std::int64_t output_padding) {
  const std::int64_t stride = window.strides[axis];
  if (window.auto_pad == AutoPad::SameUpper || window.auto_pad == AutoPad::SameLower) {
    return input * stride;
  }
  return (input - 1) * stride + output_padding + window.span(axis) - window.pads_begin[axis] -
         window.pads_end[axis];
}

std::int64_t transposed_pad_begin(const Window& window, std::size_t axis, std::int64_t input,
                                  std::int64_t output, std::int64_t output_padding,
                                  bool explicit_shape) {
  const bool same =
      window.auto_pad == AutoPad::SameUpper || window.auto_pad == AutoPad::SameLower;
  if (!same && !explicit_shape) return window.pads_begin[axis];
  const std::int64_t full =
      checked_mul(window.strides[axis], input - 1) + output_padding + window.span(axis);
  const std::int64_t total = std::max<std::int64_t>(0, checked_sub(full, output));
  return window.auto_pad == AutoPad::SameUpper ? total / 2 : total - total / 2;
}

std::pair<std::int64_t, std::int64_t> steps_inside(std::int64_t count, std::int64_t step,
                                                   std::int64_t offset, std::int64_t size) {
  if (offset >= size) return {0, 0};
  const std::int64_t first = offset >= 0 ? 0 : (-offset + step - 1) / step;
  const std::int64_t last = std::min(count, (size - 1 - offset) / step + 1);
  return {std::min(first, std::max<std::int64_t>(last, 0)), std::max<std::int64_t>(last, 0)};
}

}  // namespace naru
