// Convolutions: as blocked products over patches, directly per element, and transposed.
#include <algorithm>

#include "compiler/kernel/chain.h"
#include "compiler/kernel/gemm.h"
#include "compiler/kernel/windows.h"
#include "graph/ops/conv.h"

namespace naru::kernel {
namespace {

ConvSizes sizes_of(const Lowering& lowering) {
  return conv_sizes(lowering.node(), lowering.shape(0), lowering.shape(1), lowering.output_shape(0));
}

/// Bias and post-ops of output elements: of one, or of a vector of pixels side by side.
class Epilogue {
 public:
  Epilogue(Lowering& lowering, Call& call)
      : merged_(Chain::merges(lowering, lowering.output_shape(0), 2)),
        chain_(lowering, call, lowering.output_shape(0), merged_ ? 2 : lowering.output_shape(0).rank()) {
    const Shape y = lowering.output_shape(0);
    if (!merged_) spatial_ = sizes(call, std::vector<std::int64_t>(y.begin() + 2, y.end()));
    if (lowering.has_input(2)) bias_ = call.in(2);
  }

  bool takes_vectors() const { return merged_ && chain_.takes_vectors(); }

  Expr operator()(Call& call, Expr value, const Expr& image, const Expr& channel, const Expr& pixel) const {
    if (bias_) value = call.let(value + cast(call.load(*bias_, channel), value.element()));
    if (chain_.empty()) return value;
    std::vector<Expr> at = {image, channel};
    if (merged_) {
      at.push_back(pixel);
    } else {
      for (const Expr& d : unravel(call, pixel, spatial_)) at.push_back(d);
    }
    return chain_.apply(call, value, at);
  }

