// Element-wise nodes, single and fused, in whatever layout their operands have.
#include <algorithm>

#include "backends/cpu/chain.h"
#include "backends/cpu/kernels.h"

namespace naru::cpu {

bool is_chain_type(DType dtype) {
  return dtype == DType::F32 || dtype == DType::F16 || dtype == DType::BF16;
}

ChainOperand chain_operand(const Rep& rep) {
  return {rep, {rep.layout.dtype, broadcast_strides(rep.layout, rep.layout)}};
}

ChainOperand chain_operand(Lowering& lowering, std::size_t i, const Layout& output) {
  const Shape shape = with_rank(lowering.shape(i), output.shape.rank());
  Layout wanted = Layout::plain(lowering.dtype(i), shape);
  if (!output.is_plain() && shape[1] == output.shape[1]) wanted.block = output.block;
  Rep rep;
  if (shape == lowering.shape(i)) {
    rep = lowering.as(i, wanted);
  } else {
    rep = lowering.plain(i);
    rep.layout.shape = shape;
    if (!rep.layout.same_bytes(wanted) && lowering.constant(i) != nullptr) {
      rep = lowering.packed(i, {desc_of(rep.layout), desc_of(wanted)});
    } else {
      rep = lowering.convert(rep, wanted);
    }
    rep.layout = wanted;
  }
  return {rep, {wanted.dtype, broadcast_strides(wanted, output)}};
}

void emit_chain(Lowering& lowering, std::string kernel, std::vector<EwStep> steps,
                const std::vector<ChainOperand>& operands, const Rep& output) {
  std::vector<EwAccess> accesses;
  std::vector<Operand> memory;
  std::string note;
  for (const ChainOperand& operand : operands) {
    accesses.push_back(operand.access);
    memory.push_back(Lowering::reads(operand.rep));
    note += (note.empty() ? "" : ", ") + to_string(operand.rep.layout);
  }
  memory.push_back(Lowering::writes(output));
  note += " -> " + to_string(output.layout);
  lowering.emit(std::move(kernel), std::move(note), std::move(memory),
                EwKernel(std::move(steps), output.layout, std::move(accesses)));
}

namespace {

/// The layout of the first input that has the output's shape and lies in blocks; else row-major.
Layout chain_layout(const Lowering& lowering, const Layout& output) {
  for (std::size_t i = 0; i < lowering.node().inputs.size(); ++i) {
    if (!lowering.has_input(i) || lowering.shape(i) != output.shape) continue;
    for (const Layout& layout : lowering.layouts(i)) {
      if (!layout.is_plain()) return {output.dtype, output.shape, layout.block};
    }
  }
  return output;
}

/// An operand that the output may be written over, or nullptr.
const ChainOperand* reusable(const Lowering& lowering, const std::vector<ChainOperand>& operands,
                             const Layout& output) {
  if (lowering.is_fragment_output(0)) return nullptr;
  for (const ChainOperand& operand : operands) {
    if (operand.rep.layout != output || !lowering.dies(operand.rep)) continue;
    const bool alone = std::all_of(operands.begin(), operands.end(), [&](const ChainOperand& other) {
      const bool same = other.rep.buffer == operand.rep.buffer &&
                        other.rep.offset_bytes == operand.rep.offset_bytes &&
                        other.rep.layout == operand.rep.layout;
      return same || !lowering.shares_memory(other.rep, operand.rep);
    });
    if (alone) return &operand;
  }
  return nullptr;
}

bool lower_chain(Lowering& lowering, std::vector<EwStep> steps, std::size_t operand_count) {
  const Layout output = chain_layout(lowering, lowering.output_layout(0));
  std::vector<ChainOperand> operands;
  for (std::size_t i = 0; i < operand_count; ++i) operands.push_back(chain_operand(lowering, i, output));
  const ChainOperand* over = reusable(lowering, operands, output);
  Rep target;
  if (over != nullptr) {
    target = over->rep;
    lowering.set_output(0, target);
  } else {
    target = lowering.output(0, output);
  }
  emit_chain(lowering, "element-wise", std::move(steps), operands, target);
  return true;
}

/// Inputs of a chain: all of them, but only the first of Clip and unary steps.
std::size_t operands_of(const std::vector<EwStep>& steps) {
  std::int32_t last = 0;
  for (const EwStep& step : steps) last = std::max(last, step.operand);
  return static_cast<std::size_t>(last) + 1;
}

std::string refuses_types(const NodeView& view, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const DType dtype = view.dtype(i);
    if (dtype == DType::Undefined) continue;
    if (!is_chain_type(dtype)) return "element type " + std::string(to_string(dtype));
    if (dtype != view.dtype(0) && view.dtype(0) != DType::Undefined) return "mixed element types";
  }
  return "";
}

std::string refuses_single(const NodeView& view) {
  const auto steps = ew_chain(view);
  if (!steps) return "parameters that are not constant";
  return refuses_types(view, operands_of(*steps));
}

bool lower_single(Lowering& lowering) {
  std::vector<EwStep> steps = *ew_chain(lowering.view());
  const std::size_t count = operands_of(steps);
  return lower_chain(lowering, std::move(steps), count);
}

std::string refuses_gated(const NodeView& view) { return refuses_types(view, 2); }

bool lower_gated(Lowering& lowering) {
  return lower_chain(lowering, {{Ew::Swish, lowering.node().attr_float("alpha"), 0}, {Ew::Mul, 0, 0, 1}}, 2);
}

std::string refuses_fused(const NodeView& view) {
  const auto steps = post_chain(view.node, 1);
  if (!steps) return "a step without a loop";
  return refuses_types(view, operands_of(*steps));
}

bool lower_fused(Lowering& lowering) {
  std::vector<EwStep> steps = *post_chain(lowering.node(), 1);
  const std::size_t count = operands_of(steps);
  return lower_chain(lowering, std::move(steps), count);
}

constexpr std::string_view kOps[] = {
    "Abs", "Neg", "Relu", "LeakyRelu", "Elu", "Selu", "Celu", "ThresholdedRelu", "HardSigmoid",
    "HardSwish", "Sigmoid", "Tanh", "Exp", "Log", "Sqrt", "Reciprocal", "Floor", "Ceil", "Round",
    "Sign", "Erf", "Softplus", "Softsign", "Mish", "Gelu", "Swish", "Clip", "Sin", "Cos", "Tan",
    "Asin", "Acos", "Atan", "Sinh", "Cosh", "Asinh", "Acosh", "Atanh", "Add", "Sub", "Mul", "Div",
    "Max", "Min", "Sum", "Mean", "Pow", "PRelu"};

}  // namespace

void add_elementwise_kernels(std::vector<KernelEntry>& table) {
  for (const std::string_view op : kOps) {
    table.push_back({op, "element-wise tiles", refuses_single, lower_single});
  }
  table.push_back({"SwiGLU", "element-wise tiles", refuses_gated, lower_gated});
  table.push_back({"naru.FusedElementwise", "element-wise tiles", refuses_fused, lower_fused});
}

}  // namespace naru::cpu
