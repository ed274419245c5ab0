// Permutations of elements: Transpose, DepthToSpace, SpaceToDepth.
#include <algorithm>
#include <numeric>

#include "graph/ops/families.h"
#include "graph/ops/movement.h"

namespace naru {
namespace {

using Axes = std::vector<std::int64_t>;

Axes permutation(const Node& node, std::int64_t rank) {
  if (node.has("perm")) return node.attr_ints("perm");
  Axes reversed(static_cast<std::size_t>(rank));
  std::iota(reversed.rbegin(), reversed.rend(), 0);
  return reversed;
}

void infer_transpose(InferContext& ctx) {
  const SymShape* shape = ctx.shape(0);
  if (shape == nullptr) {
    ctx.set_output(0, ctx.node.has("perm")
                          ? Type::tensor(ctx.dtype(0), fresh_shape(ctx, static_cast<std::int64_t>(
                                                               ctx.node.attr_ints("perm").size())))
                          : Type::tensor(ctx.dtype(0)));
    return;
  }
  const auto rank = static_cast<std::int64_t>(shape->size());
  const Axes perm = permutation(ctx.node, rank);
  ctx.require(static_cast<std::int64_t>(perm.size()) == rank, "perm: got {} axes, expected {}",
              perm.size(), rank);
  SymShape result;
  for (std::int64_t axis : normalize_axes(ctx, perm, rank)) {
    result.push_back((*shape)[static_cast<std::size_t>(axis)]);
  }
  ctx.set_output(0, ctx.dtype(0), std::move(result));
  if (auto value = ctx.symbolic_value(0)) ctx.set_symbolic_value(0, std::move(*value));
}

/// Copies `from` with its dimensions in the order `perm`; `to` has as many elements.
void permute(Tensor& to, const Tensor& from, const Axes& perm) {
  const Axes strides = from.shape().strides();
  Axes shape, from_strides;
  for (std::int64_t axis : perm) {
    shape.push_back(from.shape()[axis]);
    from_strides.push_back(strides[static_cast<std::size_t>(axis)]);
  }
  copy_strided(to, {0, Shape(shape).strides()}, from, {0, from_strides}, shape);
}

void reference_transpose(ReferenceContext& ctx) {
  const std::int64_t rank = ctx.input(0).rank();
  Axes perm = permutation(ctx.node, rank);
  for (std::int64_t& axis : perm) axis = ctx.normalize_axis(axis, rank);
  permute(ctx.output(0), ctx.input(0), perm);
}

// DepthToSpace and SpaceToDepth are Reshape, Transpose to a rank of 6, Reshape.

struct Blocks {
  std::int64_t size;
  bool depth_first;  // DCR: the block's position is the outer part of the depth
};

Blocks blocks_of(const Node& node) {
  const std::string& mode = node.attr_string("mode");
  const std::int64_t size = node.attr_int("blocksize");
  if (mode != "DCR" && mode != "CRD") {
    fail(ErrorCode::InvalidModel, "{}: mode: got '{}', expected DCR or CRD", node.label(), mode);
  }
  if (size < 1 || size > INT32_MAX) {
    fail(ErrorCode::InvalidModel, "{}: blocksize: got {}, expected [1, 2^31)", node.label(), size);
  }
  return {size, mode == "DCR"};
}

Dim exact_quotient(const InferContext& ctx, const char* what, const Dim& dim, std::int64_t divisor) {
  ctx.require(!dim.is_known() || dim.value() % divisor == 0, "{}: got {}, expected a multiple of {}",
              what, dim.to_string(), divisor);
  return floor_div(dim, divisor);
}

void infer_depth_to_space(InferContext& ctx) {
  const std::int64_t b = blocks_of(ctx.node).size;
  require_rank(ctx, 0, 4, 4);
  const SymShape x = ctx.shape(0) != nullptr ? *ctx.shape(0) : fresh_shape(ctx, 4);
  ctx.set_output(0, ctx.dtype(0), {x[0], exact_quotient(ctx, "depth", x[1], b * b), x[2] * b, x[3] * b});
}

void infer_space_to_depth(InferContext& ctx) {
  const std::int64_t b = blocks_of(ctx.node).size;
  require_rank(ctx, 0, 4, 4);
  const SymShape x = ctx.shape(0) != nullptr ? *ctx.shape(0) : fresh_shape(ctx, 4);
  ctx.set_output(0, ctx.dtype(0), {x[0], x[1] * (b * b), exact_quotient(ctx, "height", x[2], b),
                                   exact_quotient(ctx, "width", x[3], b)});
}

/// The middle shape of rank 6 and the permutation. T is i64 or Dim.
template <typename T>
struct Rearrangement {
  std::vector<T> middle;
  Axes perm;
};

template <typename T>
Rearrangement<T> depth_to_space(const Blocks& blocks, const std::vector<T>& x, const std::vector<T>& y) {
  const T b(blocks.size);
  if (blocks.depth_first) return {{x[0], b, b, y[1], x[2], x[3]}, {0, 3, 4, 1, 5, 2}};
  return {{x[0], y[1], b, b, x[2], x[3]}, {0, 1, 4, 2, 5, 3}};
}

template <typename T>
Rearrangement<T> space_to_depth(const Blocks& blocks, const std::vector<T>& x, const std::vector<T>& y) {
  const T b(blocks.size);
  if (blocks.depth_first) return {{x[0], x[1], y[2], b, y[3], b}, {0, 3, 5, 1, 2, 4}};
  return {{x[0], x[1], y[2], b, y[3], b}, {0, 1, 3, 5, 2, 4}};
}

template <auto rearrange>
void reference_blocks(ReferenceContext& ctx) {
  Tensor& out = ctx.output(0);
  const auto [middle, perm] =
      rearrange(blocks_of(ctx.node), ctx.input(0).shape().dims(), out.shape().dims());
  permute(out, ctx.input(0).reshaped(Shape(middle)), perm);
}

/// A Reshape target with at most one dimension that is no number.
std::optional<Axes> reshape_target(const SymShape& shape) {
  Axes target;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    // The batch comes first in all three shapes, so 0 copies it.
    target.push_back(shape[i].is_known() ? shape[i].value() : i == 0 ? 0 : -1);
  }
  if (std::count(target.begin(), target.end(), -1) > 1) return std::nullopt;
  return target;
}

template <auto rearrange>
bool decompose_blocks(DecomposeContext& ctx) {
  const Type& x = ctx.type(ctx.input(0));
  const Type& y = ctx.output_type(0);
  if (!x.shape || !y.shape) return false;
  const auto [middle, perm] = rearrange(blocks_of(ctx.node), *x.shape, *y.shape);
  const auto first = reshape_target(middle), last = reshape_target(*y.shape);
  if (!first || !last) return false;
  const ValueId split = ctx.add("Reshape", {ctx.input(0), ctx.ints(*first)});
  const ValueId moved = ctx.add("Transpose", {split}, {{"perm", perm}});
  ctx.set_output(0, ctx.add("Reshape", {moved, ctx.ints(*last)}));
  return true;
}

}  // namespace

