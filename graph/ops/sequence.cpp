// Sequences: built, changed, read, and turned into tensors and back.
#include <algorithm>

#include "graph/onnx_dtype.h"
#include "graph/ops/families.h"
#include "graph/ops/movement.h"
#include "graph/ops/subgraphs.h"
#include "graph/ops/type_set.h"
#include "graph/scalar.h"

namespace naru {
namespace {

constexpr TypeSet kPositionTypes{DType::I32, DType::I64};

/// The element type of a sequence input; Unknown when not known.
Type element_type(const InferContext& ctx, std::size_t i) {
  const Type& type = ctx.input(i);
  if (type.kind == TypeKind::Unknown) return {};
  ctx.require(type.kind == TypeKind::Sequence, "input {}: got {}, expected a sequence", i, to_string(type));
  return *type.element;
}

const std::vector<Datum>& sequence_input(const ReferenceContext& ctx, std::size_t i) {
  const Datum& datum = ctx.input_datum(i);
  ctx.require(datum.kind == Datum::Kind::Sequence, "input {}: got no sequence, expected one", i);
  return datum.elements;
}

Type joined(InferContext& ctx, const Type& a, const Type& b) {
  return join(a, b, [&] { return ctx.fresh_dim(); });
}

/// The position in an optional input, from [-size, size) (with `end`: up to size) brought to >= 0.
std::size_t position(const ReferenceContext& ctx, std::size_t i, std::size_t size, bool end) {
  const auto count = static_cast<std::int64_t>(size);
  const std::int64_t at = single_value(ctx, "position", ctx.input(i));
  const std::int64_t last = count - (end ? 0 : 1);
  ctx.require(at >= -count && at <= last, "position: got {}, expected [{}, {}]", at, -count, last);
  return static_cast<std::size_t>(at < 0 ? at + count : at);
}

// Construct, Empty

void infer_sequence_construct(InferContext& ctx) {
  Type element;
  for (std::size_t i = 0; i < ctx.input_count(); ++i) element = joined(ctx, element, ctx.input(i));
  ctx.set_output(0, Type::sequence(std::move(element)));
}

void reference_sequence_construct(ReferenceContext& ctx) {
  std::vector<Datum> elements;
  for (std::size_t i = 0; i < ctx.input_count(); ++i) elements.push_back(ctx.input_datum(i));
  ctx.set_output(0, Datum::sequence(std::move(elements)));
}

void infer_sequence_empty(InferContext& ctx) {
  ctx.set_output(0, Type::sequence(Type::tensor(dtype_from_onnx(ctx.node.attr_int("dtype")))));
}

void reference_sequence_empty(ReferenceContext& ctx) { ctx.set_output(0, Datum::sequence({})); }

// Insert, Erase, At, Length

void infer_sequence_insert(InferContext& ctx) {
  if (ctx.has_input(2)) require_type(ctx, 2, kPositionTypes);
  ctx.set_output(0, Type::sequence(joined(ctx, element_type(ctx, 0), ctx.input(1))));
}

void reference_sequence_insert(ReferenceContext& ctx) {
  std::vector<Datum> elements = sequence_input(ctx, 0);
  const std::size_t at = ctx.has_input(2) ? position(ctx, 2, elements.size(), true) : elements.size();
  elements.insert(elements.begin() + static_cast<std::ptrdiff_t>(at), ctx.input_datum(1));
  ctx.set_output(0, Datum::sequence(std::move(elements)));
}

void infer_sequence_erase(InferContext& ctx) {
  if (ctx.has_input(1)) require_type(ctx, 1, kPositionTypes);
  ctx.set_output(0, Type::sequence(element_type(ctx, 0)));
}

void reference_sequence_erase(ReferenceContext& ctx) {
  std::vector<Datum> elements = sequence_input(ctx, 0);
  ctx.require(!elements.empty(), "input_sequence: got an empty one, expected an element to erase");
  const std::size_t at = ctx.has_input(1) ? position(ctx, 1, elements.size(), false) : elements.size() - 1;
  elements.erase(elements.begin() + static_cast<std::ptrdiff_t>(at));
  ctx.set_output(0, Datum::sequence(std::move(elements)));
}

/// True when a dimension of the element type may stand for another number in each element: its
/// symbols are not the model's but stand for what joining the elements could not tell.
bool differs_by_element(const Dim& dim) {
  std::vector<std::string> symbols;
  dim.collect_symbols(symbols);
  return std::any_of(symbols.begin(), symbols.end(), [](const std::string& name) { return name.starts_with('?'); });
}

void infer_sequence_at(InferContext& ctx) {
  require_type(ctx, 1, kPositionTypes);
  Type element = element_type(ctx, 0);
  if (element.shape) {
    for (Dim& dim : *element.shape) {
      if (differs_by_element(dim)) dim = ctx.fresh_dim();
    }
  }
  ctx.set_output(0, std::move(element));
}

void reference_sequence_at(ReferenceContext& ctx) {
  const std::vector<Datum>& elements = sequence_input(ctx, 0);
  ctx.set_output(0, elements[position(ctx, 1, elements.size(), false)]);
}

void infer_sequence_length(InferContext& ctx) {
  element_type(ctx, 0);
  ctx.set_output(0, DType::I64, SymShape{});
}

void reference_sequence_length(ReferenceContext& ctx) {
  const auto length = static_cast<std::int64_t>(sequence_input(ctx, 0).size());
  ctx.set_output(0, Tensor::scalar(length));
}

// ConcatFromSequence

void infer_concat_from_sequence(InferContext& ctx) {
  const Type element = element_type(ctx, 0);
  ctx.set_output(0, element.dtype);
  if (!element.shape) return;
  const bool stacks = ctx.node.attr_int("new_axis") != 0;
  const auto rank = static_cast<std::int64_t>(element.shape->size()) + (stacks ? 1 : 0);
  ctx.normalize_axis(ctx.node.attr_int("axis"), rank);
  SymShape shape = fresh_shape(ctx, rank);
  ctx.set_output(0, element.dtype, std::move(shape));
}

Tensor concat(const ReferenceContext& ctx, const std::vector<Tensor>& parts, std::int64_t axis) {
  Shape shape = parts.front().shape();
  axis = ctx.normalize_axis(axis, shape.rank());
  shape[axis] = 0;
  for (const Tensor& part : parts) {
    ctx.require(part.dtype() == parts.front().dtype() && part.rank() == shape.rank(),
                "sequence element: got {}, expected the rank of {}", to_string(part), to_string(parts.front()));
    for (std::int64_t d = 0; d < shape.rank(); ++d) {
      ctx.require(d == axis || part.shape()[d] == shape[d], "sequence element: got {}, expected {} but for axis {}",
                  to_string(part), to_string(parts.front()), axis);
    }
    shape[axis] += part.shape()[axis];
  }
  Tensor out(parts.front().dtype(), std::move(shape));
  StridedView to = dense_view(out);
  for (const Tensor& part : parts) {
    copy_strided(out, to, part, dense_view(part), part.shape().dims());
    to.offset += part.shape()[axis] * to.strides[static_cast<std::size_t>(axis)];
  }
  return out;
}

void reference_concat_from_sequence(ReferenceContext& ctx) {
  std::vector<Tensor> parts;
  for (const Datum& element : sequence_input(ctx, 0)) {
    ctx.require(element.is_tensor() && element.tensor.defined(), "sequence: got an element that is no tensor");
    parts.push_back(element.tensor);
  }
  ctx.require(!parts.empty(), "input_sequence: got an empty one, expected one or more tensors");
  const std::int64_t axis = ctx.node.attr_int("axis");
  const bool stacks = ctx.node.attr_int("new_axis") != 0;
  ctx.set_output(0, stacks ? stack(ctx, parts, {}, axis, false) : concat(ctx, parts, axis));
}

// SplitToSequence

void infer_split_to_sequence(InferContext& ctx) {
  if (ctx.has_input(1)) {
    require_type(ctx, 1, kPositionTypes);
    require_rank(ctx, 1, 0, 1);
  }
  Type element = Type::tensor(ctx.dtype(0));
  if (const SymShape* shape = ctx.shape(0)) {
    const auto rank = static_cast<std::int64_t>(shape->size());
    const std::int64_t axis = ctx.normalize_axis(ctx.node.attr_int("axis"), rank);
    SymShape part = *shape;
    if (!ctx.has_input(1) && ctx.node.attr_int("keepdims") == 0) {
      part.erase(part.begin() + axis);
    } else {
      part[static_cast<std::size_t>(axis)] = ctx.has_input(1) ? ctx.fresh_dim() : Dim(1);
    }
    element.shape = std::move(part);
  }
  ctx.set_output(0, Type::sequence(std::move(element)));
}

/// Sizes of the parts: a vector says each, a scalar says all but the last.
std::vector<std::int64_t> part_sizes(const ReferenceContext& ctx, std::int64_t total) {
  std::vector<std::int64_t> given{1};
  if (ctx.has_input(1)) given = to_i64_vector(ctx.input(1));
  const bool same = !ctx.has_input(1) || ctx.input(1).rank() == 0;
  std::vector<std::int64_t> sizes;
  std::int64_t left = total;
  if (same) {
    ctx.require(given[0] > 0, "split: got {}, expected a size > 0", given[0]);
    for (; left > 0; left -= sizes.back()) sizes.push_back(std::min(given[0], left));
    return sizes;
  }
  for (std::int64_t size : given) {
    ctx.require(size >= 0 && size <= left, "split: got {} of the {} that are left, expected parts of a dimension of {}",
                size, left, total);
    left -= size;
  }
  ctx.require(left == 0, "split: got a sum of {}, expected {}", total - left, total);
  return given;
}

void reference_split_to_sequence(ReferenceContext& ctx) {
  const Tensor& data = ctx.input(0);
  const std::int64_t axis = ctx.normalize_axis(ctx.node.attr_int("axis"), data.rank());
  const bool drops = !ctx.has_input(1) && ctx.node.attr_int("keepdims") == 0;
  std::vector<Datum> elements;
  StridedView from = dense_view(data);
  for (std::int64_t size : part_sizes(ctx, data.shape()[axis])) {
    Shape shape = data.shape();
    shape[axis] = size;
    Tensor part(data.dtype(), shape);
    copy_strided(part, data, from);
    from.offset += size * from.strides[static_cast<std::size_t>(axis)];
    if (drops) {
      std::vector<std::int64_t> dims = shape.dims();
      dims.erase(dims.begin() + axis);
      part = part.reshaped(Shape(std::move(dims)));
    }
    elements.push_back(std::move(part));
  }
  ctx.set_output(0, Datum::sequence(std::move(elements)));
}

OpDef sequence_op(std::string name, int since, std::string doc, std::vector<FormalParam> inputs, FormalParam output,
                  void (*infer)(InferContext&), void (*reference)(ReferenceContext&)) {
  std::string source = fmt::format("ONNX {}-{}", name, since);
  return {
      .name = std::move(name),
      .domain = "",
      .since_version = since,
      .doc = std::move(doc),
      .source = std::move(source),
      .inputs = std::move(inputs),
      .outputs = {std::move(output)},
      .infer = infer,
      .reference = reference,
      .dynamic_output = true,
  };
}

}  // namespace

void define_sequence(std::vector<OpDef>& ops) {
  const FormalParam sequence{"input_sequence", "a sequence of tensors"};
  const FormalParam output{"output_sequence", "a sequence of tensors"};
  const FormalParam place{"position", "i32|i64 scalar in [-length, length); absent: the end", Arity::Optional};
  ops.push_back(sequence_op("SequenceConstruct", 11, "Makes a sequence of its inputs.",
                            {{"inputs", "tensors of one element type", Arity::Variadic}}, output,
                            infer_sequence_construct, reference_sequence_construct));
  ops.push_back(sequence_op("SequenceEmpty", 11, "Makes an empty sequence.", {}, output, infer_sequence_empty,
                            reference_sequence_empty));
  ops.back().attributes = {{"dtype", AttrKind::Int, "ONNX element type of its tensors", 1}};
  ops.push_back(sequence_op("SequenceInsert", 11, "Inserts a tensor before a position.",
                            {sequence, {"tensor", "any tensor"}, place}, output, infer_sequence_insert,
                            reference_sequence_insert));
  ops.push_back(sequence_op("SequenceErase", 11, "Removes the tensor at a position.", {sequence, place}, output,
                            infer_sequence_erase, reference_sequence_erase));
  ops.push_back(sequence_op("SequenceAt", 11, "Gives the tensor at a position.",
                            {sequence, {"position", "i32|i64 scalar in [-length, length)"}},
                            {"tensor", "the tensor"}, infer_sequence_at, reference_sequence_at));
  ops.push_back(sequence_op("SequenceLength", 11, "Gives the number of tensors.", {sequence},
                            {"length", "i64 scalar"}, infer_sequence_length, reference_sequence_length));
  ops.push_back(sequence_op("ConcatFromSequence", 11, "Joins the tensors of a sequence along an axis, old or new.",
                            {sequence}, {"concat_result", "one tensor"}, infer_concat_from_sequence,
                            reference_concat_from_sequence));
  ops.back().attributes = {{"axis", AttrKind::Int, "of the output", std::nullopt, true},
                           {"new_axis", AttrKind::Int, "1: the axis is a new one", 0}};
  ops.push_back(sequence_op("SplitToSequence", 24, "Cuts a tensor along an axis into a sequence.",
                            {{"input", "any tensor"},
                             {"split", "i32|i64: a scalar, the size of all parts, or one size each; absent: 1",
                              Arity::Optional}},
                            output, infer_split_to_sequence, reference_split_to_sequence));
  ops.back().attributes = {{"axis", AttrKind::Int, "in [-rank, rank)", 0},
                           {"keepdims", AttrKind::Int, "0: parts lose the axis; only without split", 1}};
}

}  // namespace naru
