// Data movement by indices: gathers, scatters, one-hot rows, reversals, triangles.
#include <algorithm>

#include "compiler/kernel/block_formats.h"
#include "compiler/kernel/walk.h"

namespace naru::kernel {
namespace {

std::int64_t axis_of(const Lowering& lowering, std::int64_t otherwise = 0) {
  return positive_axis(lowering.node().attr_int_or("axis", otherwise), lowering.shape(0).rank());
}

/// The bits of a tensor's elements, which move without a look; of blocks, their bytes.
Rep moved(const Rep& rep) { return is_block(rep.dtype) ? as_bytes(rep) : as_bits(rep); }

void lower_gather(Lowering& lowering) {
  const Rep data = moved(lowering.input(0));
  const Rep indices = lowering.input(1);
  const std::int64_t axis = axis_of(lowering);
  const std::vector<std::int64_t> extents = {data.shape.numel(0, axis), indices.numel(),
                                             data.shape.numel(axis + 1, data.shape.rank())};
  Call call(lowering, "gather");
  const Buffer x = call.read(data);
  const Buffer i = call.read(indices);
  const Buffer y = call.write(moved(lowering.output(0)));
  const Expr length = call.size(data.shape[axis]);
  const std::vector<Expr> shape = sizes(call, extents);
  const auto at = call.points(shape, extents);
  const Expr from = call.checked_index(call.load(i, at[1]), length);
  call.store(y, ravel(at, shape), call.load(x, (at[0] * length + from) * shape[2] + at[2]));
  call.launch(naru::to_string(data.shape) + naru::to_string(indices.shape));
}

void lower_gather_elements(Lowering& lowering) {
  const Rep data = lowering.input(0);
  const Rep indices = lowering.input(1);
  const std::int64_t axis = axis_of(lowering);
  Call call(lowering, "gather_elements");
  const Buffer x = call.read(as_bits(data));
  const Buffer i = call.read(indices);
  const Buffer y = call.write(as_bits(lowering.output(0)));
  const Expr length = call.size(data.shape[axis]);
  const std::vector<Expr> shape = sizes(call, indices.shape);
  std::vector<Expr> at = call.points(shape, indices.shape.dims());
  const Expr index = call.let(ravel(at, shape));
  at[static_cast<std::size_t>(axis)] = call.checked_index(call.load(i, index), length);
  call.store(y, index, call.load(x, dot(call, at, data.shape.strides())));
  call.launch(naru::to_string(data.shape) + naru::to_string(indices.shape));
}

/// The element where the slice begins that a row of `depth` indices names.
Expr slice_begin(Call& call, Buffer indices, const Expr& row, const Shape& data, std::int64_t first_axis, std::int64_t depth) {
  const std::vector<std::int64_t> strides = data.strides();
  Expr begin(0);
  for (std::int64_t d = 0; d < depth; ++d) {
    const Expr value = call.load(indices, row * static_cast<int>(depth) + static_cast<int>(d));
    begin = begin + call.checked_index(value, call.size(data[first_axis + d])) *
                        call.size(strides[static_cast<std::size_t>(first_axis + d)]);
  }
  return call.let(begin);
}

void lower_gather_nd(Lowering& lowering) {
  const Rep data = lowering.input(0);
  const Rep indices = lowering.input(1);
  const std::int64_t batch = lowering.node().attr_int_or("batch_dims", 0);
  const std::int64_t depth = indices.shape[indices.shape.rank() - 1];
  const std::int64_t batches = data.shape.numel(0, batch);
  const std::vector<std::int64_t> extents = {batches, indices.shape.numel(batch, indices.shape.rank() - 1),
                                             data.shape.numel(batch + depth, data.shape.rank())};
  Call call(lowering, fmt::format("gather_nd_{}", depth));
  const Buffer x = call.read(as_bits(data));
  const Buffer i = call.read(indices);
  const Buffer y = call.write(as_bits(lowering.output(0)));
  const Expr matrix = call.size(data.shape.numel(batch, data.shape.rank()));
  const std::vector<Expr> shape = sizes(call, extents);
  const auto at = call.points(shape, extents);
  const Expr begin = slice_begin(call, i, call.let(at[0] * shape[1] + at[1]), data.shape, batch, depth);
  call.store(y, ravel(at, shape), call.load(x, at[0] * matrix + begin + at[2]));
  call.launch(naru::to_string(data.shape) + naru::to_string(indices.shape));
}

// Scatters: items never share an element, and each takes its updates in their order.

using Combine = Expr (*)(const Expr& old, const Expr& update);

Combine combine_of(const std::string& reduction) {
  if (reduction == "add") return [](const Expr& a, const Expr& b) { return wrapping(Op::Add, a, b); };
  if (reduction == "mul") return [](const Expr& a, const Expr& b) { return wrapping(Op::Mul, a, b); };
  if (reduction == "max") {
    return [](const Expr& a, const Expr& b) { return is_float(a.element()) ? select(a > b || a != a, a, b) : max(a, b); };
  }
  if (reduction == "min") {
    return [](const Expr& a, const Expr& b) { return is_float(a.element()) ? select(a < b || a != a, a, b) : min(a, b); };
  }
  return nullptr;
}

void store_update(Call& call, Buffer y, const Expr& to, const Expr& update, Combine combine) {
  call.store(y, to, combine == nullptr ? update : combine(call.load(y, to), update));
}

std::string reduction_of(const Lowering& lowering) { return lowering.node().attr_string_or("reduction", "none"); }

void lower_scatter_elements(Lowering& lowering) {
  const Rep data = lowering.input(0);
  const Rep indices = lowering.input(1);
  const std::int64_t axis = axis_of(lowering);
  const std::string reduction = reduction_of(lowering);
  const Combine combine = combine_of(reduction);
  const Rep output = lowering.output(0);
  lowering.copy(data, output);
  Call call(lowering, "scatter_elements_" + reduction);
  const Buffer i = call.read(indices);
  const Buffer u = call.read(lowering.input(2));
  const Buffer y = call.write(output);
  const Expr length = call.size(data.shape[axis]);
  const Expr count = call.size(indices.shape[axis]);
  const std::vector<std::int64_t> strides = indices.shape.strides();
  const Expr step = call.size(strides[static_cast<std::size_t>(axis)]);
  std::vector<std::int64_t> extents = indices.shape.dims();
  extents[static_cast<std::size_t>(axis)] = 1;
  std::vector<Expr> at = call.points(extents);
  const Expr base = call.let(dot(call, at, strides));
  std::vector<std::int64_t> targets = data.shape.strides();
  const Expr target_step = call.size(targets[static_cast<std::size_t>(axis)]);
  const Expr target = call.let(dot(call, at, targets));
  call.loop(count, [&](const Expr& k) {
    const Expr from = call.let(base + k * step);
    const Expr to = call.let(target + call.checked_index(call.load(i, from), length) * target_step);
    store_update(call, y, to, call.load(u, from), combine);
  });
  call.launch(naru::to_string(data.shape) + naru::to_string(indices.shape));
}

void lower_scatter_nd(Lowering& lowering) {
  const Rep data = lowering.input(0);
  const Rep indices = lowering.input(1);
  const std::string reduction = reduction_of(lowering);
  const Combine combine = combine_of(reduction);
  const std::int64_t depth = indices.shape[indices.shape.rank() - 1];
  const std::int64_t slice = data.shape.numel(depth, data.shape.rank());
  const Rep output = lowering.output(0);
  lowering.copy(data, output);
  Call call(lowering, fmt::format("scatter_nd_{}_{}", reduction, depth));
  const Buffer i = call.read(indices);
  const Buffer u = call.read(lowering.input(2));
  const Buffer y = call.write(output);
  const Expr rows = call.size(indices.shape.numel(0, indices.shape.rank() - 1));
  const Expr size = call.size(slice);
  const auto at = call.points(std::vector<Expr>{size}, std::vector<std::int64_t>{slice});
  call.loop(rows, [&](const Expr& row) {
    const Expr to = call.let(slice_begin(call, i, row, data.shape, 0, depth) + at[0]);
    store_update(call, y, to, call.load(u, row * size + at[0]), combine);
  });
  call.launch(naru::to_string(data.shape) + naru::to_string(indices.shape));
}

void lower_tensor_scatter(Lowering& lowering) {
  const Rep cache = lowering.input(0);
  const Rep update = lowering.input(1);
  const bool circular = lowering.node().attr_string_or("mode", "linear") == "circular";
  const std::int64_t axis = axis_of(lowering, -2);
  const Rep output = lowering.output(0);
  lowering.copy(cache, output);
  const std::vector<std::int64_t> extents = {update.shape[0], update.shape.numel(1, axis), update.shape[axis],
                                             update.shape.numel(axis + 1, update.shape.rank())};
  Call call(lowering, circular ? "tensor_scatter_circular" : "tensor_scatter");
  const Buffer u = call.read(as_bits(update));
  const Buffer y = call.write(as_bits(output));
  const Expr length = call.size(cache.shape[axis]);
  const std::vector<Expr> shape = sizes(call, extents);
  const auto at = call.points(shape, extents);
  Expr begin(0);
  if (lowering.has_input(2)) {
    const Expr first = call.load(call.in(2), at[0]);
    const Expr limit = circular ? Expr(INT64_C(1) << 30) : length + 1;
    begin = call.checked_index(first, limit);
  }
  const Expr position = begin + at[2];
  if (!circular) call.require(position < length, "a write position beyond the cache");
  const Expr to = call.let(circular ? position % length : min(position, length - 1));
  call.store(y, ((at[0] * shape[1] + at[1]) * length + to) * shape[3] + at[3], call.load(u, ravel(at, shape)));
  call.launch(naru::to_string(cache.shape) + naru::to_string(update.shape));
}

// One-hot rows, reversals, triangles

void lower_one_hot(Lowering& lowering) {
  const Rep indices = lowering.input(0);
  const Shape shape = lowering.output_shape(0);
  const std::int64_t axis = positive_axis(lowering.node().attr_int_or("axis", -1), shape.rank());
  const std::vector<std::int64_t> extents = {shape.numel(0, axis), shape[axis], shape.numel(axis + 1, shape.rank())};
  Call call(lowering, "one_hot");
  const Buffer i = call.read(indices);
  const Buffer values = call.read(as_bits(lowering.input(2)));
  const Buffer y = call.write(as_bits(lowering.output(0)));
  const std::vector<Expr> box = sizes(call, extents);
  const auto at = call.points(box, extents);
  const Expr value = call.load(i, at[0] * box[2] + at[2]);
  const Expr depth = cast(box[1], value.element());
  const Expr position = is_signed(value.element()) || is_float(value.element()) ? call.let(select(value < 0, value + depth, value)) : value;
  const Expr hot = position == cast(at[1], value.element());
  call.store(y, ravel(at, box), select(hot, call.load(values, 1), call.load(values, 0)));
  call.launch(naru::to_string(shape));
}

void lower_reverse(Lowering& lowering) {
  const Rep input = lowering.input(0);
  const std::int64_t batch_axis = lowering.node().attr_int_or("batch_axis", 1);
  const std::int64_t time_axis = lowering.node().attr_int_or("time_axis", 0);
  const std::vector<std::int64_t> extents = {input.shape[0], input.shape[1], input.shape.numel(2, input.shape.rank())};
  Call call(lowering, batch_axis == 0 ? "reverse_batch_first" : "reverse_time_first");
  const Buffer x = call.read(as_bits(input));
  const Buffer lengths = call.in(1);
  const Buffer y = call.write(as_bits(lowering.output(0)));
  const std::vector<Expr> shape = sizes(call, extents);
  const auto at = call.points(shape, extents);
  const auto time = static_cast<std::size_t>(time_axis);
  const Expr limit = shape[time];
  const Expr length = call.checked_index(call.load(lengths, at[static_cast<std::size_t>(batch_axis)]), limit + 1);
  std::vector<Expr> from = at;
  from[time] = call.let(max(select(at[time] < length, length - 1 - at[time], at[time]), 0));
  from[time] = call.let(min(from[time], limit - 1));
  call.store(y, ravel(at, shape), call.load(x, ravel(from, shape)));
  call.launch(naru::to_string(input.shape));
}

void lower_trilu(Lowering& lowering) {
  const Rep input = lowering.input(0);
  const std::int64_t rank = input.shape.rank();
  const bool upper = lowering.node().attr_int_or("upper", 1) != 0;
  const std::vector<std::int64_t> extents = {input.shape.numel(0, rank - 2), input.shape[rank - 2], input.shape[rank - 1]};
  Call call(lowering, upper ? "triangle_upper" : "triangle_lower");
  const Buffer x = call.read(as_bits(input));
  const Buffer y = call.write(as_bits(lowering.output(0)));
  Expr shift = literal(Element::I64, 0);
  const std::vector<Expr> shape = sizes(call, extents);
  const auto at = call.points(shape, extents);
  if (lowering.has_input(1)) shift = call.load(call.in(1), 0);
  const Expr difference = call.let(cast(at[2] - at[1], Element::I64));
  const Expr keep = upper ? difference >= shift : difference <= shift;
  const Expr index = call.let(ravel(at, shape));
  const Expr value = call.load(x, index);
  call.store(y, index, select(keep, value, number(value, 0)));
  call.launch(naru::to_string(input.shape));
}

/// Whole rows of blocks may be gathered.
std::string refuses_gather(const NodeView& view, const Target& target) {
  if (!is_block(view.dtype(0))) return refuses_types(view, target);
  const std::int64_t rank = view.rank(0);
  if (rank < 0 || positive_axis(view.node.attr_int_or("axis", 0), rank) == rank - 1) return "blocks that are taken apart";
  if (std::string reason = refuses_size(view.type(0), target); !reason.empty()) return reason;
  if (std::string reason = refuses_value(view.type(1), target); !reason.empty()) return reason;
  return refuses_size(view.output_type(0), target);
}

std::string refuses_scatter(const NodeView& view, const Target& target) {
  if (std::string reason = refuses_types(view, target); !reason.empty()) return reason;
  const std::string reduction = view.node.attr_string_or("reduction", "none");
  const DType dtype = view.dtype(0);
  if (reduction != "none" && dtype == DType::Bool) return "a reduction of bool";
  return "";
}

}  // namespace

void add_gather_kernels(std::vector<KernelEntry>& table) {
  table.push_back({"Gather", "gather", refuses_gather, lower_gather});
  table.push_back({"GatherElements", "gather", refuses_types, lower_gather_elements});
  table.push_back({"GatherND", "gather", refuses_types, lower_gather_nd});
  table.push_back({"ScatterElements", "scatter", refuses_scatter, lower_scatter_elements});
  table.push_back({"ScatterND", "scatter", refuses_scatter, lower_scatter_nd});
  table.push_back({"TensorScatter", "scatter", refuses_types, lower_tensor_scatter});
  table.push_back({"OneHot", "one-hot rows", refuses_types, lower_one_hot});
  table.push_back({"ReverseSequence", "gather", refuses_types, lower_reverse});
  table.push_back({"Trilu", "triangle", refuses_types, lower_trilu});
}

}  // namespace naru::kernel
