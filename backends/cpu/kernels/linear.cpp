// Linear layers with weights in block formats or 16-bit floats: naru.FusedMatMul(x, w'), by tiles.
#include <algorithm>

#include "backends/cpu/chain.h"
#include "backends/cpu/kernels.h"
#include "backends/cpu/linear/linear.h"

namespace naru::cpu {
namespace {

constexpr std::int32_t kFirstOperand = 3;  // behind x, w and the addend

std::string refuses(const NodeView& view) {
  if (view.node.attr_int("transA") != 0 || view.node.attr_int("transB") != 1) return "weights that are not [N, K]";
  const DType x = view.dtype(0);
  if (x != DType::Undefined && x != DType::F32) return "activations of type " + std::string(to_string(x));
  if (view.constant(1) == nullptr || view.rank(1) != 2) return "a weight that is no constant matrix";
  const DType w = view.dtype(1);
  if (w == DType::F32 || find_tile_format(w) == nullptr) return "a weight of type " + std::string(to_string(w));
  if (!post_chain(view.node, kFirstOperand)) return "a post-op without a loop";
  return "";
}

/// alpha, the addend and the post-ops; operands are inputs of the node.
std::vector<EwStep> steps_of(const Node& node) {
  std::vector<EwStep> steps;
  const float alpha = node.attr_float("alpha");
  if (alpha != 1) steps.push_back({Ew::Linear, alpha, 0});
  if (node.has_input(2)) steps.push_back({Ew::Add, 0, 0, 2});
  const std::vector<EwStep> post = *post_chain(node, kFirstOperand);
  steps.insert(steps.end(), post.begin(), post.end());
  return steps;
}

/// The input arranged for `kernel`; kinds that read it alike share one copy.
Rep arranged_input(Lowering& lowering, const LinearKernel& kernel) {
  const int key = code_bytes(kernel.kind());
  return lowering.derived(0, key, [&] {
    const Rep to = lowering.scratch(kernel.activation_bytes());
    lowering.emit(kernel.kind() == TileKind::F32 ? "arrange activations" : "quantise activations",
                  to_string(lowering.plain(0).layout), {Lowering::reads(lowering.plain(0)), Lowering::writes(to)},
                  [kernel](std::byte* const* p) { kernel.quantise(reinterpret_cast<const float*>(p[0]), p[1]); });
    return to;
  });
}

bool lower(Lowering& lowering) {
  const TileFormat& format = *find_tile_format(lowering.dtype(1));
  const Layout output = lowering.output_layout(0);
  const std::int64_t depth = lowering.shape(1)[1];
  const LinearKernel kernel(format, format.is_float() || lowering.options().exact, lowering.shape(0).numel() / depth,
                            depth, lowering.shape(1)[0]);
  std::optional<BoundRowChain> bound = bind_row_chain(lowering, steps_of(lowering.node()), lowering.output_layout(0));
  if (!bound) return false;
  std::vector<Operand> operands = {Lowering::reads(lowering.packed_by(1, TilePacking{&format})),
                                   Lowering::reads(arranged_input(lowering, kernel))};
  operands.insert(operands.end(), bound->operands.begin(), bound->operands.end());
  operands.push_back(Lowering::writes(lowering.output(0)));
  const std::size_t last = operands.size() - 1;
  lowering.emit(std::string("linear ") + tile_loops().name,
                std::string(to_string(format.dtype)) + " -> " + to_string(output), std::move(operands),
                [kernel, last, chain = std::move(bound->chain)](std::byte* const* p) {
                  kernel.multiply(p[0], p[1], reinterpret_cast<float*>(p[last]), chain, p + 2);
                });
  return true;
}

}  // namespace

void add_linear_kernels(std::vector<KernelEntry>& table) {
  table.push_back({"naru.FusedMatMul", "linear tiles", refuses, lower});
}

}  // namespace naru::cpu