void define_transpose(std::vector<OpDef>& ops) {
  ops.push_back({
      .name = "Transpose",
      .domain = "",
      .since_version = 25,
      .doc = "Reorders the dimensions: dimension i of the output is perm[i] of the input.",
      .source = "ONNX Transpose-25",
      .inputs = {{"data", "any tensor"}},
      .outputs = {{"transposed", "the same elements"}},
      .attributes = {{"perm", AttrKind::Ints, "each axis once; absent: reversed"}},
      .infer = infer_transpose,
      .reference = reference_transpose,
      .cost = copy_cost,
  });
  const std::vector<AttrSpec> attributes = {
      {"blocksize", AttrKind::Int, "side of a block, >= 1", std::nullopt, true},
      {"mode", AttrKind::String, "DCR or CRD: order of the parts of the depth", std::string("DCR")}};
  ops.push_back({
      .name = "DepthToSpace",
      .domain = "",
      .since_version = 28,
      .doc = "Moves blocks of the depth into height and width.",
      .source = "ONNX DepthToSpace-28",
      .inputs = {{"input", "[n, c, h, w], c a multiple of blocksize^2"}},
      .outputs = {{"output", "[n, c / blocksize^2, h * blocksize, w * blocksize]"}},
      .attributes = attributes,
      .infer = infer_depth_to_space,
      .reference = reference_blocks<depth_to_space<std::int64_t>>,
      .cost = copy_cost,
      .decompose = decompose_blocks<depth_to_space<Dim>>,
  });
  ops.push_back({
      .name = "SpaceToDepth",
      .domain = "",
      .since_version = 28,
      .doc = "Moves blocks of height and width into the depth.",
      .source = "ONNX SpaceToDepth-28",
      .inputs = {{"input", "[n, c, h, w], h and w multiples of blocksize"}},
      .outputs = {{"output", "[n, c * blocksize^2, h / blocksize, w / blocksize]"}},
      .attributes = attributes,
      .infer = infer_space_to_depth,
      .reference = reference_blocks<space_to_depth<std::int64_t>>,
      .cost = copy_cost,
      .decompose = decompose_blocks<space_to_depth<Dim>>,
  });
}

}  // namespace naru
