// Data movement: views where memory allows, else strided copies and table look-ups.
#include <algorithm>
#include <cstring>
#include <numeric>

#include "backends/cpu/elementwise.h"
#include "backends/cpu/kernels.h"
#include "backends/cpu/parallel.h"
#include "backends/cpu/strided_copy.h"
#include "graph/scalar.h"

namespace naru::cpu {
namespace {

std::string refuses_packed(const NodeView& view) {
  for (std::size_t i = 0; i < view.input_count(); ++i) {
    if (!view.has_input(i)) continue;
    const DTypeInfo& info = dtype_info(view.dtype(i));
    if (info.dtype != DType::Undefined && (info.block_elements != 1 || info.kind == DTypeKind::Block)) {
      return "element type " + std::string(info.name);
    }
  }
  return "";
}

template <std::size_t... Indices>
std::string refuses_variable(const NodeView& view) {
  for (const std::size_t i : {Indices...}) {
    if (view.has_input(i) && view.constant(i) == nullptr) {
      return "input '" + view.node.op->inputs[i].name + "' is not constant";
    }
  }
  return refuses_packed(view);
}

std::int64_t element_bytes(DType dtype) { return storage_bytes(dtype, 1); }

std::int64_t positive_axis(std::int64_t axis, std::int64_t rank) { return axis < 0 ? axis + rank : axis; }

std::string arrow(const Layout& from, const Layout& to) { return to_string(from) + " -> " + to_string(to); }

/// Emits a copy of a box, or makes the output a view of the input where the box is one run.
void emit_box(Lowering& lowering, std::string kernel, std::size_t output, const Rep& input,
              const Layout& layout, std::vector<CopyAxis> axes, std::int64_t from_offset) {
  const std::int64_t bytes = element_bytes(layout.dtype);
  const StridedCopy copy(std::move(axes), bytes, from_offset);
  if (copy.is_contiguous() && lowering.may_view(output)) {
    lowering.set_output(output, {input.buffer, input.offset_bytes + from_offset * bytes, layout});
    return;
  }
  const Rep target = lowering.output(output, layout);
  lowering.emit(std::move(kernel), arrow(input.layout, layout),
                {Lowering::reads(input), Lowering::writes(target)},
                [copy](std::byte* const* p) { copy(p[0], p[1]); });
}

// Transpose and friends

/// The axes of a permutation of a row-major shape.
std::vector<CopyAxis> permuted_axes(const Shape& from, const std::vector<std::int64_t>& permutation) {
  const std::vector<std::int64_t> strides = from.strides();
  std::vector<std::int64_t> dims;
  for (const std::int64_t axis : permutation) dims.push_back(from[axis]);
  const std::vector<std::int64_t> targets = Shape(dims).strides();
  std::vector<CopyAxis> axes;
  for (std::size_t i = 0; i < permutation.size(); ++i) {
    axes.push_back({dims[i], strides[static_cast<std::size_t>(permutation[i])], targets[i]});
  }
  return axes;
}

bool lower_transpose(Lowering& lowering) {
  const Shape shape = lowering.shape(0);
  std::vector<std::int64_t> permutation = lowering.node().attr_ints_or("perm", {});
  if (permutation.empty()) {
    for (std::int64_t axis = shape.rank(); axis-- > 0;) permutation.push_back(axis);
  }
  Rep input = lowering.input(0);
  if (input.layout.is_padded()) input = lowering.plain(0);
  std::vector<CopyAxis> axes;
  if (input.layout.is_plain()) {
    axes = permuted_axes(shape, permutation);
  } else {
    // Channels lie in two dimensions: [N, C / b, spatial..., b].
    const std::vector<std::int64_t> dims = physical_dims(input.layout);
    const std::vector<std::int64_t> strides = Shape(dims).strides();
    const std::vector<std::int64_t> targets = lowering.output_layout(0).shape.strides();
    for (std::size_t i = 0; i < permutation.size(); ++i) {
      const auto axis = static_cast<std::size_t>(permutation[i]);
      if (axis == 1) {
        axes.push_back({dims[1], strides[1], targets[i] * input.layout.block});
        axes.push_back({input.layout.block, 1, targets[i]});
      } else {
        axes.push_back({dims[axis], strides[axis], targets[i]});
      }
    }
  }
  emit_box(lowering, "transpose", 0, input, lowering.output_layout(0), std::move(axes), 0);
  return true;
}

/// DepthToSpace and SpaceToDepth as a permutation of six dimensions.
bool lower_blocks(Lowering& lowering, bool to_space) {
  const Shape x = lowering.shape(0);
  const std::int64_t b = lowering.node().attr_int("blocksize");
  const bool depth_first = lowering.node().attr_string_or("mode", "DCR") == "DCR";
  Shape split;
  std::vector<std::int64_t> permutation;
  if (to_space) {
    const std::int64_t c = x[1] / (b * b);
    split = depth_first ? Shape{x[0], b, b, c, x[2], x[3]} : Shape{x[0], c, b, b, x[2], x[3]};
    permutation = depth_first ? std::vector<std::int64_t>{0, 3, 4, 1, 5, 2} : std::vector<std::int64_t>{0, 1, 4, 2, 5, 3};
  } else {
    split = Shape{x[0], x[1], x[2] / b, b, x[3] / b, b};
    permutation = depth_first ? std::vector<std::int64_t>{0, 3, 5, 1, 2, 4} : std::vector<std::int64_t>{0, 1, 3, 5, 2, 4};
  }
  emit_box(lowering, to_space ? "depth to space" : "space to depth", 0, lowering.plain(0),
           lowering.output_layout(0), permuted_axes(split, permutation), 0);
  return true;
}

bool lower_depth_to_space(Lowering& lowering) { return lower_blocks(lowering, true); }
bool lower_space_to_depth(Lowering& lowering) { return lower_blocks(lowering, false); }

// Slices

/// A box of `from` along one axis of the physical dimensions, or nullopt where channel blocks forbid it.
struct AxisRange {
  std::int64_t begin = 0;
  std::int64_t step = 1;
};

/// Emits output `output` as the box that starts at `ranges` in each axis of the input.
void emit_slice(Lowering& lowering, const char* kernel, std::size_t output, const std::vector<AxisRange>& ranges) {
  const Layout logical = lowering.output_layout(output);
  Rep input = lowering.input(0);
  const std::int64_t block = input.layout.block;
  if (!input.layout.is_plain()) {
    const AxisRange& channels = ranges[1];
    const bool whole = logical.shape[1] == input.layout.shape[1] && channels.begin == 0 && channels.step == 1;
    const bool blocks = channels.step == 1 && channels.begin % block == 0 && logical.shape[1] % block == 0;
    if (!whole && !blocks) input = lowering.plain(0);
  }
  const bool plain = input.layout.is_plain();
  const Layout layout{logical.dtype, logical.shape, plain ? 1 : block};
  const std::vector<std::int64_t> dims = physical_dims(layout);
  const std::vector<std::int64_t> targets = Shape(dims).strides();
  const std::vector<std::int64_t> strides = Shape(physical_dims(input.layout)).strides();
  std::vector<CopyAxis> axes;
  std::int64_t offset = 0;
  for (std::size_t axis = 0; axis < dims.size(); ++axis) {
    AxisRange range = axis < ranges.size() ? ranges[axis] : AxisRange{};
    if (!plain && axis == 1) range.begin /= block;
    offset += range.begin * strides[axis];
    axes.push_back({dims[axis], strides[axis] * range.step, targets[axis]});
  }
  emit_box(lowering, kernel, output, input, layout, std::move(axes), offset);
}

bool lower_slice(Lowering& lowering) {
  const Shape shape = lowering.shape(0);
  const std::vector<std::int64_t> starts = to_i64_vector(*lowering.constant(1));
  std::vector<std::int64_t> axes(starts.size());
  std::iota(axes.begin(), axes.end(), 0);
  if (lowering.has_input(3)) axes = to_i64_vector(*lowering.constant(3));
  std::vector<std::int64_t> steps(starts.size(), 1);
  if (lowering.has_input(4)) steps = to_i64_vector(*lowering.constant(4));
  std::vector<AxisRange> ranges(static_cast<std::size_t>(shape.rank()));
  for (std::size_t i = 0; i < starts.size(); ++i) {
    const std::int64_t axis = positive_axis(axes[i], shape.rank());
    const std::int64_t size = shape[axis];
    const std::int64_t start = starts[i] < 0 ? starts[i] + size : starts[i];
    ranges[static_cast<std::size_t>(axis)] = {
        steps[i] > 0 ? std::clamp(start, std::int64_t{0}, size) : std::clamp(start, std::int64_t{0}, size - 1),
        steps[i]};
  }
  emit_slice(lowering, "slice", 0, ranges);
  return true;
}

bool lower_split(Lowering& lowering) {
  const Shape shape = lowering.shape(0);
  const auto axis = static_cast<std::size_t>(positive_axis(lowering.node().attr_int_or("axis", 0), shape.rank()));
  std::int64_t begin = 0;
  std::vector<std::int64_t> sizes;
  if (lowering.has_input(1)) sizes = to_i64_vector(*lowering.constant(1));
  for (std::size_t i = 0; i < lowering.node().outputs.size(); ++i) {
    // Parts that nobody uses still have a size: equal ones, unless it is stated.
    const auto count = static_cast<std::int64_t>(lowering.node().outputs.size());
    const std::int64_t equal = (shape[static_cast<std::int64_t>(axis)] + count - 1) / count;
    if (lowering.has_output(i) && lowering.output_layout(i).shape.numel() == 0) {
      lowering.output(i);
    } else if (lowering.has_output(i)) {
      std::vector<AxisRange> ranges(static_cast<std::size_t>(shape.rank()));
      ranges[axis].begin = begin;
      emit_slice(lowering, "split", i, ranges);
    }
    begin += !sizes.empty() ? sizes[i] : equal;
  }
  return true;
}

// Concat

/// The largest channel block in which input `i` is at hand.
std::int64_t block_at_hand(const Lowering& lowering, std::size_t i) {
  std::int64_t block = 1;
  for (const Layout& layout : lowering.layouts(i)) block = std::max(block, layout.block);
  return block;
}

/// The channel block in which all inputs can be joined along `axis`; 1 when only row-major fits.
std::int64_t common_block(const Lowering& lowering, std::int64_t axis) {
  const std::int64_t block = block_at_hand(lowering, 0);
  for (std::size_t i = 0; i < lowering.node().inputs.size(); ++i) {
    if (block_at_hand(lowering, i) != block) return 1;
    if (axis == 1 && lowering.shape(i)[1] % block != 0) return 1;
  }
  return block;
}

/// True when all inputs are channels-last, so that joining channels keeps them so.
bool all_channels_last(const Lowering& lowering) {
  for (std::size_t i = 0; i < lowering.node().inputs.size(); ++i) {
    const std::int64_t channels = lowering.shape(i)[1];
    if (channels == 1 || block_at_hand(lowering, i) != channels) return false;
  }
  return true;
}

bool lower_concat(Lowering& lowering) {
  const Layout logical = lowering.output_layout(0);
  const std::int64_t rank = logical.shape.rank();
  auto axis = static_cast<std::size_t>(positive_axis(lowering.node().attr_int("axis"), rank));
  const bool channels_last = rank >= 3 && axis == 1 && all_channels_last(lowering);
  const std::int64_t block = rank < 3 ? 1
                             : channels_last ? logical.channels()
                                             : common_block(lowering, static_cast<std::int64_t>(axis));
  const Layout layout{logical.dtype, logical.shape, block};
  if (channels_last) axis = static_cast<std::size_t>(rank);  // the innermost dimension in memory
  const std::vector<std::int64_t> dims = physical_dims(layout);
  const std::vector<std::int64_t> targets = Shape(dims).strides();
  std::int64_t outer = 1;
  for (std::size_t a = 0; a < axis; ++a) outer *= dims[a];
  const Rep output = lowering.output(0, layout);
  const std::int64_t bytes = element_bytes(layout.dtype);
  std::int64_t begin = 0;
  std::vector<StridedCopy> copies;
  std::vector<Operand> operands;
  for (std::size_t i = 0; i < lowering.node().inputs.size(); ++i) {
    const Layout part{layout.dtype, lowering.shape(i), channels_last ? lowering.shape(i)[1] : block};
    const std::vector<std::int64_t> sizes = physical_dims(part);
    const std::int64_t offset = begin * targets[axis];
    begin += sizes[axis];
    const Rep input = lowering.as(i, part);
    if (outer == 1 && lowering.place_inside(input, output, offset * bytes)) continue;
    const std::vector<std::int64_t> strides = Shape(sizes).strides();
    std::vector<CopyAxis> axes;
    for (std::size_t a = 0; a < dims.size(); ++a) axes.push_back({sizes[a], strides[a], targets[a]});
    copies.emplace_back(std::move(axes), bytes, 0, offset);
    operands.push_back(Lowering::reads(input));
  }
  if (copies.empty()) return true;
  operands.push_back(Lowering::writes(output));
  lowering.emit("concat", fmt::format("{} of {} parts -> {}", copies.size(), lowering.node().inputs.size(), to_string(layout)),
                std::move(operands), [copies = std::move(copies)](std::byte* const* p) {
                  for (std::size_t i = 0; i < copies.size(); ++i) copies[i](p[i], p[copies.size()]);
                });
  return true;
}

// Repetition

bool lower_expand(Lowering& lowering) {
  const Layout layout = lowering.output_layout(0);
  const Rep input = lowering.plain(0);
  const Shape from = with_rank(input.layout.shape, layout.shape.rank());
  const std::vector<std::int64_t> strides = from.strides();
  const std::vector<std::int64_t> targets = layout.shape.strides();
  std::vector<CopyAxis> axes;
  for (std::size_t a = 0; a < targets.size(); ++a) {
    const auto axis = static_cast<std::int64_t>(a);
    axes.push_back({layout.shape[axis], from[axis] == 1 ? 0 : strides[a], targets[a]});
  }
  emit_box(lowering, "expand", 0, input, layout, std::move(axes), 0);
  return true;
}

bool lower_tile(Lowering& lowering) {
  const Layout layout = lowering.output_layout(0);
  const Rep input = lowering.plain(0);
  const std::vector<std::int64_t> strides = input.layout.shape.strides();
  const std::vector<std::int64_t> targets = layout.shape.strides();
  std::vector<CopyAxis> axes;
  for (std::size_t a = 0; a < targets.size(); ++a) {
    const std::int64_t size = input.layout.shape[static_cast<std::int64_t>(a)];
    axes.push_back({layout.shape[static_cast<std::int64_t>(a)] / size, 0, targets[a] * size});
    axes.push_back({size, strides[a], targets[a]});
  }
  emit_box(lowering, "tile", 0, input, layout, std::move(axes), 0);
  return true;
}

// Pad

/// Where position `at` of a padded axis comes from; `size` is what is left of the axis after negative
/// pads have cut it.
std::int64_t padded_source(const std::string& mode, std::int64_t at, std::int64_t size) {
  if (mode == "edge") return std::clamp(at, std::int64_t{0}, size - 1);
  if (mode == "wrap") return ((at % size) + size) % size;
  if (size == 1) return 0;
  const std::int64_t period = 2 * (size - 1);
  const std::int64_t folded = ((at % period) + period) % period;
  return folded < size ? folded : period - folded;
}

struct Pads {
  std::vector<std::int64_t> begin;
  std::vector<std::int64_t> end;
};

Pads pads_of(const Lowering& lowering, std::int64_t rank) {
  const std::vector<std::int64_t> values = to_i64_vector(*lowering.constant(1));
  std::vector<std::int64_t> axes(static_cast<std::size_t>(rank));
  std::iota(axes.begin(), axes.end(), 0);
  if (lowering.has_input(3)) axes = to_i64_vector(*lowering.constant(3));
  Pads pads{std::vector<std::int64_t>(static_cast<std::size_t>(rank), 0),
            std::vector<std::int64_t>(static_cast<std::size_t>(rank), 0)};
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const auto axis = static_cast<std::size_t>(positive_axis(axes[i], rank));
    pads.begin[axis] = values[i];
    pads.end[axis] = values[axes.size() + i];
  }
  return pads;
}

bool lower_pad_constant(Lowering& lowering, const Pads& pads) {
  const Layout layout = lowering.output_layout(0);
  const Rep input = lowering.plain(0);
  const std::int64_t bytes = element_bytes(layout.dtype);
  std::vector<std::byte> fill(static_cast<std::size_t>(bytes), std::byte{0});
  if (const Tensor* value = lowering.constant(2)) {
    std::memcpy(fill.data(), value->data(), fill.size());
  }
  const std::vector<std::int64_t> strides = input.layout.shape.strides();
  const std::vector<std::int64_t> targets = layout.shape.strides();
  std::vector<CopyAxis> axes;
  std::int64_t from = 0;
  std::int64_t to = 0;
  for (std::size_t a = 0; a < targets.size(); ++a) {
    const std::int64_t size = input.layout.shape[static_cast<std::int64_t>(a)];
    const std::int64_t cut = std::max(-pads.begin[a], std::int64_t{0});
    const std::int64_t kept = size - cut - std::max(-pads.end[a], std::int64_t{0});
    if (kept <= 0) return false;
    from += cut * strides[a];
    to += std::max(pads.begin[a], std::int64_t{0}) * targets[a];
    axes.push_back({kept, strides[a], targets[a]});
  }
  const StridedCopy copy(std::move(axes), bytes, from, to);
  const Rep output = lowering.output(0, layout);
  // The fill as a copy that repeats one element.
  const StridedCopy repeat({{layout.shape.numel(), 0, 1}}, bytes);
  lowering.emit("pad", arrow(input.layout, layout), {Lowering::reads(input), Lowering::writes(output)},
                [copy, repeat, fill = std::move(fill)](std::byte* const* p) {
                  repeat(fill.data(), p[1]);
                  copy(p[0], p[1]);
                });
  return true;
}

bool lower_pad(Lowering& lowering) {
  const Layout layout = lowering.output_layout(0);
  const Pads pads = pads_of(lowering, layout.shape.rank());
  const std::string mode = lowering.node().attr_string_or("mode", "constant");
  if (mode == "constant") {
    if (lowering.has_input(2) && lowering.constant(2) == nullptr) return false;
    return lower_pad_constant(lowering, pads);
  }
  const Rep input = lowering.plain(0);
  const std::vector<std::int64_t> strides = input.layout.shape.strides();
  std::vector<std::vector<std::int64_t>> tables;
  for (std::size_t a = 0; a < strides.size(); ++a) {
    const auto axis = static_cast<std::int64_t>(a);
    const std::int64_t cut = std::max(-pads.begin[a], std::int64_t{0});
    const std::int64_t kept = input.layout.shape[axis] - cut - std::max(-pads.end[a], std::int64_t{0});
    if (kept <= 0) return false;
    std::vector<std::int64_t> table;
    for (std::int64_t i = 0; i < layout.shape[axis]; ++i) {
      const std::int64_t at = i - std::max(pads.begin[a], std::int64_t{0});
      table.push_back((cut + padded_source(mode, at, kept)) * strides[a]);
    }
    tables.push_back(std::move(table));
  }
  const Rep output = lowering.output(0);
  lowering.emit("pad", arrow(input.layout, layout), {Lowering::reads(input), Lowering::writes(output)},
                [copy = TableCopy(std::move(tables), element_bytes(layout.dtype))](std::byte* const* p) { copy(p[0], p[1]); });
  return true;
}

// Gather

/// Rows of block formats are copied whole; within a block there is nothing to pick.
std::string refuses_gather(const NodeView& view) {
  if (!is_block(view.dtype(0))) return refuses_packed(view);
  if (view.rank(0) < 0) return "block rows of unknown rank";
  const std::int64_t axis = positive_axis(view.node.attr_int_or("axis", 0), view.rank(0));
  return axis + 1 < view.rank(0) ? "" : "elements of blocks";
}

bool lower_gather(Lowering& lowering) {
  const Shape data = lowering.shape(0);
  const std::int64_t axis = positive_axis(lowering.node().attr_int_or("axis", 0), data.rank());
  const std::int64_t count = lowering.shape(1).numel();
  const std::int64_t outer = data.numel(0, axis);
  const std::int64_t size = data[axis];
  const std::int64_t chunk = storage_bytes(lowering.dtype(0), data.numel(axis + 1, data.rank()));
  const DType index_type = lowering.dtype(1);
  const Rep input = lowering.plain(0);
  const Rep indices = lowering.plain(1);
  const Rep output = lowering.output(0);
  const std::string label = lowering.node().label();
  lowering.emit("gather", arrow(input.layout, output.layout),
                {Lowering::reads(input), Lowering::reads(indices), Lowering::writes(output)},
                [=](std::byte* const* p) {
                  thread_local std::vector<std::int64_t> rows;
                  rows.clear();
                  for (std::int64_t i = 0; i < count; ++i) {
                    const std::int64_t index = load_i64(index_type, p[1], i);
                    if (index < -size || index >= size) {
                      fail(ErrorCode::InvalidArgument, "{}: got index {}, expected [{}, {})", label, index, -size, size);
                    }
                    rows.push_back(index < 0 ? index + size : index);
                  }
                  const std::int64_t* row = rows.data();  // thread_local: the team has its own
                  parallel_ranges(outer * count, static_cast<double>(chunk) * 0.1 + 2, [&](std::int64_t begin, std::int64_t end) {
                    for (std::int64_t i = begin; i < end; ++i) {
                      std::memcpy(p[2] + i * chunk, p[0] + (i / count * size + row[i % count]) * chunk,
                                  static_cast<std::size_t>(chunk));
                    }
                  });
                });
  return true;
}

}  // namespace

void add_movement_kernels(std::vector<KernelEntry>& table) {
  table.push_back({"Transpose", "strided copy", refuses_packed, lower_transpose});
  table.push_back({"DepthToSpace", "strided copy", refuses_packed, lower_depth_to_space});
  table.push_back({"SpaceToDepth", "strided copy", refuses_packed, lower_space_to_depth});
  table.push_back({"Slice", "strided copy", refuses_variable<1, 2, 3, 4>, lower_slice});
  table.push_back({"Split", "strided copy", refuses_variable<1>, lower_split});
  table.push_back({"Concat", "strided copy", refuses_packed, lower_concat});
  table.push_back({"Expand", "strided copy", refuses_packed, lower_expand});
  table.push_back({"Tile", "strided copy", refuses_variable<1>, lower_tile});
  table.push_back({"Pad", "copy", refuses_variable<1, 3>, lower_pad});
  table.push_back({"Gather", "gather", refuses_gather, lower_gather});
}

}  // namespace naru::cpu
