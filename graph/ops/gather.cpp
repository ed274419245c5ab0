// Gather, GatherElements, GatherND: elements picked by index.
#include <algorithm>

#include "graph/ops/dequantize.h"
#include "graph/ops/families.h"
#include "graph/ops/movement.h"
#include "graph/ops/type_set.h"
#include "graph/scalar.h"

namespace naru {
namespace {

constexpr TypeSet kIndexTypes{DType::I32, DType::I64};

/// Reads the indices, each brought to [0, size).
std::vector<std::int64_t> wrapped_indices(const ReferenceContext& ctx, std::size_t i, std::int64_t size) {
  std::vector<std::int64_t> indices = to_i64_vector(ctx.input(i));
  for (std::int64_t& index : indices) index = wrap_index(ctx, "indices", index, size);
  return indices;
}

// Gather

/// Picks elements of a small vector whose elements are known.
void gather_values(InferContext& ctx) {
  const auto data = ctx.symbolic_value(0);
  const auto indices = ctx.symbolic_value(1);
  if (!data || data->is_scalar || !indices) return;
  const auto size = static_cast<std::int64_t>(data->elements.size());
  SymValue picked{{}, indices->is_scalar};
  for (const Dim& index : indices->elements) {
    if (!index.is_known()) return;
    const std::int64_t at = index.value();
    ctx.require(at >= -size && at < size, "indices: got {}, expected [{}, {})", at, -size, size);
    picked.elements.push_back(data->elements[static_cast<std::size_t>(at < 0 ? at + size : at)]);
  }
  ctx.set_symbolic_value(0, std::move(picked));
}

void infer_gather(InferContext& ctx) {
  require_type(ctx, 1, kIndexTypes);
  const SymShape* data = ctx.shape(0);
  const SymShape* indices = ctx.shape(1);
  ctx.set_output(0, ctx.dtype(0));
  if (data == nullptr || indices == nullptr) return;
  const auto axis = ctx.normalize_axis(ctx.node.attr_int("axis"), static_cast<std::int64_t>(data->size()));
  if (is_block(ctx.dtype(0))) {
    require_whole_blocks(ctx, 0);
    ctx.require(axis + 1 < static_cast<std::int64_t>(data->size()),
                "axis: got the last one, expected an earlier one for {} data", to_string(ctx.dtype(0)));
  }
  SymShape result(data->begin(), data->begin() + axis);
  result.insert(result.end(), indices->begin(), indices->end());
  result.insert(result.end(), data->begin() + axis + 1, data->end());
  ctx.set_output(0, ctx.dtype(0), std::move(result));
  gather_values(ctx);
}

void reference_gather(ReferenceContext& ctx) {
  const Tensor& data = ctx.input(0);
  Tensor& out = ctx.output(0);
  const std::int64_t axis = ctx.normalize_axis(ctx.node.attr_int("axis"), data.rank());
  const std::int64_t size = data.shape()[axis];
  const std::vector<std::int64_t> indices = wrapped_indices(ctx, 1, size);
  const std::int64_t outer = data.shape().numel(0, axis);
  const std::int64_t inner = data.shape().numel(axis + 1, data.rank());
  if (out.numel() == 0) return;
  std::int64_t at = 0;
  for (std::int64_t o = 0; o < outer; ++o) {
    for (std::int64_t index : indices) {
      copy_elements(out, at, data, (o * size + index) * inner, inner);
      at += inner;
    }
  }
}

Cost gather_cost(const Node&, std::span<const Type> inputs, std::span<const Type> outputs) {
  return {0, 2 * type_bytes(outputs[0]) + type_bytes(inputs[1])};
}

// GatherElements

void infer_gather_elements(InferContext& ctx) {
  require_type(ctx, 1, kIndexTypes);
  const SymShape* data = ctx.shape(0);
  const SymShape* indices = ctx.shape(1);
  if (data != nullptr) {
    const auto rank = static_cast<std::int64_t>(data->size());
    const std::int64_t axis = ctx.normalize_axis(ctx.node.attr_int("axis"), rank);
    require_rank(ctx, 1, rank, rank);
    for (std::int64_t i = 0; indices != nullptr && i < rank; ++i) {
      const Dim& limit = (*data)[static_cast<std::size_t>(i)];
      const Dim& dim = (*indices)[static_cast<std::size_t>(i)];
      ctx.require(i == axis || !limit.is_known() || !dim.is_known() || dim.value() <= limit.value(),
                  "indices: got size {} along axis {}, expected at most {}", dim.to_string(), i,
                  limit.to_string());
    }
  }
  ctx.set_output(0, indices != nullptr ? Type::tensor(ctx.dtype(0), *indices) : Type::tensor(ctx.dtype(0)));
}

void reference_gather_elements(ReferenceContext& ctx) {
  const Tensor& data = ctx.input(0);
  Tensor& out = ctx.output(0);
  const std::int64_t axis = ctx.normalize_axis(ctx.node.attr_int("axis"), data.rank());
  const std::vector<std::int64_t> indices = wrapped_indices(ctx, 1, data.shape()[axis]);
  const std::vector<std::int64_t> strides = data.shape().strides();
  IndexWalk walk(out.shape());
  for (std::int64_t i = 0; i < out.numel(); ++i, walk.next()) {
    std::int64_t from = indices[static_cast<std::size_t>(i)] * strides[static_cast<std::size_t>(axis)];
    for (std::size_t d = 0; d < strides.size(); ++d) {
      if (static_cast<std::int64_t>(d) != axis) from += walk.index()[d] * strides[d];
    }
    copy_elements(out, i, data, from, 1);
  }
}

// GatherND

void infer_gather_nd(InferContext& ctx) {
  require_type(ctx, 1, TypeSet{DType::I64});
  require_rank(ctx, 0, 1);
  require_rank(ctx, 1, 1);
  const SymShape* data = ctx.shape(0);
  const SymShape* indices = ctx.shape(1);
  ctx.set_output(0, ctx.dtype(0));
  if (data == nullptr || indices == nullptr) return;
  const auto rank = static_cast<std::int64_t>(data->size());
  const auto index_rank = static_cast<std::int64_t>(indices->size());
  const std::int64_t batch = ctx.node.attr_int("batch_dims");
  ctx.require(batch >= 0 && batch < std::min(rank, index_rank), "batch_dims: got {}, expected [0, {})",
              batch, std::min(rank, index_rank));
  for (std::size_t i = 0; i < static_cast<std::size_t>(batch); ++i) {
    match_dims(ctx, fmt::format("batch dimension {}", i), (*data)[i], (*indices)[i]);
  }
  const Dim& tuple = indices->back();
  if (!tuple.is_known()) return;
  ctx.require(tuple.value() >= 1 && tuple.value() <= rank - batch,
              "indices: got a last dimension of {}, expected [1, {}]", tuple.value(), rank - batch);
  SymShape result(indices->begin(), indices->end() - 1);
  result.insert(result.end(), data->begin() + batch + tuple.value(), data->end());
  ctx.set_output(0, ctx.dtype(0), std::move(result));
}

void reference_gather_nd(ReferenceContext& ctx) {
  const Tensor& data = ctx.input(0);
  Tensor& out = ctx.output(0);
  if (out.numel() == 0) return;
  const std::int64_t batch = ctx.node.attr_int("batch_dims");
  const std::vector<std::int64_t> indices = to_i64_vector(ctx.input(1));
  const Shape& index_shape = ctx.input(1).shape();
  const std::int64_t tuple = index_shape[index_shape.rank() - 1];
  const std::vector<std::int64_t> strides = data.shape().strides();
  const std::int64_t batches = data.shape().numel(0, batch);
  const std::int64_t per_batch = static_cast<std::int64_t>(indices.size()) / tuple / batches;
  const std::int64_t inner = data.shape().numel(batch + tuple, data.rank());
  for (std::int64_t i = 0; i < batches * per_batch; ++i) {
    std::int64_t from = i / per_batch * data.shape().numel(batch, data.rank());
    for (std::int64_t d = 0; d < tuple; ++d) {
      from += wrap_index(ctx, "indices", indices[static_cast<std::size_t>(i * tuple + d)],
                         data.shape()[batch + d]) *
              strides[static_cast<std::size_t>(batch + d)];
    }
    copy_elements(out, i * inner, data, from, inner);
  }
}

}  // namespace

void define_gather(std::vector<OpDef>& ops) {
  ops.push_back({
      .name = "Gather",
      .domain = "",
      .since_version = 13,
      .doc = "Picks slices along one axis by index.",
      .source = "ONNX Gather-13",
      .inputs = {{"data", "rank >= 1; of a block format along an axis other than the last"},
                 {"indices", "i32|i64 in [-size, size)"}},
      .outputs = {{"output", "data with indices' shape in place of the axis"}},
      .attributes = {{"axis", AttrKind::Int, "in [-rank, rank)", 0}},
      .infer = infer_gather,
      .reference = reference_gather,
      .cost = gather_cost,
  });
  ops.push_back({
      .name = "GatherElements",
      .domain = "",
      .since_version = 13,
      .doc = "Picks one element per index: the index replaces the place along axis.",
      .source = "ONNX GatherElements-13",
      .inputs = {{"data", "rank >= 1"}, {"indices", "i32|i64 of the same rank, in [-size, size)"}},
      .outputs = {{"output", "of indices' shape"}},
      .attributes = {{"axis", AttrKind::Int, "in [-rank, rank)", 0}},
      .infer = infer_gather_elements,
      .reference = reference_gather_elements,
      .cost = gather_cost,
  });
  ops.push_back({
      .name = "GatherND",
      .domain = "",
      .since_version = 13,
      .doc = "Picks slices by tuples of indices.",
      .source = "ONNX GatherND-13",
      .inputs = {{"data", "rank >= 1"}, {"indices", "i64[..., tuple]"}},
      .outputs = {{"output", "indices' shape without the tuple, then the slice"}},
      .attributes = {{"batch_dims", AttrKind::Int, "leading dimensions that both share", 0}},
      .infer = infer_gather_nd,
      .reference = reference_gather_nd,
      .cost = gather_cost,
  });
}

}  // namespace naru
