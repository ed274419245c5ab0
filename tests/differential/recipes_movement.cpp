// Recipes of operators that move elements.
#include <algorithm>
#include <numeric>

#include "tests/differential/recipes.h"

namespace naru::fuzz {
namespace {

using Ints = std::vector<std::int64_t>;

constexpr TypeSet kMoved = kNumbers | kBool | kFloat8s |
                           TypeSet{DType::F4E2M1, DType::F6E2M3, DType::I4, DType::U4, DType::I2, DType::U2, DType::String, DType::Complex64};

bool transpose(GraphBuilder& b, std::string_view op) {
  const ValueId x = b.any(kMoved);
  Ints perm(static_cast<std::size_t>(b.shape(x).rank()));
  std::iota(perm.begin(), perm.end(), 0);
  for (std::size_t i = perm.size(); i > 1; --i) {
    std::swap(perm[i - 1], perm[static_cast<std::size_t>(b.choose.between(0, static_cast<std::int64_t>(i) - 1))]);
  }
  return b.add(op, {x}, b.choose.one_in(5) ? Attributes{} : Attributes{{"perm", perm}});
}

/// The prime factors of a count, dealt out to a few dimensions.
Ints another_shape(GraphBuilder& b, std::int64_t elements) {
  Ints dims(static_cast<std::size_t>(b.choose.between(1, 5)), 1);
  for (std::int64_t factor = 2; elements > 1; ++factor) {
    for (; elements % factor == 0; elements /= factor) {
      dims[static_cast<std::size_t>(b.choose.between(0, static_cast<std::int64_t>(dims.size()) - 1))] *= factor;
    }
  }
  if (elements == 0) dims[0] = 0;
  return dims;
}

bool reshape(GraphBuilder& b, std::string_view op) {
  const ValueId x = b.any(kMoved);
  const std::int64_t elements = b.data(x).numel();
  Ints dims = another_shape(b, elements);
  if (elements > 0 && b.choose.one_in(3)) {
    dims[static_cast<std::size_t>(b.choose.between(0, static_cast<std::int64_t>(dims.size()) - 1))] = -1;
  }
  return b.add(op, {x, b.ints(dims)}, {{"allowzero", std::int64_t{elements == 0 ? 1 : 0}}});
}

bool flatten(GraphBuilder& b, std::string_view op) {
  const ValueId x = b.any(kMoved);
  return b.add(op, {x}, {{"axis", b.choose.between(-b.shape(x).rank(), b.shape(x).rank())}});
}

bool slice(GraphBuilder& b, std::string_view op) {
  const ValueId x = b.any(kMoved, 1);
  Ints starts, ends, axes, steps;
  for (std::int64_t i = 0; i < b.shape(x).rank(); ++i) {
    if (b.choose.one_in(2)) continue;
    const std::int64_t size = b.shape(x)[i];
    const std::int64_t step = b.choose.of<std::int64_t>({1, 1, 1, 2, 3, -1, -2});
    axes.push_back(b.choose.one_in(2) ? i : i - b.shape(x).rank());
    starts.push_back(step > 0 ? b.choose.between(-size, size / 2) : b.choose.one_in(2) ? size - 1 : b.choose.between(size / 2, size + 1));
    ends.push_back(step > 0 ? b.choose.of<std::int64_t>({size, size - 1, INT64_MAX}) : b.choose.of<std::int64_t>({0, -size - 1, INT64_MIN}));
    steps.push_back(step);
  }
  return b.add(op, {x, b.ints(starts), b.ints(ends), b.ints(axes), b.ints(steps)});
}

bool pad(GraphBuilder& b, std::string_view op) {
  const ValueId x = b.any(kNumbers | kBool, 1, 5);
  const std::string mode = b.choose.of({"constant", "constant", "reflect", "edge", "wrap"});
  Ints pads;
  for (std::int64_t i = 0; i < 2 * b.shape(x).rank(); ++i) {
    pads.push_back(b.choose.of<std::int64_t>({0, 0, 1, 2, mode == "constant" ? -1 : 0}));
  }
  std::vector<ValueId> inputs{x, b.ints(pads)};
  if (mode == "constant" && b.choose.one_in(2)) inputs.push_back(b.constant(b.dtype(x), {}));
  return b.add(op, std::move(inputs), {{"mode", mode}});
}

bool concat(GraphBuilder& b, std::string_view op) {
  const ValueId x = b.any(kMoved, 1);
  const std::int64_t axis = b.axis(b.shape(x).rank());
  std::vector<ValueId> inputs{x};
  for (std::int64_t i = b.choose.between(0, 3); i > 0; --i) {
    Shape shape = b.shape(x);
    shape[axis < 0 ? axis + shape.rank() : axis] = b.choose.between(0, 4);
    inputs.push_back(b.choose.one_in(3) ? x : b.operand(b.dtype(x), shape));
  }
  return b.add(op, std::move(inputs), {{"axis", axis}});
}

bool split(GraphBuilder& b, std::string_view op) {
  const ValueId x = b.any(kMoved, 1);
  const std::int64_t axis = b.axis(b.shape(x).rank());
  const std::int64_t size = b.shape(x)[axis < 0 ? axis + b.shape(x).rank() : axis];
  const std::int64_t parts = b.choose.between(1, 3);
  if (b.choose.one_in(2)) return b.add(op, {x}, {{"axis", axis}, {"num_outputs", parts}}, static_cast<std::size_t>(parts));
  Ints sizes(static_cast<std::size_t>(parts), 0);
  for (std::int64_t i = 0; i < size; ++i) ++sizes[static_cast<std::size_t>(b.choose.between(0, parts - 1))];
  return b.add(op, {x, b.ints(sizes)}, {{"axis", axis}}, sizes.size());
}

bool squeeze(GraphBuilder& b, std::string_view op) {
  const ValueId x = b.any(kMoved);
  Ints axes;
  for (std::int64_t i = 0; i < b.shape(x).rank(); ++i) {
    if (b.shape(x)[i] == 1) axes.push_back(i);
  }
  return b.choose.one_in(3) ? b.add(op, {x}) : b.add(op, {x, b.ints(axes)});
}

bool unsqueeze(GraphBuilder& b, std::string_view op) {
  const ValueId x = b.any(kMoved, 0, 4);
  const std::int64_t rank = b.shape(x).rank();
  Ints axes{b.choose.between(-rank - 1, rank)};
  if (b.choose.one_in(3)) axes = {0, rank + 1};
  return b.add(op, {x, b.ints(axes)});
}

bool expand(GraphBuilder& b, std::string_view op) {
  const ValueId x = b.any(kMoved, 0, 4);
  Ints dims = b.shape(x).dims();
  for (std::int64_t& dim : dims) {
    if (dim == 1 && b.choose.one_in(2)) dim = b.choose.between(0, 4);
    else if (b.choose.one_in(4)) dim = 1;
  }
  if (b.choose.one_in(3)) dims.insert(dims.begin(), b.choose.between(1, 3));
  return b.add(op, {x, b.ints(dims)});
}

bool tile(GraphBuilder& b, std::string_view op) {
  const ValueId x = b.any(kMoved, 1, 4);
  Ints repeats;
  for (std::int64_t i = 0; i < b.shape(x).rank(); ++i) repeats.push_back(b.choose.of<std::int64_t>({1, 1, 2, 3, 0}));
  return b.add(op, {x, b.ints(repeats)});
}

bool gather(GraphBuilder& b, std::string_view op) {
  const ValueId x = b.any(kMoved, 1, 4);
  const std::int64_t axis = b.axis(b.shape(x).rank());
  const std::int64_t size = b.shape(x)[axis < 0 ? axis + b.shape(x).rank() : axis];
  if (size == 0) return false;
  return b.add(op, {x, b.constant(b.random_indices(b.random_shape(0, 2), -size, size - 1))}, {{"axis", axis}});
}

/// Indices for GatherElements and ScatterElements: those of all other axes stay inside.
Tensor element_indices(GraphBuilder& b, const Shape& shape, std::int64_t axis, bool distinct) {
  Shape dims = shape;
  for (std::int64_t i = 0; i < dims.rank(); ++i) {
    if (i != axis && dims[i] > 1 && b.choose.one_in(2)) dims[i] -= 1;
  }
  const std::int64_t size = shape[axis];
  if (!distinct) {
    dims[axis] = b.choose.between(1, 3);
    return b.random_indices(dims, -size, size - 1);
  }
  // Each element is written once: the result does not depend on an order.
  Tensor indices(DType::I64, dims);
  std::int64_t at = 0;
  const std::int64_t inner = dims.numel(axis + 1, dims.rank());
  for (std::int64_t& index : indices.as_mutable<std::int64_t>()) index = size - 1 - (at++ / std::max<std::int64_t>(inner, 1)) % size;
  return indices;
}

bool gather_elements(GraphBuilder& b, std::string_view op) {
  const ValueId x = b.any(kMoved, 1, 4);
  if (b.data(x).numel() == 0) return false;
  const std::int64_t axis = b.choose.between(0, b.shape(x).rank() - 1);
  return b.add(op, {x, b.constant(element_indices(b, b.shape(x), axis, false))}, {{"axis", axis}});
}

bool scatter_elements(GraphBuilder& b, std::string_view op) {
  const ValueId x = b.any(kNumbers, 1, 4);
  if (b.data(x).numel() == 0) return false;
  const std::int64_t axis = b.choose.between(0, b.shape(x).rank() - 1);
  const std::string reduction = b.choose.of({"none", "none", "add", "max", "min", "mul"});
  const ValueId indices = b.constant(element_indices(b, b.shape(x), axis, reduction == "none"));
  return b.add(op, {x, indices, b.operand(b.dtype(x), b.shape(indices))}, {{"axis", axis}, {"reduction", reduction}});
}

bool gather_nd(GraphBuilder& b, std::string_view op) {
  const ValueId x = b.any(kMoved, 1, 4);
  if (b.data(x).numel() == 0) return false;
  const std::int64_t depth = b.choose.between(1, b.shape(x).rank());
  const std::int64_t smallest = *std::min_element(b.shape(x).begin(), b.shape(x).begin() + depth);
  Tensor indices = b.random_tensor(DType::I64, {b.choose.between(1, 4), depth});
  for (std::int64_t& index : indices.as_mutable<std::int64_t>()) index = b.choose.between(-smallest, smallest - 1);
  return b.add(op, {x, b.constant(std::move(indices))});
}

bool scatter_nd(GraphBuilder& b, std::string_view op) {
  const ValueId x = b.any(kNumbers, 1, 4);
  if (b.data(x).numel() == 0) return false;
  const std::int64_t rows = b.choose.between(1, b.shape(x)[0]);
  Tensor indices(DType::I64, {rows, 1});
  std::int64_t next = 0;
  for (std::int64_t& index : indices.as_mutable<std::int64_t>()) index = next++;
  Shape updates = b.shape(x);
  updates[0] = rows;
  return b.add(op, {x, b.constant(std::move(indices)), b.operand(b.dtype(x), updates)},
               {{"reduction", std::string(b.choose.of({"none", "add", "max"}))}});
}

bool space(GraphBuilder& b, std::string_view op) {
  const ValueId x = b.any(kNumbers, 4, 4);
  const std::int64_t block = b.choose.between(1, 3);
  const bool to_depth = op == "SpaceToDepth";
  Attributes attributes{{"blocksize", block}};
  if (!to_depth) attributes["mode"] = std::string(b.choose.of({"DCR", "CRD"}));
  if (b.choose.one_in(2)) return b.add(op, {x}, std::move(attributes));
  const Shape shape = to_depth ? Shape{b.choose.between(1, 2), b.dim(), block * b.choose.between(1, 3), block * b.choose.between(1, 4)}
                               : Shape{b.choose.between(1, 2), block * block * b.choose.between(1, 3), b.choose.between(1, 5), b.choose.between(1, 5)};
  return b.add(op, {b.input(DType::F32, shape)}, std::move(attributes));
}

bool trilu(GraphBuilder& b, std::string_view op) {
  const ValueId x = b.any(kNumbers | kBool, 2, 4);
  return b.add(op, {x, b.constant(Tensor::scalar<std::int64_t>(b.choose.between(-3, 3)))}, {{"upper", b.choose.between(0, 1)}});
}

bool top_k(GraphBuilder& b, std::string_view op) {
  const ValueId x = b.any(kNumbers, 1, 4);
  const std::int64_t axis = b.axis(b.shape(x).rank());
  const std::int64_t size = b.shape(x)[axis < 0 ? axis + b.shape(x).rank() : axis];
  return b.add(op, {x, b.ints({b.choose.between(0, size)})}, {{"axis", axis}, {"largest", b.choose.between(0, 1)}}, 2);
}

bool one_hot(GraphBuilder& b, std::string_view op) {
  const std::int64_t depth = b.choose.between(1, 6);
  const ValueId indices = b.choose.one_in(2) ? b.any({DType::I64, DType::I32}, 0, 3) : b.constant(b.random_indices(b.random_shape(0, 2), -depth - 1, depth));
  return b.add(op, {indices, b.constant(Tensor::scalar<std::int64_t>(depth)), b.operand(DType::F32, {2})}, {{"axis", b.choose.between(-1, 0)}});
}

bool reverse_sequence(GraphBuilder& b, std::string_view op) {
  const ValueId x = b.any(kNumbers, 2, 4);
  const std::int64_t time = b.choose.between(0, 1);
  if (b.shape(x)[time] == 0) return false;
  Tensor lengths(DType::I64, {b.shape(x)[1 - time]});
  for (std::int64_t& length : lengths.as_mutable<std::int64_t>()) length = b.choose.between(1, b.shape(x)[time]);
  return b.add(op, {x, b.constant(std::move(lengths))}, {{"time_axis", time}, {"batch_axis", 1 - time}});
}

bool eye_like(GraphBuilder& b, std::string_view op) {
  return b.add(op, {b.any(kNumbers | kBool, 2, 2)}, {{"k", b.choose.between(-2, 2)}});
}

bool constant_of_shape(GraphBuilder& b, std::string_view op) {
  return b.add(op, {b.ints(b.random_shape(0, 4).dims())}, {{"value", b.random_tensor(b.choose.of({DType::F32, DType::I64, DType::U8, DType::F16}), {1})}});
}

bool range(GraphBuilder& b, std::string_view op) {
  const auto number = [&](std::int64_t low, std::int64_t high) { return b.constant(Tensor::scalar<std::int64_t>(b.choose.between(low, high))); };
  return b.add(op, {number(-3, 3), number(0, 20), number(1, 3)});
}

bool non_zero(GraphBuilder& b, std::string_view op) {
  return b.add(op, {b.any(kBool | TypeSet{DType::I64, DType::I32, DType::U8}, 1)});
}

bool compress(GraphBuilder& b, std::string_view op) {
  const ValueId x = b.any(kMoved, 1, 4);
  const std::int64_t axis = b.axis(b.shape(x).rank());
  const std::int64_t size = b.shape(x)[axis < 0 ? axis + b.shape(x).rank() : axis];
  return b.add(op, {x, b.operand(DType::Bool, {size})}, {{"axis", axis}});
}

}  // namespace

void add_movement_recipes(std::vector<RecipeEntry>& table) {
  table.insert(table.end(),
               {{"Transpose", transpose}, {"Reshape", reshape}, {"Flatten", flatten}, {"Slice", slice}, {"Pad", pad},
                {"Concat", concat}, {"Split", split}, {"Squeeze", squeeze}, {"Unsqueeze", unsqueeze}, {"Expand", expand},
                {"Tile", tile}, {"Gather", gather}, {"GatherElements", gather_elements}, {"GatherND", gather_nd},
                {"ScatterElements", scatter_elements}, {"ScatterND", scatter_nd}, {"SpaceToDepth", space},
                {"DepthToSpace", space}, {"Trilu", trilu}, {"TopK", top_k}, {"OneHot", one_hot},
                {"ReverseSequence", reverse_sequence}, {"EyeLike", eye_like}, {"ConstantOfShape", constant_of_shape},
                {"Range", range}, {"NonZero", non_zero}, {"Compress", compress}});
}

}  // namespace naru::fuzz
