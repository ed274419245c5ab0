// Dense 3x3 convolution by Winograd's algorithm, with a fused chain behind.
#include <algorithm>

#include "backends/cpu/chain.h"
#include "backends/cpu/kernels.h"
#include "backends/cpu/parallel.h"
#include "backends/cpu/window.h"
#include "backends/cpu/winograd/winograd.h"

namespace naru::cpu {
namespace {

constexpr std::int32_t kFirstOperand = 3;  // behind x, w and the bias

bool all_of(const std::vector<std::int64_t>& values, std::int64_t wanted) {
  return std::all_of(values.begin(), values.end(), [&](std::int64_t value) { return value == wanted; });
}

std::string refuses(const NodeView& view) {
  const WinogradLoops* loops = winograd_loops();
  const Tensor* w = view.constant(1);
  if (loops == nullptr) return "a machine without loops for it";
  if (w == nullptr || w->dtype() != DType::F32 || view.dtype(0) != DType::F32) return "weights that are no f32 constant";
  if (w->rank() != 4 || w->shape()[2] != 3 || w->shape()[3] != 3) return "another kernel than 3x3";
  if (w->shape()[0] % loops->lanes != 0 || w->shape()[1] % loops->lanes != 0) return "channels that do not fill vectors";
  if (view.node.attr_int_or("group", 1) != 1) return "groups";
  if (!all_of(view.node.attr_ints_or("strides", {}), 1) || !all_of(view.node.attr_ints_or("dilations", {}), 1)) {
    return "strides or dilations";
  }
  if (view.node.op->domain == "naru" && !post_chain(view.node, kFirstOperand)) return "a post-op without a loop";
  return "";
}

WinogradSizes sizes_of(const Lowering& lowering) {
  const Shape x = lowering.shape(0), y = lowering.output_layout(0).shape;
  const Window window = window_of(lowering.node(), spatial_shape(lowering.shape(1)), spatial_shape(x), spatial_shape(y));
  return {x[0], x[1], x[2], x[3], y[1], y[2], y[3], window.begin[0], window.begin[1]};
}

bool lower(Lowering& lowering) {
  const WinogradConvolution convolution(sizes_of(lowering), *winograd_loops(), team_threads());
  if (!convolution.pays()) return false;
  Layout output = lowering.output_layout(0);
  output.block = output.channels();
  std::vector<EwStep> steps;
  if (lowering.node().op->domain == "naru") steps = *post_chain(lowering.node(), kFirstOperand);
  std::optional<BoundRowChain> bound = bind_row_chain(lowering, std::move(steps), output);
  if (!bound) return false;
  Layout input = Layout::plain(lowering.dtype(0), lowering.shape(0));
  input.block = input.channels();
  std::vector<Operand> operands = {Lowering::reads(lowering.as(0, input)),
                                   Lowering::reads(lowering.packed_by(1, convolution.packing()))};
  const bool has_bias = lowering.has_input(2);
  if (has_bias) operands.push_back(Lowering::reads(lowering.plain(2)));
  const std::size_t first = operands.size();
  operands.insert(operands.end(), bound->operands.begin(), bound->operands.end());
  operands.push_back(Lowering::writes(lowering.scratch(convolution.scratch_bytes())));
  operands.push_back(Lowering::writes(lowering.output(0, output)));
  const std::size_t last = operands.size() - 1;
  lowering.emit(std::string("winograd ") + winograd_loops()->name, to_string(input) + " -> " + to_string(output), std::move(operands),
                [convolution, has_bias, first, last, chain = std::move(bound->chain)](std::byte* const* p) {
                  const auto floats = [&](std::size_t i) { return reinterpret_cast<float*>(p[i]); };
                  convolution.run(floats(0), floats(1), has_bias ? floats(2) : nullptr, floats(last), floats(last - 1), chain,
                                  p + first);
                });
  return true;
}

}  // namespace

void add_winograd_kernels(std::vector<KernelEntry>& table) {
  for (const std::string_view op : {"Conv", "naru.FusedConv"}) table.push_back({op, "winograd convolution", refuses, lower});
}

}  // namespace naru::cpu
