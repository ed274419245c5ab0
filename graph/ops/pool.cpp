// Pooling: MaxPool, AveragePool and LpPool over windows, and their global forms.
#include <algorithm>
#include <cmath>
#include <limits>

#include "graph/ops/families.h"
#include "graph/ops/nn_rules.h"
#include "graph/ops/patches.h"
#include "graph/scalar.h"

namespace naru {
namespace {

constexpr TypeSet kMaxPoolTypes = kFloats | kBytes;

// Windowed pools

/// The output shape; fresh dimensions where the input says nothing.
SymShape pool_shape(InferContext& ctx) {
  const Window window = read_pool_window(ctx.node);
  ctx.require(window.rank() >= 1, "kernel_shape: got no values, expected one per spatial axis");
  const SymShape* x = expect_rank(ctx, 0, window.rank() + 2);
  SymShape y(window.rank() + 2);
  for (std::size_t i = 0; i < y.size(); ++i) {
    if (x == nullptr) {
      y[i] = ctx.fresh_dim();
    } else if (i < 2) {
      y[i] = (*x)[i];
    } else {
      y[i] = window_output(window, i - 2, (*x)[i]);
      ctx.require(!y[i].is_known() || y[i].value() >= 0,
                  "axis {}: got input size {} with pads {} and {}, expected at least the kernel "
                  "span {}",
                  i, (*x)[i].to_string(), window.pads_begin[i - 2], window.pads_end[i - 2],
                  window.span(i - 2));
    }
  }
  return y;
}

void infer_max_pool(InferContext& ctx) {
  expect_type(ctx, 0, kMaxPoolTypes);
  const SymShape y = pool_shape(ctx);
  ctx.set_output(0, ctx.dtype(0), y);
  ctx.set_output(1, DType::I64, y);
}

void infer_pool(InferContext& ctx) {
  expect_type(ctx, 0, kFloats);
  ctx.require(ctx.node.attr_int_or("p", 1) >= 1, "p: got {}, expected 1 or more",
              ctx.node.attr_int_or("p", 1));
  ctx.set_output(0, ctx.dtype(0), pool_shape(ctx));
}

PatchGrid pool_grid(const Node& node, const Shape& x, const Shape& y) {
  return patch_grid(read_pool_window(node), {x.begin() + 2, x.end()}, {y.begin() + 2, y.end()});
}

/// Calls `visit(output index, input index)` for each element of each window, in row-major order of
/// the window's elements.
template <typename Visit>
void visit_windows(const PatchGrid& grid, std::int64_t planes, Visit visit) {
  constexpr std::int64_t kBlock = 4096;
  const std::int64_t fine = grid.fine_size();
  const std::int64_t coarse = grid.coarse_size();
  for (std::int64_t begin = 0; begin < coarse; begin += kBlock) {
    const std::vector<PatchRun> runs = patch_runs(grid, begin, std::min(coarse, begin + kBlock));
    for (std::int64_t plane = 0; plane < planes; ++plane) {
      for (const PatchRun& run : runs) {
        const std::int64_t to = plane * coarse + begin + run.first;
        const std::int64_t from = plane * fine + run.offset;
        for (std::int64_t i = 0; i < run.count; ++i) {
          visit(static_cast<std::size_t>(to + i), static_cast<std::size_t>(from + i * run.step));
        }
      }
    }
  }
}

/// The row-major index of an element with its spatial coordinates counted column-major instead.
std::int64_t column_major(std::int64_t index, const std::vector<std::int64_t>& sizes) {
  std::int64_t plane = 1;
  for (std::int64_t size : sizes) plane *= size;
  const std::int64_t base = index / plane * plane;
  std::int64_t rest = index - base;
  std::int64_t result = 0;
  std::int64_t stride = plane;
  for (std::size_t axis = sizes.size(); axis-- > 0;) {
    stride /= sizes[axis];
    result += rest % sizes[axis] * stride;
    rest /= sizes[axis];
  }
  return base + result;
}

void reference_max_pool(ReferenceContext& ctx) {
  const Shape& x_shape = ctx.input(0).shape();
  Tensor& output = ctx.output(0);
  const PatchGrid grid = pool_grid(ctx.node, x_shape, output.shape());
  const std::vector<double> x = to_wide<double>(ctx.input(0));
  std::vector<double> y(static_cast<std::size_t>(output.numel()),
                        -std::numeric_limits<double>::infinity());
  std::vector<std::int64_t> index(y.size(), -1);
  visit_windows(grid, x_shape[0] * x_shape[1], [&](std::size_t to, std::size_t from) {
    if (index[to] < 0 || x[from] > y[to]) {
      y[to] = x[from];
      index[to] = static_cast<std::int64_t>(from);
    }
  });
  from_wide<double>(y, output);
  if (!ctx.has_output(1)) return;
  const bool by_column = ctx.node.attr_int("storage_order") != 0;
  Tensor& indices = ctx.output(1);
  const auto to = indices.as_mutable<std::int64_t>();
  for (std::size_t i = 0; i < index.size(); ++i) {
    to[i] = by_column && index[i] >= 0 ? column_major(index[i], grid.fine) : index[i];
  }
}

/// How many elements each window counts along `axis`, the padding included.
std::vector<double> padded_counts(const PatchGrid& grid, const Window& window, std::size_t axis) {
  std::vector<double> counts;
  const std::int64_t size = grid.fine[axis] + window.pads_begin[axis] + window.pads_end[axis];
  for (std::int64_t c = 0; c < grid.coarse[axis]; ++c) {
    // A SAME window lies wholly inside the padded input.
    const auto [first, last] = steps_inside(grid.kernel[axis], grid.dilations[axis],
                                            c * grid.strides[axis], size);
    counts.push_back(static_cast<double>(window.auto_pad == AutoPad::NotSet ? last - first
                                                                            : grid.kernel[axis]));
  }
  return counts;
}

/// The number of elements of each window of one plane, the padding included.
std::vector<double> padded_counts(const PatchGrid& grid, const Window& window) {
  std::vector<double> counts{1.0};
  for (std::size_t axis = 0; axis < grid.fine.size(); ++axis) {
    const std::vector<double> along = padded_counts(grid, window, axis);
    std::vector<double> product;
    for (double outer : counts) {
      for (double inner : along) product.push_back(outer * inner);
    }
    counts = std::move(product);
  }
  return counts;
}

void reference_average_pool(ReferenceContext& ctx) {
  const Shape& x_shape = ctx.input(0).shape();
  Tensor& output = ctx.output(0);
  const PatchGrid grid = pool_grid(ctx.node, x_shape, output.shape());
  const std::vector<double> x = to_wide<double>(ctx.input(0));
  std::vector<double> y(static_cast<std::size_t>(output.numel()), 0.0);
  std::vector<double> counts(y.size(), 0.0);
  visit_windows(grid, x_shape[0] * x_shape[1], [&](std::size_t to, std::size_t from) {
    y[to] += x[from];
    counts[to] += 1;
  });
  if (ctx.node.attr_int("count_include_pad") != 0) {
    const std::vector<double> padded = padded_counts(grid, read_pool_window(ctx.node));
    for (std::size_t i = 0; i < counts.size(); ++i) counts[i] = padded[i % padded.size()];
  }
  for (std::size_t i = 0; i < y.size(); ++i) y[i] /= std::max(counts[i], 1.0);
  from_wide<double>(y, output);
}

void reference_lp_pool(ReferenceContext& ctx) {
  const Shape& x_shape = ctx.input(0).shape();
  const auto p = static_cast<double>(ctx.node.attr_int("p"));
  Tensor& output = ctx.output(0);
  const PatchGrid grid = pool_grid(ctx.node, x_shape, output.shape());
  std::vector<double> x = to_wide<double>(ctx.input(0));
  for (double& value : x) value = std::pow(std::fabs(value), p);
  std::vector<double> y(static_cast<std::size_t>(output.numel()), 0.0);
  visit_windows(grid, x_shape[0] * x_shape[1],
                [&](std::size_t to, std::size_t from) { y[to] += x[from]; });
  for (double& value : y) value = std::pow(value, 1.0 / p);
  from_wide<double>(y, output);
}

Cost cost_pool(const Node& node, std::span<const Type> inputs, std::span<const Type> outputs) {
  double taps = 1;
  for (std::int64_t size : node.attr_ints("kernel_shape")) taps *= static_cast<double>(size);
  return {taps * element_count(outputs[0]), total_bytes(inputs, outputs)};
}

// Global pools

void infer_global_pool(InferContext& ctx) {
  expect_type(ctx, 0, kFloats);
  const SymShape* x = expect_min_rank(ctx, 0, 2);
  if (x == nullptr) return ctx.set_output(0, ctx.dtype(0));
  SymShape y(x->size(), Dim(1));
  y[0] = (*x)[0];
  y[1] = (*x)[1];
  ctx.set_output(0, ctx.dtype(0), std::move(y));
}

/// Reduces the spatial elements of each channel: folds from `initial`, then finishes with the count.
template <typename Fold, typename Finish>
void reduce_planes(ReferenceContext& ctx, double initial, Fold fold, Finish finish) {
  Tensor& output = ctx.output(0);
  const Shape& shape = ctx.input(0).shape();
  const auto inner = static_cast<std::size_t>(shape.numel(2, shape.rank()));
  const std::vector<double> x = to_wide<double>(ctx.input(0));
  std::vector<double> y(static_cast<std::size_t>(output.numel()));
  for (std::size_t plane = 0; plane < y.size(); ++plane) {
    double value = initial;
    for (std::size_t i = 0; i < inner; ++i) value = fold(value, x[plane * inner + i]);
    y[plane] = finish(value, static_cast<double>(inner));
  }
  from_wide<double>(y, output);
}

void reference_global_average_pool(ReferenceContext& ctx) {
  reduce_planes(
      ctx, 0.0, [](double sum, double value) { return sum + value; },
      [](double sum, double count) { return sum / count; });
}

void reference_global_max_pool(ReferenceContext& ctx) {
  reduce_planes(
      ctx, -std::numeric_limits<double>::infinity(),
      [](double best, double value) { return value > best || std::isnan(value) ? value : best; },
      [](double best, double) { return best; });
}

void reference_global_lp_pool(ReferenceContext& ctx) {
  const auto p = static_cast<double>(ctx.node.attr_int("p"));
  reduce_planes(
      ctx, 0.0, [p](double sum, double value) { return sum + std::pow(std::fabs(value), p); },
      [p](double sum, double) { return std::pow(sum, 1.0 / p); });
}

std::vector<AttrSpec> window_attributes(std::vector<AttrSpec> extra) {
  std::vector<AttrSpec> attributes = {
      {"auto_pad", AttrKind::String, "NOTSET, SAME_UPPER, SAME_LOWER or VALID", "NOTSET"},
      {"ceil_mode", AttrKind::Int, "1: the output size is rounded up", std::int64_t{0}},
      {"dilations", AttrKind::Ints, "distance of kernel elements per spatial axis; 1 each"},
      {"kernel_shape", AttrKind::Ints, "kernel sizes", std::nullopt, true},
      {"pads", AttrKind::Ints, "padding at the begin of each axis, then at the end; 0 each"},
      {"strides", AttrKind::Ints, "window distance per spatial axis; 1 each"},
  };
  attributes.insert(attributes.end(), extra.begin(), extra.end());
  return attributes;
}

/// What the records of the pools share.
OpDef pool_def(const char* name, const char* doc, const char* source) {
  return {
      .name = name,
      .since_version = 22,
      .doc = doc,
      .source = source,
      .inputs = {{"X", "[batch, channels, spatial...], f32|f16|bf16|f64"}},
      .outputs = {{"Y", "[batch, channels, spatial...]"}},
  };
}

}  // namespace

void define_pool(std::vector<OpDef>& ops) {
  OpDef max = pool_def("MaxPool", "Takes the maximum of each window.", "ONNX MaxPool-22");
  max.inputs[0].doc = "[batch, channels, spatial...], f32|f16|bf16|f64|i8|u8";
  max.outputs.push_back(
      {"Indices", "i64: where each maximum stood in the flattened input", Arity::Optional});
  max.attributes = window_attributes(
      {{"storage_order", AttrKind::Int, "1: indices count columns first", std::int64_t{0}}});
  max.infer = infer_max_pool;
  max.reference = reference_max_pool;
  max.cost = cost_pool;
  ops.push_back(std::move(max));

  OpDef average =
      pool_def("AveragePool", "Takes the mean of each window.", "ONNX AveragePool-22");
  average.attributes = window_attributes(
      {{"count_include_pad", AttrKind::Int, "1: padding counts as zeros", std::int64_t{0}}});
  average.infer = infer_pool;
  average.reference = reference_average_pool;
  average.cost = cost_pool;
  ops.push_back(std::move(average));

  OpDef lp = pool_def("LpPool", "Takes the Lp norm of each window.", "ONNX LpPool-22");
  lp.attributes = window_attributes({{"p", AttrKind::Int, "the norm's exponent", std::int64_t{2}}});
  lp.infer = infer_pool;
  lp.reference = reference_lp_pool;
  lp.cost = cost_pool;
  ops.push_back(std::move(lp));

  OpDef global_average = pool_def("GlobalAveragePool", "Takes the mean of each channel.",
                                  "ONNX GlobalAveragePool-22");
  global_average.infer = infer_global_pool;
  global_average.reference = reference_global_average_pool;
  global_average.cost = cost_per_input_element<1>;
  ops.push_back(std::move(global_average));

  OpDef global_max =
      pool_def("GlobalMaxPool", "Takes the maximum of each channel.", "ONNX GlobalMaxPool-22");
  global_max.infer = infer_global_pool;
  global_max.reference = reference_global_max_pool;
  global_max.cost = cost_per_input_element<1>;
  ops.push_back(std::move(global_max));

  OpDef global_lp =
      pool_def("GlobalLpPool", "Takes the Lp norm of each channel.", "ONNX GlobalLpPool-22");
  global_lp.attributes = {{"p", AttrKind::Int, "the norm's exponent", std::int64_t{2}}};
  global_lp.infer = infer_global_pool;
  global_lp.reference = reference_global_lp_pool;
  global_lp.cost = cost_per_input_element<2>;
  ops.push_back(std::move(global_lp));
}

}  // namespace naru
