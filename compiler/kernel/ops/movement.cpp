// Data movement by strides: views, transposes, slices, joins, repetition, padding.
#include <algorithm>
#include <numeric>

#include "compiler/kernel/walk.h"

namespace naru::kernel {
namespace {

void lower_view(Lowering& lowering) { lowering.view_as_output(0, lowering.input(0)); }

/// Copies a box: `extents` of the output, read from `from` at `offset` + strides, written at
/// `to_offset` + strides. The kernel is one for all elements of a size.
void copy_box(Lowering& lowering, const char* name, Rep from, Rep to, Walk walk, std::int64_t offset = 0,
              std::int64_t to_offset = 0) {
  if (Shape(walk.extents).numel() == 0) return;
  walk.collapse();
  Call call(lowering, name);
  const Buffer x = call.read(as_bits(from));
  const Buffer y = call.write(as_bits(to));
  const Expr first = call.size(offset);
  const Expr to_first = call.size(to_offset);
  const Points points = walk_points(call, walk);
  call.store(y, to_first + points.index[1], call.load(x, first + points.index[0]));
  call.launch(naru::to_string(from.shape) + " -> " + naru::to_string(to.shape));
}

std::vector<std::int64_t> picked(const std::vector<std::int64_t>& values, const std::vector<std::int64_t>& order) {
  std::vector<std::int64_t> result;
  for (const std::int64_t i : order) result.push_back(values[static_cast<std::size_t>(i)]);
  return result;
}

void permute(Lowering& lowering, const char* name, const Shape& from, const std::vector<std::int64_t>& order) {
  const std::vector<std::int64_t> extents = picked(from.dims(), order);
  copy_box(lowering, name, lowering.input(0), lowering.output(0),
           {extents, {picked(from.strides(), order), Shape(extents).strides()}});
}

void lower_transpose(Lowering& lowering) {
  const Shape shape = lowering.shape(0);
  std::vector<std::int64_t> order = lowering.node().attr_ints_or("perm", {});
  if (order.empty()) {
    for (std::int64_t axis = shape.rank(); axis-- > 0;) order.push_back(axis);
  }
  // Dimensions of size 1 may change places without a copy.
  std::vector<std::int64_t> moved;
  for (const std::int64_t axis : order) {
    if (shape[axis] != 1) moved.push_back(axis);
  }
  if (std::is_sorted(moved.begin(), moved.end())) return lowering.view_as_output(0, lowering.input(0));
  permute(lowering, "transpose", shape, order);
}

// Slices

/// Output `output` as the box of the input that begins at `begins`, by `steps`.
void slice(Lowering& lowering, const char* name, std::size_t output, const std::vector<std::int64_t>& begins,
           const std::vector<std::int64_t>& steps) {
  const Rep input = lowering.input(0);
  const Shape shape = lowering.output_shape(output);
  std::vector<std::int64_t> strides = input.shape.strides();
  std::int64_t offset = 0;
  for (std::size_t d = 0; d < strides.size(); ++d) {
    offset += begins[d] * strides[d];
    strides[d] *= steps[d];
  }
  Walk walk{shape.dims(), {strides, shape.strides()}};
  Walk merged = walk;
  merged.collapse();
  const bool one_run = merged.extents.size() == 1 && merged.strides[0][0] == 1;
  if (one_run) {
    const std::int64_t bytes = offset * size_of(input.element());
    return lowering.view_as_output(output, {input.buffer, input.offset_bytes + bytes, input.dtype, shape});
  }
  copy_box(lowering, name, input, lowering.output(output), std::move(walk), offset);
}

void lower_slice(Lowering& lowering) {
  const Shape shape = lowering.shape(0);
  const auto rank = static_cast<std::size_t>(shape.rank());
  const std::vector<std::int64_t> starts = lowering.ints(1);
  std::vector<std::int64_t> axes(starts.size());
  std::iota(axes.begin(), axes.end(), 0);
  if (lowering.has_input(3)) axes = lowering.ints(3);
  std::vector<std::int64_t> begins(rank, 0);
  std::vector<std::int64_t> steps(rank, 1);
  const std::vector<std::int64_t> given = lowering.has_input(4) ? lowering.ints(4) : std::vector<std::int64_t>(starts.size(), 1);
  for (std::size_t i = 0; i < starts.size(); ++i) {
    const std::int64_t axis = positive_axis(axes[i], shape.rank());
    const std::int64_t size = shape[axis];
    const std::int64_t start = starts[i] < 0 ? starts[i] + size : starts[i];
    begins[static_cast<std::size_t>(axis)] = std::clamp(start, std::int64_t{0}, given[i] > 0 ? size : size - 1);
    steps[static_cast<std::size_t>(axis)] = given[i];
  }
  slice(lowering, "slice", 0, begins, steps);
}

void lower_split(Lowering& lowering) {
  const Shape shape = lowering.shape(0);
  const auto rank = static_cast<std::size_t>(shape.rank());
  const auto axis = static_cast<std::size_t>(positive_axis(lowering.node().attr_int_or("axis", 0), shape.rank()));
  std::vector<std::int64_t> parts;
  if (lowering.has_input(1)) parts = lowering.ints(1);
  std::vector<std::int64_t> begins(rank, 0);
  const auto count = static_cast<std::int64_t>(lowering.node().outputs.size());
  const std::int64_t equal = (shape[static_cast<std::int64_t>(axis)] + count - 1) / count;
  for (std::size_t i = 0; i < lowering.node().outputs.size(); ++i) {
    if (lowering.has_output(i)) slice(lowering, "slice", i, begins, std::vector<std::int64_t>(rank, 1));
    begins[axis] += parts.empty() ? equal : parts[i];
  }
}

void lower_concat(Lowering& lowering) {
  const Shape shape = lowering.output_shape(0);
  const auto axis = static_cast<std::size_t>(positive_axis(lowering.node().attr_int("axis"), shape.rank()));
  const std::vector<std::int64_t> strides = shape.strides();
  std::int64_t begin = 0;
  for (std::size_t i = 0; i < lowering.node().inputs.size(); ++i) {
    const Rep part = lowering.input(i);
    copy_box(lowering, "copy_box", part, lowering.output(0), {part.shape.dims(), {part.shape.strides(), strides}}, 0,
             begin * strides[axis]);
    begin += part.shape[static_cast<std::int64_t>(axis)];
  }
}

// Repetition

void lower_expand(Lowering& lowering) {
  const Shape shape = lowering.output_shape(0);
  const Rep input = lowering.input(0);
  if (input.shape.numel() == shape.numel()) return lowering.view_as_output(0, input);
  copy_box(lowering, "copy_box", input, lowering.output(0), {shape.dims(), {broadcast_strides(input.shape, shape), shape.strides()}});
}

void lower_tile(Lowering& lowering) {
  const Shape shape = lowering.output_shape(0);
  const Rep input = lowering.input(0);
  const std::vector<std::int64_t> strides = input.shape.strides();
  const std::vector<std::int64_t> targets = shape.strides();
  Walk walk{{}, {{}, {}}};
  for (std::size_t d = 0; d < targets.size(); ++d) {
    const std::int64_t size = input.shape[static_cast<std::int64_t>(d)];
    walk.extents.insert(walk.extents.end(), {shape[static_cast<std::int64_t>(d)] / size, size});
    walk.strides[0].insert(walk.strides[0].end(), {0, strides[d]});
    walk.strides[1].insert(walk.strides[1].end(), {targets[d] * size, targets[d]});
  }
  copy_box(lowering, "copy_box", input, lowering.output(0), std::move(walk));
}

// Blocks

void blocks(Lowering& lowering, bool to_space) {
  const Shape x = lowering.shape(0);
  const std::int64_t b = lowering.node().attr_int("blocksize");
  const bool depth_first = lowering.node().attr_string_or("mode", "DCR") == "DCR";
  using Order = std::vector<std::int64_t>;
  if (to_space) {
    const std::int64_t c = x[1] / (b * b);
    const Shape split = depth_first ? Shape{x[0], b, b, c, x[2], x[3]} : Shape{x[0], c, b, b, x[2], x[3]};
    return permute(lowering, "transpose", split, depth_first ? Order{0, 3, 4, 1, 5, 2} : Order{0, 1, 4, 2, 5, 3});
  }
  const Shape split{x[0], x[1], x[2] / b, b, x[3] / b, b};
  permute(lowering, "transpose", split, depth_first ? Order{0, 3, 5, 1, 2, 4} : Order{0, 1, 3, 5, 2, 4});
}

void lower_depth_to_space(Lowering& lowering) { blocks(lowering, true); }
void lower_space_to_depth(Lowering& lowering) { blocks(lowering, false); }

// Pad

/// Where position `at` of a padded axis comes from; `size` is what negative pads leave of the axis.
Expr padded_source(Call& call, const std::string& mode, const Expr& at, const Expr& size) {
  if (mode == "edge") return call.let(min(max(at, 0), size - 1));
  if (mode == "wrap") return call.let((at % size + size) % size);
  const Expr period = call.let(max(size * 2 - 2, 1));
  const Expr folded = call.let((at % period + period) % period);
  return call.let(min(select(folded < size, folded, period - folded), size - 1));
}

void lower_pad(Lowering& lowering) {
  const Rep input = lowering.input(0);
  const Shape shape = lowering.output_shape(0);
  const std::int64_t rank = shape.rank();
  const std::string mode = lowering.node().attr_string_or("mode", "constant");
  const std::vector<std::int64_t> pads = lowering.ints(1);
  std::vector<std::int64_t> axes(static_cast<std::size_t>(rank));
  std::iota(axes.begin(), axes.end(), 0);
  if (lowering.has_input(3)) axes = lowering.ints(3);
  std::vector<std::int64_t> before(static_cast<std::size_t>(rank), 0);
  std::vector<std::int64_t> after = before;
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const auto axis = static_cast<std::size_t>(positive_axis(axes[i], rank));
    before[axis] = pads[i];
    after[axis] = pads[axes.size() + i];
  }
  Call call(lowering, "pad_" + mode);
  const Buffer x = call.read(as_bits(input));
  const Buffer y = call.write(as_bits(lowering.output(0)));
  const bool by_value = lowering.has_input(2) && mode == "constant";
  const Expr value = by_value ? call.load(call.read(as_bits(lowering.input(2))), 0) : cast(kernel::literal(Element::I32, 0), y.element);
  const std::vector<Expr> at = call.points(shape.dims());
  Expr inside = kernel::literal(Element::Bool, 1);
  std::vector<Expr> from;
  for (std::int64_t d = 0; d < rank; ++d) {
    const std::int64_t cut = std::max<std::int64_t>(-before[static_cast<std::size_t>(d)], 0);
    const std::int64_t left = input.shape[d] - cut - std::max<std::int64_t>(-after[static_cast<std::size_t>(d)], 0);
    const Expr size = call.size(left);
    const Expr position = call.let(at[static_cast<std::size_t>(d)] - call.size(std::max<std::int64_t>(before[static_cast<std::size_t>(d)], 0)));
    if (mode == "constant") {
      inside = call.let(inside && (position >= 0 && position < size));
      from.push_back(call.let(min(max(position, 0), size - 1) + call.size(cut)));
    } else {
      from.push_back(padded_source(call, mode, position, size) + call.size(cut));
    }
  }
  const Expr index = call.let(dot(call, at, shape.strides()));
  if (input.numel() == 0) {
    call.store(y, index, value);
  } else if (mode == "constant") {
    const Expr source = call.let(dot(call, from, input.shape.strides()));
    call.store(y, index, select(inside, call.load(x, source), value));
  } else {
    call.store(y, index, call.load(x, dot(call, from, input.shape.strides())));
  }
  call.launch(naru::to_string(input.shape) + " -> " + naru::to_string(shape));
}

std::string refuses_view(const NodeView& view, const Target& target) {
  if (!view.has_input(0)) return "";
  return refuses_type(view.dtype(0), target);
}

}  // namespace

void add_movement_kernels(std::vector<KernelEntry>& table) {
  for (const char* op : {"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity"}) {
    table.push_back({op, "view", refuses_view, lower_view});
  }
  table.push_back({"Transpose", "transpose", refuses_types, lower_transpose});
  table.push_back({"Slice", "strided copy", refuses_unless_constant<1, 2, 3, 4>, lower_slice});
  table.push_back({"Split", "strided copy", refuses_unless_constant<1>, lower_split});
  table.push_back({"Concat", "strided copy", refuses_types, lower_concat});
  table.push_back({"Expand", "strided copy", refuses_types, lower_expand});
  table.push_back({"Tile", "strided copy", refuses_types, lower_tile});
  table.push_back({"DepthToSpace", "transpose", refuses_types, lower_depth_to_space});
  table.push_back({"SpaceToDepth", "transpose", refuses_types, lower_space_to_depth});
  table.push_back({"Pad", "pad", refuses_unless_constant<1, 3>, lower_pad});
}

}  // namespace naru::kernel
