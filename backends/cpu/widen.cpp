// Widening: which nodes, and the rewriting.
#include "backends/cpu/widen.h"

#include <algorithm>
#include <string_view>

#include "backends/cpu/convert_loops.h"
#include "backends/cpu/onednn.h"
#include "graph/onnx_dtype.h"
#include "graph/op_def.h"

namespace naru::cpu {
namespace {

/// Operators whose oneDNN kernels take 16-bit floats on some machines.
constexpr std::string_view kByMachine[] = {
    "Conv", "ConvTranspose", "MatMul", "Gemm", "MaxPool", "AveragePool",
    "naru.FusedConv", "naru.FusedConvTranspose", "naru.FusedMatMul"};
/// Operators whose own kernels are in f32 only.
constexpr std::string_view kAlways[] = {
    "GlobalAveragePool", "GlobalMaxPool", "LRN", "Softmax", "LogSoftmax", "LayerNormalization",
    "RMSNormalization", "BatchNormalization", "LSTM", "Resize", "ReduceSum", "ReduceMean", "ReduceMax",
    "ReduceMin", "ReduceProd", "ReduceSumSquare", "ReduceL1", "ReduceL2"};

bool contains(std::span<const std::string_view> list, std::string_view op) {
  return std::find(list.begin(), list.end(), op) != list.end();
}

bool machine_computes(DType dtype) {
  using Isa = dnnl::cpu_isa;
  static const auto isa = static_cast<unsigned>(dnnl::get_effective_cpu_isa());
  const auto has = [](Isa wanted) {
    return (isa & static_cast<unsigned>(wanted)) == static_cast<unsigned>(wanted);
  };
  return dtype == DType::BF16 ? has(Isa::avx512_core_bf16) : has(Isa::avx512_core_fp16);
}

bool is_half(DType dtype) { return dtype == DType::F16 || dtype == DType::BF16; }

class Rewriter {
 public:
  Rewriter(const Graph& source, WidenedConstants& constants)
      : graph_(source), constants_(constants), wide_(source.values.size(), kNoValue) {
    graph_.nodes.clear();
  }

  void add(const Node& node, std::int32_t index) {
    const bool widened = !node.inputs.empty() && node.inputs[0] != kNoValue &&
                         is_widened(node.op->full_name(), graph_.value(node.inputs[0]).type.dtype);
    if (!widened) {
      push(node, index);
      return;
    }
    Node copy = node;
    std::vector<std::pair<ValueId, ValueId>> narrowed;
    for (ValueId& id : copy.inputs) {
      if (id != kNoValue && is_half(graph_.value(id).type.dtype)) id = widened_value(id, index);
    }
    for (ValueId& id : copy.outputs) {
      if (id == kNoValue || !is_half(graph_.value(id).type.dtype)) continue;
      const ValueId wide = new_value(id);
      narrowed.emplace_back(wide, id);
      id = wide;
    }
    push(std::move(copy), index);
    for (const auto& [wide, id] : narrowed) push(cast_node(wide, id), index);
  }

  Graph take() { return std::move(graph_); }
  std::vector<std::int32_t> take_origin() { return std::move(origin_); }

 private:
  void push(Node node, std::int32_t index) {
    graph_.nodes.push_back(std::move(node));
    origin_.push_back(index);
  }

  ValueId new_value(ValueId like) {
    Type type = graph_.value(like).type;
    type.dtype = DType::F32;
    return graph_.add_value(graph_.value(like).name + ".f32", std::move(type));
  }

  Node cast_node(ValueId from, ValueId to) const {
    Node node;
    node.op = &op_def("Cast");
    node.name = graph_.value(to).name;
    node.inputs = {from};
    node.outputs = {to};
    node.attributes["to"] = onnx_code(graph_.value(to).type.dtype);
    return node;
  }

  ValueId widened_value(ValueId id, std::int32_t index) {
    ValueId& wide = wide_[static_cast<std::size_t>(id)];
    if (wide != kNoValue) return wide;
    wide = new_value(id);
    if (graph_.value(id).is_constant()) {
      graph_.value(wide).constant = constants_.get(graph_.value(id).constant);
    } else {
      push(cast_node(id, wide), index);
    }
    return wide;
  }

  Graph graph_;
  WidenedConstants& constants_;
  std::vector<ValueId> wide_;  // by value of the source: its f32 form
  std::vector<std::int32_t> origin_;
};

}  // namespace

Tensor WidenedConstants::get(const Tensor& constant) {
  const std::lock_guard lock(mutex_);
  Entry& entry = entries_[constant.data()];
  if (!entry.source.expired()) {
    if (std::shared_ptr<const void> owner = entry.owner.lock()) {
      return Tensor::wrap(DType::F32, constant.shape(), entry.data, std::move(owner));
    }
  }
  Tensor wide(DType::F32, constant.shape());
  load_floats(constant.dtype(), constant.data(), 0, constant.numel(), reinterpret_cast<float*>(wide.mutable_data()));
  entry = {constant.owner(), wide.owner(), wide.mutable_data()};
  return wide;
}

bool is_widened(std::string_view op, DType dtype) {
  if (!is_half(dtype)) return false;
  return contains(kAlways, op) || (contains(kByMachine, op) && !machine_computes(dtype));
}

Widened widen(std::shared_ptr<const Graph> fragment, WidenedConstants& constants) {
  const bool needed = std::any_of(fragment->nodes.begin(), fragment->nodes.end(), [&](const Node& node) {
    return !node.inputs.empty() && node.inputs[0] != kNoValue &&
           is_widened(node.op->full_name(), fragment->value(node.inputs[0]).type.dtype);
  });
  if (!needed) return {std::move(fragment), {}};
  Rewriter rewriter(*fragment, constants);
  for (std::size_t i = 0; i < fragment->nodes.size(); ++i) rewriter.add(fragment->nodes[i], static_cast<std::int32_t>(i));
  auto graph = std::make_shared<Graph>(rewriter.take());
  return {std::move(graph), rewriter.take_origin()};
}

}  // namespace naru::cpu
