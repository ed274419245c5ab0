// naru.Dequantize to f32.
#include "backends/cpu/kernels.h"
#include "backends/cpu/parallel.h"
#include "graph/block/block_format.h"

namespace naru::cpu {
namespace {

std::string refuses(const NodeView& view) {
  const DType to = view.output_dtype(0);
  return to == DType::Undefined || to == DType::F32 ? "" : "values of type " + std::string(to_string(to));
}

bool lower(Lowering& lowering) {
  const DType format = lowering.dtype(0);
  const DTypeInfo& info = dtype_info(format);
  const std::int64_t blocks = lowering.shape(0).numel() / info.block_elements;
  const Rep input = lowering.plain(0);
  const Rep output = lowering.output(0);
  lowering.emit("dequantise", to_string(input.layout) + " -> " + to_string(output.layout),
                {Lowering::reads(input), Lowering::writes(output)}, [=](std::byte* const* p) {
                  parallel_ranges(blocks, info.block_elements, [&](std::int64_t begin, std::int64_t end) {
                    dequantize_blocks(format, p[0] + begin * info.block_bytes, end - begin,
                                      reinterpret_cast<float*>(p[1]) + begin * info.block_elements);
                  });
                });
  return true;
}

}  // namespace

void add_dequantize_kernels(std::vector<KernelEntry>& table) {
  table.push_back({"naru.Dequantize", "block by block", refuses, lower});
}

}  // namespace naru::cpu
