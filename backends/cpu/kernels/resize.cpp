// Resize without anti-aliasing: nearest by table look-up, linear and cubic axis by axis.
#include <algorithm>
#include <cmath>

#include "backends/cpu/elementwise.h"
#include "backends/cpu/kernels.h"
#include "backends/cpu/parallel.h"
#include "backends/cpu/strided_copy.h"
#include "graph/scalar.h"

namespace naru::cpu {
namespace {

bool is_given(const NodeView& view, std::size_t i) {
  if (!view.has_input(i)) return false;
  const Type& type = view.type(i);
  return !(type.shape && type.shape->size() == 1 && (*type.shape)[0] == Dim(0));
}

std::string refuses(const NodeView& view) {
  const Node& node = view.node;
  if (node.attr_int_or("antialias", 0) != 0) return "antialias";
  if (node.attr_int_or("exclude_outside", 0) != 0) return "exclude_outside";
  if (node.attr_string_or("coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize") return "tf_crop_and_resize";
  if (node.attr_string_or("keep_aspect_ratio_policy", "stretch") != "stretch") return "an aspect ratio policy";
  for (const std::size_t i : {std::size_t{2}, std::size_t{3}}) {
    if (is_given(view, i) && view.constant(i) == nullptr) return "sizes that are not constant";
  }
  const DType dtype = view.dtype(0);
  const bool nearest = node.attr_string_or("mode", "nearest") == "nearest";
  if (dtype != DType::Undefined && (nearest ? dtype_info(dtype).block_elements != 1 : dtype != DType::F32)) {
    return "element type " + std::string(to_string(dtype));
  }
  return "";
}

struct AxisPlan {
  std::int64_t input = 1;
  std::int64_t output = 1;
  double scale = 1;
  bool is_identity() const { return scale == 1 && input == output; }
};

std::vector<AxisPlan> axis_plans(const Lowering& lowering) {
  const Shape x = lowering.shape(0);
  const Shape y = lowering.output_layout(0).shape;
  std::vector<AxisPlan> plans;
  for (std::int64_t axis = 0; axis < x.rank(); ++axis) plans.push_back({x[axis], y[axis], 1});
  std::vector<std::int64_t> axes = lowering.node().attr_ints_or("axes", {});
  if (axes.empty()) {
    for (std::int64_t axis = 0; axis < x.rank(); ++axis) axes.push_back(axis);
  }
  const bool by_scales = is_given(lowering.view(), 2);
  for (std::size_t i = 0; i < axes.size(); ++i) {
    AxisPlan& plan = plans[static_cast<std::size_t>(axes[i] < 0 ? axes[i] + x.rank() : axes[i])];
    plan.scale = by_scales ? static_cast<double>(lowering.constant(2)->as<float>()[i])
                           : static_cast<double>(plan.output) / static_cast<double>(plan.input);
  }
  return plans;
}

/// Where output position `at` stands in the input: the formulas of ONNX Resize.
double source_position(const std::string& mode, const AxisPlan& plan, std::int64_t at) {
  const auto x = static_cast<double>(at);
  const auto input = static_cast<double>(plan.input);
  const double resized = plan.scale * input;
  if (mode == "asymmetric") return x / plan.scale;
  if (mode == "align_corners") return resized == 1 ? 0.0 : x * (input - 1) / (resized - 1);
  if (mode == "tf_half_pixel_for_nn") return (x + 0.5) / plan.scale;
  if (mode == "pytorch_half_pixel" && plan.output <= 1) return 0.0;
  const double centred = (x + 0.5) / plan.scale - 0.5;
  if (mode != "half_pixel_symmetric") return centred;
  return input / 2 * (1 - static_cast<double>(plan.output) / resized) + centred;
}

std::int64_t nearest_index(const std::string& rounding, double position) {
  const double low = std::floor(position);
  const double fraction = position - low;
  const bool up = rounding == "ceil"                ? fraction > 0
                  : rounding == "round_prefer_ceil" ? fraction >= 0.5
                  : rounding == "floor"             ? false
                                                    : fraction > 0.5;
  return static_cast<std::int64_t>(low) + (up ? 1 : 0);
}

/// The inputs of each output position of an axis, the same number for each.
struct Taps {
  std::int64_t count = 0;
  std::vector<std::int64_t> index;
  std::vector<float> weight;
};

double cubic(double a, double distance) {
  const double x = std::fabs(distance);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

Taps taps_of(const Node& node, const AxisPlan& plan) {
  const std::string coordinates = node.attr_string_or("coordinate_transformation_mode", "half_pixel");
  const bool linear = node.attr_string_or("mode", "nearest") == "linear";
  const double a = node.attr_float_or("cubic_coeff_a", -0.75f);
  Taps taps;
  taps.count = linear ? 2 : 4;
  for (std::int64_t at = 0; at < plan.output; ++at) {
    const double position = source_position(coordinates, plan, at);
    const auto first = static_cast<std::int64_t>(std::floor(position)) - (linear ? 0 : 1);
    for (std::int64_t k = 0; k < taps.count; ++k) {
      const double distance = static_cast<double>(first + k) - position;
      const double weight = linear ? std::max(0.0, 1 - std::fabs(distance)) : cubic(a, distance);
      taps.index.push_back(std::clamp(first + k, std::int64_t{0}, plan.input - 1));
      taps.weight.push_back(static_cast<float>(weight));
    }
  }
  return taps;
}

/// Resamples the middle axis of x[outer, input, inner].
void resample(const Taps& taps, const AxisPlan& plan, std::int64_t outer, std::int64_t inner, const float* x, float* y) {
  const double cost = static_cast<double>(inner * taps.count) * 0.3;
  parallel_ranges(outer * plan.output, cost, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t at = i % plan.output;
      const float* source = x + i / plan.output * plan.input * inner;
      const std::int64_t* index = taps.index.data() + at * taps.count;
      const float* weight = taps.weight.data() + at * taps.count;
      float* target = y + i * inner;
      if (inner == 1) {
        float sum = 0;
        for (std::int64_t k = 0; k < taps.count; ++k) sum += weight[k] * source[index[k]];
        *target = sum;
        continue;
      }
      const float* a = source + index[0] * inner;
      const float* b = source + index[1] * inner;
      for (std::int64_t l = 0; l < inner; ++l) target[l] = weight[0] * a[l] + weight[1] * b[l];
      for (std::int64_t k = 2; k < taps.count; ++k) {
        const float* c = source + index[k] * inner;
        for (std::int64_t l = 0; l < inner; ++l) target[l] += weight[k] * c[l];
      }
    }
  });
}

/// Plans by physical dimension; channels are not resampled where they lie in blocks.
bool blocks_stay(const Layout& layout, const std::vector<AxisPlan>& plans) {
  return layout.is_plain() || plans[1].is_identity();
}

bool lower_nearest(Lowering& lowering, const std::vector<AxisPlan>& plans) {
  const Node& node = lowering.node();
  const std::string coordinates = node.attr_string_or("coordinate_transformation_mode", "half_pixel");
  const std::string rounding = node.attr_string_or("nearest_mode", "round_prefer_floor");
  Rep input = lowering.input(0);
  if (!blocks_stay(input.layout, plans)) input = lowering.plain(0);
  Layout layout = lowering.output_layout(0);
  layout.block = input.layout.block;
  const std::vector<std::int64_t> dims = physical_dims(input.layout);
  const std::vector<std::int64_t> strides = Shape(dims).strides();
  std::vector<std::vector<std::int64_t>> tables;
  for (std::size_t axis = 0; axis < dims.size(); ++axis) {
    const bool whole = axis >= plans.size() || plans[axis].is_identity();
    const std::int64_t count = whole ? dims[axis] : plans[axis].output;
    std::vector<std::int64_t> table;
    for (std::int64_t at = 0; at < count; ++at) {
      const std::int64_t index = whole ? at : nearest_index(rounding, source_position(coordinates, plans[axis], at));
      table.push_back(std::clamp(index, std::int64_t{0}, dims[axis] - 1) * strides[axis]);
    }
    tables.push_back(std::move(table));
  }
  const Rep output = lowering.output(0, layout);
  lowering.emit("resize nearest", to_string(input.layout) + " -> " + to_string(layout),
                {Lowering::reads(input), Lowering::writes(output)},
                [copy = TableCopy(std::move(tables), storage_bytes(layout.dtype, 1))](std::byte* const* p) { copy(p[0], p[1]); });
  return true;
}

bool lower(Lowering& lowering) {
  const std::vector<AxisPlan> plans = axis_plans(lowering);
  if (lowering.node().attr_string_or("mode", "nearest") == "nearest") return lower_nearest(lowering, plans);
  Rep input = lowering.input(0);
  if (!blocks_stay(input.layout, plans)) input = lowering.plain(0);
  Layout layout = lowering.output_layout(0);
  layout.block = input.layout.block;
  std::vector<std::int64_t> dims = physical_dims(input.layout);
  std::vector<std::size_t> resampled;
  for (std::size_t axis = 0; axis < plans.size(); ++axis) {
    if (!plans[axis].is_identity()) resampled.push_back(axis);
  }
  if (resampled.empty()) return false;
  for (std::size_t i = 0; i < resampled.size(); ++i) {
    const std::size_t axis = resampled[i];
    const AxisPlan plan = plans[axis];
    const std::int64_t outer = Shape(dims).numel(0, static_cast<std::int64_t>(axis));
    const std::int64_t inner = Shape(dims).numel(static_cast<std::int64_t>(axis) + 1, static_cast<std::int64_t>(dims.size()));
    dims[axis] = plan.output;
    const bool last = i + 1 == resampled.size();
    const Rep output = last ? lowering.output(0, layout) : lowering.scratch(Shape(dims).numel() * 4);
    lowering.emit("resize", to_string(input.layout) + " -> " + to_string(output.layout),
                  {Lowering::reads(input), Lowering::writes(output)},
                  [taps = taps_of(lowering.node(), plan), plan, outer, inner](std::byte* const* p) {
                    resample(taps, plan, outer, inner, reinterpret_cast<const float*>(p[0]), reinterpret_cast<float*>(p[1]));
                  });
    input = output;
  }
  return true;
}

}  // namespace

void add_resize_kernels(std::vector<KernelEntry>& table) {
  table.push_back({"Resize", "resampling by axis", refuses, lower});
}

}  // namespace naru::cpu
