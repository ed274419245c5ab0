// Window: reads the attributes that convolution and pooling share.
#include "backends/cpu/window.h"

#include <algorithm>

namespace naru::cpu {

Shape spatial_shape(const Shape& shape) {
  return Shape(std::vector<std::int64_t>(shape.begin() + 2, shape.end()));
}

namespace {

std::vector<std::int64_t> ints_of(const Node& node, const char* name, std::size_t count,
                                  std::int64_t otherwise) {
  std::vector<std::int64_t> values = node.attr_ints_or(name, {});
  if (values.empty()) values.assign(count, otherwise);
  return values;
}

Window without_padding(const Node& node, const Shape& kernel) {
  const auto rank = static_cast<std::size_t>(kernel.rank());
  Window window;
  window.kernel = kernel.dims();
  window.strides = ints_of(node, "strides", rank, 1);
  window.dilations = ints_of(node, "dilations", rank, 1);
  for (std::int64_t& dilation : window.dilations) dilation -= 1;
  return window;
}

/// What the last of `output` positions reads beyond `input`, counted from the first of `input`.
std::int64_t reach_of(const Window& window, std::size_t axis, std::int64_t input, std::int64_t output) {
  const std::int64_t extent = (window.kernel[axis] - 1) * (window.dilations[axis] + 1) + 1;
  return (output - 1) * window.strides[axis] + extent - input;
}

}  // namespace

Window window_of(const Node& node, const Shape& kernel, const Shape& input, const Shape& output) {
  Window window = without_padding(node, kernel);
  const auto rank = static_cast<std::size_t>(kernel.rank());
  const std::string auto_pad = node.attr_string_or("auto_pad", "NOTSET");
  const std::vector<std::int64_t> pads = ints_of(node, "pads", 2 * rank, 0);
  for (std::size_t i = 0; i < rank; ++i) {
    const auto axis = static_cast<std::int64_t>(i);
    const std::int64_t reach = reach_of(window, i, input[axis], output[axis]);
    const std::int64_t total = std::max(reach, std::int64_t{0});
    if (auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER") {
      window.begin.push_back(auto_pad == "SAME_UPPER" ? total / 2 : total - total / 2);
      window.end.push_back(total - window.begin.back());
    } else if (auto_pad == "VALID") {
      window.begin.push_back(0);
      window.end.push_back(total);
    } else {
      window.begin.push_back(pads[i]);
      // Rounding up (ceil_mode) may reach past the padding that was asked for.
      window.end.push_back(std::max(reach - pads[i], pads[rank + i]));
    }
  }
  return window;
}

Window transposed_window_of(const Node& node, const Shape& kernel, const Shape& input, const Shape& output) {
  Window window = without_padding(node, kernel);
  const auto rank = static_cast<std::size_t>(kernel.rank());
  const std::string auto_pad = node.attr_string_or("auto_pad", "NOTSET");
  const std::vector<std::int64_t> pads = ints_of(node, "pads", 2 * rank, 0);
  const std::vector<std::int64_t> more = ints_of(node, "output_padding", rank, 0);
  const bool shape_given = !node.attr_ints_or("output_shape", {}).empty();
  for (std::size_t i = 0; i < rank; ++i) {
    const auto axis = static_cast<std::int64_t>(i);
    const std::int64_t reach = reach_of(window, i, output[axis], input[axis]);
    std::int64_t begin = auto_pad == "VALID" ? 0 : pads[i];
    if (shape_given || auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER") {
      const std::int64_t total = std::max(reach + more[i], std::int64_t{0});
      begin = auto_pad == "SAME_UPPER" ? total / 2 : total - total / 2;
    }
    window.begin.push_back(begin);
    window.end.push_back(reach - begin);
  }
  return window;
}

}  // namespace naru::cpu
