// naru.Dequantize: the values of a block format.
#include "graph/ops/dequantize.h"

#include <algorithm>

#include "graph/block/block_format.h"
#include "graph/onnx_dtype.h"
#include "graph/ops/families.h"
#include "graph/ops/nn_rules.h"
#include "graph/scalar.h"

namespace naru {

void require_whole_blocks(const InferContext& ctx, std::size_t i) {
  const SymShape* shape = ctx.shape(i);
  if (shape == nullptr) return;
  const DTypeInfo& info = dtype_info(ctx.dtype(i));
  ctx.require(!shape->empty(), "input {}: got a scalar, expected rows of {}", i, info.name);
  const Dim& row = shape->back();
  ctx.require(!row.is_known() || row.value() % info.block_elements == 0,
              "input {}: got rows of {} elements, expected a multiple of {} for {}", i,
              row.to_string(), info.block_elements, info.name);
}

namespace {

void infer_dequantize(InferContext& ctx) {
  const DType from = ctx.dtype(0);
  ctx.require(from == DType::Undefined || is_block(from), "X: got {}, expected a block format",
              to_string(from));
  if (from != DType::Undefined) require_whole_blocks(ctx, 0);
  const DType to = dtype_from_onnx(ctx.node.attr_int("to"));
  ctx.require(kFloats.contains(to), "to: got {}, expected {}", to_string(to), to_string(kFloats));
  const SymShape* shape = ctx.shape(0);
  shape == nullptr ? ctx.set_output(0, to) : ctx.set_output(0, to, *shape);
}

void reference_dequantize(ReferenceContext& ctx) {
  const Tensor values = dequantize(ctx.input(0));
  Tensor& out = ctx.output(0);
  if (out.dtype() == DType::F32) {
    std::copy_n(values.data(), values.size_bytes(), out.mutable_data());
    return;
  }
  const std::span<const float> from = values.as<float>();
  for (std::size_t i = 0; i < from.size(); ++i) {
    store_f64(out.dtype(), out.mutable_data(), static_cast<std::int64_t>(i),
              static_cast<double>(from[i]));
  }
}

}  // namespace

void define_dequantize(std::vector<OpDef>& ops) {
  ops.push_back({
      .name = "Dequantize",
      .domain = "naru",
      .doc = "The values of a tensor in a block format.",
      .source = "naru",
      .inputs = {{"X", "a block format; rows are whole blocks"}},
      .outputs = {{"Y", "the shape of X, f32|f16|bf16|f64"}},
      .attributes = {{"to", AttrKind::Int, "ONNX code of Y's element type", onnx_code(DType::F32)}},
      .infer = infer_dequantize,
      .reference = reference_dequantize,
      .cost = cost_per_input_element<2>,
  });
}

}  // namespace naru
