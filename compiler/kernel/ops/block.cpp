// Block-quantised weights: products with them, and their values.
#include <algorithm>

#include "compiler/kernel/block_formats.h"
#include "compiler/kernel/product.h"
#include "compiler/kernel/walk.h"

namespace naru::kernel {
namespace {

/// Rows that share one decoding of the weights: their sums stay in registers.
std::int32_t rows_together(const Target& target, std::int64_t rows) {
  const std::int64_t most = target.vector_lanes > 1 ? (target.vector_registers - 4) * target.vector_lanes / kChunk : 4;
  const std::int64_t blocks = (rows + most - 1) / most;
  return static_cast<std::int32_t>((rows + blocks - 1) / blocks);
}

/// Each column of the weights is a row of blocks: one item multiplies it with a few rows.
void lower_block_product(Lowering& lowering) {
  const Product product = product_of(lowering);
  const Rep weights = lowering.input(1);
  const std::int32_t height = rows_together(lowering.target(), product.rows);
  const std::int64_t block_size = dtype_info(weights.dtype).block_elements;
  Call call(lowering, fmt::format("block_product_{}_{}", naru::to_string(weights.dtype), height));
  if (lowering.target().vector_lanes > 1) call.limit_group(16);
  const Buffer x = call.in(0);
  const BlockReader reader(lowering, call, weights);
  const Buffer y = call.out(0);
  Epilogue epilogue(lowering, product);
  epilogue.bind(call);
  const Expr rows = call.size(product.rows);
  const Expr columns = call.size(product.columns);
  const Expr depth = call.size(product.depth);
  const Expr blocks = call.size(product.depth / block_size);
  const std::vector<std::int64_t> extents = {(product.rows + height - 1) / height, product.columns};
  const auto at = call.points(std::vector<Expr>{call.size(extents[0]), columns}, extents);
  const Expr first = call.let(at[0] * height);
  std::vector<Expr> lines;
  std::vector<Variable> sums;
  for (std::int32_t r = 0; r < height; ++r) {
    lines.push_back(call.let(min(first + r, rows - 1) * depth));
    sums.push_back(call.var(splat(literal(Element::F32, 0), reader.lanes())));
  }
  call.loop(blocks, [&](const Expr& block) {
    const Expr begin = call.let(block * static_cast<int>(block_size));
    reader.each(at[1] * blocks + block, [&](const Expr& values, const Expr& place) {
      const Expr from = call.let(begin + place);
      for (std::size_t r = 0; r < sums.size(); ++r) {
        call.set(sums[r], multiply_add(values, call.load(x, lines[r] + from, reader.lanes()), sums[r]));
      }
    });
  });
  for (std::int32_t r = 0; r < height; ++r) {
    const Expr row = call.let(first + r);
    call.when(row < rows, [&] {
      const Expr value = epilogue(call, call.lane_sum(sums[static_cast<std::size_t>(r)]), {}, row, at[1]);
      call.store(y, row * columns + at[1], value);
    });
  }
  call.launch(fmt::format("{}x{}x{}", product.rows, product.columns, product.depth));
}

/// Why the values other than the blocks cannot be computed, or empty.
std::string refuses_others(const NodeView& view, const Target& target, std::size_t blocks) {
  for (std::size_t i = 0; i < view.input_count(); ++i) {
    if (i == blocks || !view.has_input(i)) continue;
    if (std::string reason = refuses_value(view.type(i), target); !reason.empty()) return reason;
  }
  return refuses_value(view.output_type(0), target);
}

std::string refuses_block_product(const NodeView& view, const Target& target) {
  if (std::string reason = refuses_blocks(view.type(1), target); !reason.empty()) return reason;
  if (view.node.attr_int_or("transB", 0) == 0 || view.node.attr_int_or("transA", 0) != 0) return "blocks that lie across the depth";
  if (view.rank(1) != 2) return "a stack of weights";
  const DType dtype = view.dtype(0);
  if (dtype == DType::F64 || is_integer(dtype)) return "operands of type " + std::string(naru::to_string(dtype));
  return refuses_others(view, target, 1);
}

void lower_dequantize(Lowering& lowering) {
  const Rep input = lowering.input(0);
  const std::int64_t block_size = dtype_info(input.dtype).block_elements;
  Call call(lowering, fmt::format("dequantize_{}", naru::to_string(input.dtype)));
  const BlockReader reader(lowering, call, input);
  const Buffer y = call.out(0);
  const std::int64_t blocks = input.numel() / block_size;
  const Expr block = call.points({blocks})[0];
  const Expr begin = call.let(block * static_cast<int>(block_size));
  reader.each(block, [&](const Expr& values, const Expr& place) { call.store(y, begin + place, values); });
  call.launch(naru::to_string(input.shape));
}

std::string refuses_dequantize(const NodeView& view, const Target& target) {
  if (std::string reason = refuses_blocks(view.type(0), target); !reason.empty()) return reason;
  const DType to = view.output_dtype(0);
  if (to != DType::Undefined && to != DType::F32) return "values of type " + std::string(naru::to_string(to));
  return refuses_others(view, target, 0);
}

}  // namespace

void add_block_kernels(std::vector<KernelEntry>& table) {
  for (const char* op : {"MatMul", "Gemm", "naru.FusedMatMul"}) {
    table.push_back({op, "block-quantised matrix product", refuses_block_product, lower_block_product});
  }
  table.push_back({"naru.Dequantize", "dequantisation", refuses_dequantize, lower_dequantize});
}

}  // namespace naru::kernel
