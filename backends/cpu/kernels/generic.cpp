// Any operator by its reference meaning, on row-major operands: right, slow.
#include <algorithm>
#include <cstring>

#include "backends/cpu/kernels.h"
#include "graph/evaluate.h"

namespace naru::cpu {
namespace {

std::string refuses_type(const Type& type) {
  if (type.kind == TypeKind::Sequence || type.kind == TypeKind::Optional) {
    return "its values are no tensors, got " + to_string(type);
  }
  return type.dtype == DType::String ? "strings stay on the host" : "";
}

/// Constants in block formats have no dense buffer; they are handed over as they are.
struct GenericInput {
  bool present = false;
  Tensor constant;
  DType dtype = DType::Undefined;
  Shape shape;
};

void check_output(const Node& node, const Tensor& got, const Layout& expected) {
  if (got.dtype() == expected.dtype && got.shape() == expected.shape) return;
  fail(ErrorCode::InvalidArgument, "{}: got an output {}, expected {} as compiled", node.label(),
       to_string(got), to_string(expected));
}

}  // namespace

std::string refuses_generic(const NodeView& view) {
  if (view.node.op->dynamic_output) return "its output is known only at run time";
  if (!view.node.captures.empty()) return "it runs sub-graphs";
  for (std::size_t i = 0; i < view.node.inputs.size(); ++i) {
    if (!view.has_input(i)) continue;
    if (std::string reason = refuses_type(view.type(i)); !reason.empty()) return reason;
  }
  for (std::size_t i = 0; i < view.node.outputs.size(); ++i) {
    if (!view.has_output(i)) continue;
    if (std::string reason = refuses_type(view.output_type(i)); !reason.empty()) return reason;
  }
  return "";
}

void lower_generic(Lowering& lowering) {
  const Node* node = &lowering.node();
  std::vector<GenericInput> inputs;
  std::vector<Operand> operands;
  for (std::size_t i = 0; i < node->inputs.size(); ++i) {
    GenericInput input;
    input.present = lowering.has_input(i);
    if (input.present && lowering.constant(i) != nullptr) {
      input.constant = *lowering.constant(i);
    } else if (input.present) {
      input.dtype = lowering.dtype(i);
      input.shape = lowering.shape(i);
      operands.push_back(Lowering::reads(lowering.plain(i)));
    }
    inputs.push_back(std::move(input));
  }
  const std::size_t first_output = operands.size();
  std::vector<Layout> outputs;
  for (std::size_t i = 0; i < node->outputs.size(); ++i) {
    if (!lowering.has_output(i)) continue;
    outputs.push_back(lowering.output_layout(i));
    operands.push_back(Lowering::writes(lowering.output(i)));
  }
  lowering.emit("reference", "", std::move(operands),
                [node, inputs = std::move(inputs), outputs = std::move(outputs),
                 first_output](std::byte* const* p) {
                  std::vector<Datum> data;
                  std::byte* const* next = p;
                  for (const GenericInput& input : inputs) {
                    if (!input.present) {
                      data.emplace_back();
                    } else if (input.constant.defined()) {
                      data.emplace_back(input.constant);
                    } else {
                      data.emplace_back(Tensor::wrap(input.dtype, input.shape, *next++, nullptr));
                    }
                  }
                  const std::vector<Datum> results = evaluate_node(*node, data);
                  std::size_t present = 0;
                  for (std::size_t i = 0; i < node->outputs.size(); ++i) {
                    if (node->outputs[i] == kNoValue) continue;
                    const Tensor& result = results[i].tensor;
                    check_output(*node, result, outputs[present]);
                    if (result.size_bytes() > 0) {
                      std::memcpy(p[first_output + present], result.data(),
                                  static_cast<std::size_t>(result.size_bytes()));
                    }
                    ++present;
                  }
                });
}

}  // namespace naru::cpu
