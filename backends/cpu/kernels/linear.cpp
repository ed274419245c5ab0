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

/// How an operand of `shape` broadcasts to rows of `output`; nullopt for patterns beyond rows and columns.
std::optional<RowChain::Access> access_of(const Shape& shape, const Shape& output) {
  const std::int64_t columns = output[output.rank() - 1];
  const std::int64_t rows = output.numel() / columns;
  const std::int64_t own = shape.rank() == 0 ? 1 : shape[shape.rank() - 1];
  const std::int64_t leading = shape.numel() / own;
  if ((own != columns && own != 1) || (leading != rows && leading != 1)) return std::nullopt;
  return RowChain::Access{leading == 1 ? 0 : own, own == 1 && columns != 1 ? 0 : 1};
}

/// The steps as a chain over rows, and the operands that they read.
struct BoundChain {
  RowChain chain;
  std::vector<Operand> operands;
};

std::optional<BoundChain> bind_chain(Lowering& lowering, std::vector<EwStep> steps) {
  std::vector<RowChain::Access> accesses;
  BoundChain bound;
  for (const EwStep& step : steps) {
    if (is_binary(step.op) && !access_of(lowering.shape(static_cast<std::size_t>(step.operand)), lowering.output_layout(0).shape)) {
      return std::nullopt;
    }
  }
  for (EwStep& step : steps) {
    if (!is_binary(step.op)) continue;
    const auto input = static_cast<std::size_t>(step.operand);
    accesses.push_back(*access_of(lowering.shape(input), lowering.output_layout(0).shape));
    bound.operands.push_back(Lowering::reads(lowering.plain(input)));
    step.operand = static_cast<std::int32_t>(accesses.size() - 1);
  }
  bound.chain = RowChain(std::move(steps), std::move(accesses));
  return bound;
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
  std::optional<BoundChain> bound = bind_chain(lowering, steps_of(lowering.node()));
  if (!bound) return false;
  std::vector<Operand> operands = {Lowering::reads(lowering.packed_tiles(1, format)),
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