 private:
  bool merged_;
  Chain chain_;
  std::vector<Expr> spatial_;
  std::optional<Buffer> bias_;
};

/// True when the patches of a convolution are the pixels themselves.
bool is_pointwise(const PatchGrid& grid) {
  const auto all = [](const std::vector<std::int64_t>& values, std::int64_t value) {
    return std::all_of(values.begin(), values.end(), [&](std::int64_t v) { return v == value; });
  };
  return all(grid.kernel, 1) && all(grid.strides, 1) && all(grid.pads, 0) && grid.fine == grid.coarse;
}

/// Panels of patches: [image and group][panel][channel and tap][pixel of the panel]. One item fills all
/// taps of a channel: the loop over a panel's pixels is innermost and has no branches.
Rep pack_patches(Lowering& lowering, const ConvSizes& sizes_, const GemmTile& tile) {
  const PatchGrid& grid = sizes_.grid;
  const Rep input = lowering.input(0);
  const std::int64_t planes = sizes_.batch * sizes_.groups;
  const std::int64_t taps = grid.kernel_size();
  const std::int64_t panels = panel_count(grid.coarse_size(), tile);
  const std::int32_t width = tile.columns();
  const Rep packed = lowering.scratch(DType::F32, Shape{planes, panels, sizes_.in_channels * taps, width});
  Call call(lowering, fmt::format("pack_patches_{}", width));
  call.limit_group(8);
  const Buffer x = call.read(input);
  const Buffer y = call.write(packed);
  const WindowArgs window = window_args(call, grid);
  std::vector<Array> firsts;
  for (std::size_t d = 0; d < grid.fine.size(); ++d) firsts.push_back(call.array(Element::I32, width, false));
  const Expr fine = call.size(grid.fine_size());
  const Expr pixels = call.size(grid.coarse_size());
  const Expr tap_count = call.size(taps);
  const std::vector<std::int64_t> extents = {planes, panels, sizes_.in_channels};
  const std::vector<Expr> shape = sizes(call, extents);
  const auto at = call.points(shape, extents);
  // The last panel's spare columns repeat the last pixel.
  call.loop(width, [&](const Expr& j) {
    const std::vector<Expr> place = unravel(call, call.let(min(at[1] * width + j, pixels - 1)), window.coarse);
    for (std::size_t d = 0; d < place.size(); ++d) call.store(firsts[d], j, place[d] * window.strides[d] - window.pads[d]);
  });
  const Expr to = call.let(((at[0] * shape[1] + at[1]) * shape[2] + at[2]) * tap_count * width);
  const Expr from = call.let((at[0] * shape[2] + at[2]) * fine);
  each_kernel_tap(call, window, [&](const std::vector<Expr>& k, const Expr& tap) {
    const Expr line = call.let(to + tap * width);
    call.loop(width, [&](const Expr& j) {
      Expr element(0);
      Expr inside = literal(Element::Bool, 1);
      for (std::size_t d = 0; d < k.size(); ++d) {
        const Expr position = call.let(call.load(firsts[d], j) + k[d] * window.dilations[d]);
        const Expr fits = position >= 0 && position < window.fine[d];
        const Expr clamped = max(min(position, window.fine[d] - 1), 0);
        inside = d == 0 ? fits : inside && fits;
        element = call.let(d == 0 ? clamped : element * window.fine[d] + clamped);
      }
      const Expr value = cast(call.load(x, from + element), Element::F32);
      call.store(y, line + j, select(inside, value, literal(Element::F32, 0)));
    });
  });
  call.launch(naru::to_string(input.shape) + " -> " + naru::to_string(packed.shape));
  return packed;
}

void lower_blocked(Lowering& lowering) {
  const ConvSizes sizes_ = sizes_of(lowering);
  const PatchGrid& grid = sizes_.grid;
  const std::int64_t pixels = grid.coarse_size();
  const std::int64_t depth = sizes_.in_channels * grid.kernel_size();
  Gemm gemm;
  gemm.batch = {sizes_.batch, sizes_.groups};
  gemm.rows = sizes_.out_channels;
  gemm.columns = pixels;
  gemm.depth = depth;
  gemm.tile = gemm_tile(lowering.target(), gemm.rows);
  gemm.a = lowering.input(1);
  gemm.a_place = {{0, sizes_.out_channels * depth}, depth, 1};
  const Rep x = lowering.input(0);
  gemm.panels = is_pointwise(grid)
                    ? pack_panels(lowering, x, sizes_.batch * sizes_.groups, depth * pixels, {{}, pixels, 1}, depth, pixels, gemm.tile)
                    : pack_patches(lowering, sizes_, gemm.tile);
  gemm.b_matrix = {sizes_.groups, 1};
  gemm.y = lowering.output(0);
  gemm.y_place = {{sizes_.groups * sizes_.out_channels * pixels, sizes_.out_channels * pixels}, pixels, 1};
  std::optional<Epilogue> epilogue;
  Expr group_size;
  gemm.bind = [&](Call& call) {
    epilogue.emplace(lowering, call);
    gemm.vector_epilogue = epilogue->takes_vectors();
    group_size = call.size(sizes_.out_channels);
  };
  gemm.epilogue = [&](Call& call, Expr value, const std::vector<Expr>& batch, Expr row, Expr column) {
    return (*epilogue)(call, std::move(value), batch[0], call.let(batch[1] * group_size + row), column);
  };
  emit_gemm(lowering, "conv", gemm, naru::to_string(x.shape) + " * " + naru::to_string(lowering.shape(1)));
}

/// One item per output element.
struct DirectPoint {
  Expr image, group, channel, pixel, index;
  std::vector<Expr> at;
};

DirectPoint direct_point(Call& call, const ConvSizes& sizes_, const std::vector<std::int64_t>& spatial) {
  std::vector<std::int64_t> extents = {sizes_.batch, sizes_.groups * sizes_.out_channels};
  extents.insert(extents.end(), spatial.begin(), spatial.end());
  const std::vector<Expr> shape = sizes(call, extents);
  const std::vector<Expr> at = call.points(shape, extents);
  DirectPoint point;
  point.image = at[0];
  point.channel = at[1];
  point.group = call.let(at[1] / call.size(sizes_.out_channels));
  point.at.assign(at.begin() + 2, at.end());
  point.pixel = call.let(ravel(point.at, {shape.begin() + 2, shape.end()}));
  point.index = call.let(ravel(at, shape));
  return point;
}

void lower_direct(Lowering& lowering) {
  const ConvSizes sizes_ = sizes_of(lowering);
  Call call(lowering, "conv_direct");
  const Buffer x = call.in(0);
  const Buffer w = call.in(1);
  const Buffer y = call.out(0);
  const Epilogue epilogue(lowering, call);
  const WindowArgs window = window_args(call, sizes_.grid);
  const Expr fine = call.size(sizes_.grid.fine_size());
  const Expr taps = call.size(sizes_.grid.kernel_size());
  const Expr channels = call.size(sizes_.in_channels);
  const Expr groups = call.size(sizes_.groups);
  const DirectPoint point = direct_point(call, sizes_, sizes_.grid.coarse);
  const Variable total = call.var(literal(computed(y.element), 0));
  const Expr x_base = call.let((point.image * groups + point.group) * channels);
  const Expr w_base = call.let(point.channel * channels);
  call.loop(channels, [&](const Expr& c) {
    const Expr x_plane = call.let((x_base + c) * fine);
    const Expr w_plane = call.let((w_base + c) * taps);
    each_tap(call, window, point.at, [&](const Expr& from, const Expr& tap) {
      call.set(total, multiply_add(call.load(x, x_plane + from), call.load(w, w_plane + tap), total));
    });
  });
  call.store(y, point.index, epilogue(call, total, point.image, point.channel, point.pixel));
  call.launch(naru::to_string(lowering.shape(0)) + " * " + naru::to_string(lowering.shape(1)));
}

PatchGrid transposed_grid(const Lowering& lowering) {
  const Node& node = lowering.node();
  const Shape x = lowering.shape(0);
  const Shape w = lowering.shape(1);
  const Shape y = lowering.output_shape(0);
  const Window window = read_window(node, {w.begin() + 2, w.end()});
  const std::vector<std::int64_t> extra = node.attr_ints_or("output_padding", {});
  PatchGrid grid;
  grid.fine = {y.begin() + 2, y.end()};
  grid.coarse = {x.begin() + 2, x.end()};
  grid.kernel = window.kernel;
  grid.strides = window.strides;
  grid.dilations = window.dilations;
  for (std::size_t d = 0; d < grid.fine.size(); ++d) {
    grid.pads.push_back(transposed_pad_begin(window, d, grid.coarse[d], grid.fine[d], extra.empty() ? 0 : extra[d],
                                             node.has("output_shape") && !node.attr_ints("output_shape").empty()));
  }
  return grid;
}

void lower_transposed(Lowering& lowering) {
  const Shape x_shape = lowering.shape(0);
  const Shape w_shape = lowering.shape(1);
  ConvSizes sizes_;
  sizes_.groups = lowering.node().attr_int("group");
  sizes_.batch = x_shape[0];
  sizes_.in_channels = x_shape[1] / sizes_.groups;
  sizes_.out_channels = w_shape[1];
  sizes_.grid = transposed_grid(lowering);
  Call call(lowering, "conv_transposed");
  const Buffer x = call.in(0);
  const Buffer w = call.in(1);
  const Buffer y = call.out(0);
  const Epilogue epilogue(lowering, call);
  const WindowArgs window = window_args(call, sizes_.grid);
  const Expr coarse = call.size(sizes_.grid.coarse_size());
  const Expr taps = call.size(sizes_.grid.kernel_size());
  const Expr channels = call.size(sizes_.in_channels);
  const Expr outputs = call.size(sizes_.out_channels);
  const Expr groups = call.size(sizes_.groups);
  const DirectPoint point = direct_point(call, sizes_, sizes_.grid.fine);
  const Variable total = call.var(literal(computed(y.element), 0));
  const Expr x_base = call.let((point.image * groups + point.group) * channels * coarse);
  const Expr w_base = call.let((point.group * channels * outputs + point.channel % outputs) * taps);
  const Expr w_stride = call.let(outputs * taps);
  each_source(call, window, point.at, [&](const Expr& from, const Expr& tap) {
    call.loop(channels, [&](const Expr& c) {
      call.set(total, multiply_add(call.load(x, x_base + c * coarse + from), call.load(w, w_base + c * w_stride + tap), total));
    });
  });
  call.store(y, point.index, epilogue(call, total, point.image, point.channel, point.pixel));
  call.launch(naru::to_string(x_shape) + " * " + naru::to_string(w_shape));
}

// DeformConv

constexpr std::size_t kOffset = 2, kDeformBias = 3, kMask = 4;

/// A plane's value at a fractional position: linear along both axes, zero outside.
Expr interpolated(Call& call, Buffer x, const Expr& plane, const std::vector<Expr>& size, const Expr& row, const Expr& column) {
  const Element element = row.element();
  const auto axis = [&](const Expr& position, const Expr& count, int upper) {
    const Expr low = call.let(apply(Op::Floor, {position}));
    const Expr fraction = call.let(position - low);
    const Expr at = call.let(low + literal(element, upper));
    const Expr inside = at >= literal(element, 0) && at < cast(count, element);
    const Expr weight = upper == 1 ? fraction : literal(element, 1) - fraction;
    const Expr index = cast(apply(Op::Max, {apply(Op::Min, {at, cast(count, element)}), literal(element, 0)}), Element::I32);
    return std::pair{call.let(select(inside, weight, literal(element, 0))), call.let(max(min(index, count - 1), 0))};
  };
  Expr sum = literal(element, 0);
  for (const int down : {0, 1}) {
    const auto [row_weight, h] = axis(row, size[0], down);
    for (const int right : {0, 1}) {
      const auto [column_weight, w] = axis(column, size[1], right);
      sum = call.let(sum + row_weight * column_weight * call.load(x, plane + h * size[1] + w));
    }
  }
  return sum;
}

void lower_deform(Lowering& lowering) {
  const ConvSizes conv = sizes_of(lowering);
  const std::int64_t offset_groups = lowering.node().attr_int("offset_group");
  const bool masked = lowering.has_input(kMask);
  const bool biased = lowering.has_input(kDeformBias);
  Call call(lowering, fmt::format("deform_conv{}{}", masked ? "_masked" : "", biased ? "_bias" : ""));
  const Buffer x = call.in(0);
  const Buffer w = call.in(1);
  const Buffer offsets = call.in(kOffset);
  const Buffer y = call.out(0);
  const Element element = computed(x.element);
  const WindowArgs window = window_args(call, conv.grid);
  const Expr fine = call.size(conv.grid.fine_size());
  const Expr points = call.size(conv.grid.coarse_size());
  const Expr taps = call.size(conv.grid.kernel_size());
  const Expr channels = call.size(conv.in_channels);
  const Expr all_channels = call.size(conv.in_channels * conv.groups);
  const Expr groups = call.size(offset_groups);
  const Expr per_offset = call.size(conv.in_channels * conv.groups / offset_groups);
  const DirectPoint point = direct_point(call, conv, conv.grid.coarse);
  const Variable total = call.var(biased ? call.load(call.in(kDeformBias), point.channel) : literal(element, 0));
  const Expr first = call.let(point.group * channels);
  const Expr w_base = call.let(point.channel * channels);
  call.loop(channels, [&](const Expr& c) {
    const Expr channel = call.let(first + c);
    const Expr plane = call.let((point.image * all_channels + channel) * fine);
    const Expr group = call.let(point.image * groups + channel / per_offset);
    each_kernel_tap(call, window, [&](const std::vector<Expr>& k, const Expr& tap) {
      std::vector<Expr> position;
      for (std::size_t d = 0; d < 2; ++d) {
        const Expr base = point.at[d] * window.strides[d] + k[d] * window.dilations[d] - window.pads[d];
        const Expr offset = call.load(offsets, ((group * taps + tap) * 2 + static_cast<int>(d)) * points + point.pixel);
        position.push_back(call.let(cast(base, element) + offset));
      }
      Expr value = interpolated(call, x, plane, window.fine, position[0], position[1]);
      if (masked) value = call.let(value * call.load(call.in(kMask), (group * taps + tap) * points + point.pixel));
      call.set(total, multiply_add(value, call.load(w, (w_base + c) * taps + tap), total));
    });
  });
  call.store(y, point.index, total);
  call.launch(naru::to_string(lowering.shape(0)) + " * " + naru::to_string(lowering.shape(1)));
}

std::string refuses_deform(const NodeView& view, const Target& target) {
  if (view.rank(0) >= 0 && view.rank(0) != 4) return fmt::format("{} spatial axes", view.rank(0) - 2);
  return refuses_types(view, target);
}

std::string refuses_blocked(const NodeView& view, const Target& target) {
  if (std::string reason = refuses_types(view, target); !reason.empty()) return reason;
  const DType dtype = view.dtype(0);
  if (dtype == DType::F64) return "element type f64";
  if (!view.type(1).is_static()) return "";
  const std::int64_t group = view.node.attr_int("group");
  const std::int64_t outputs = view.shape(1)[0] / std::max<std::int64_t>(group, 1);
  if (group > 1 && outputs < 4) return fmt::format("{} output channels of a group", outputs);
  return "";
}

}  // namespace

void add_convolution_kernels(std::vector<KernelEntry>& table) {
  for (const char* op : {"Conv", "naru.FusedConv"}) {
    table.push_back({op, "blocked convolution", refuses_blocked, lower_blocked});
    table.push_back({op, "direct convolution", refuses_types, lower_direct});
  }
  for (const char* op : {"ConvTranspose", "naru.FusedConvTranspose"}) {
    table.push_back({op, "transposed convolution", refuses_types, lower_transposed});
  }
  table.push_back({"DeformConv", "direct convolution", refuses_deform, lower_deform});
}

}  // namespace naru::kernel
