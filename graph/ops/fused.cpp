// Fused operators: an anchor (convolution, matrix product or any value) and a chain of post-ops.
#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "graph/evaluate.h"
#include "graph/onnx_dtype.h"
#include "graph/ops/broadcast.h"
#include "graph/ops/dequantize.h"
#include "graph/ops/families.h"
#include "graph/ops/post_ops.h"
#include "graph/ops/type_set.h"

namespace naru {
namespace {

std::vector<AttrSpec> post_attributes(std::vector<AttrSpec> attributes) {
  attributes.push_back({"post_ops", AttrKind::Strings, "operators applied to the result, in order",
                        std::vector<std::string>{}});
  attributes.push_back(
      {"post_args", AttrKind::Floats, "alpha and beta of each post-op", std::vector<float>{}});
  return attributes;
}

std::vector<FormalParam> with_operands(std::vector<FormalParam> inputs) {
  inputs.push_back(
      {"operands", "one per binary post-op, broadcast to the output", Arity::Variadic});
  return inputs;
}

/// Shape rules of an anchor's own operator, run on some of the fused node's inputs.
class AnchorContext final : public InferContext {
 public:
  AnchorContext(InferContext& outer, const Node& anchor, std::vector<Type> types)
      : InferContext(anchor, std::move(types)), outer_(outer) {}

  const Tensor* constant(std::size_t i) const override { return outer_.constant(i); }
  std::optional<SymValue> symbolic_value(std::size_t i) const override {
    return outer_.symbolic_value(i);
  }
  Dim fresh_dim() override { return outer_.fresh_dim(); }
  std::vector<Type> infer_subgraph(const Graph& graph, std::vector<Type> formal) override {
    return outer_.infer_subgraph(graph, std::move(formal));
  }

 private:
  InferContext& outer_;
};

/// The anchor of a fused node as a node of its own operator.
Node anchor_node(const Node& node, std::string_view op, std::size_t inputs) {
  Node anchor;
  anchor.op = &op_def(op);
  anchor.name = node.name;
  anchor.inputs.assign(
      node.inputs.begin(),
      node.inputs.begin() + static_cast<std::ptrdiff_t>(std::min(inputs, node.inputs.size())));
  while (anchor.inputs.back() == kNoValue) anchor.inputs.pop_back();
  anchor.outputs = node.outputs;
  for (const auto& [name, value] : node.attributes) {
    if (anchor.op->find_attribute(name) != nullptr) anchor.attributes.emplace(name, value);
  }
  return anchor;
}

Type infer_anchor(InferContext& ctx, const Node& anchor, std::vector<Type> types) {
  AnchorContext inner(ctx, anchor, std::move(types));
  anchor.op->infer(inner);
  return std::move(inner.output_types().front());
}

std::vector<Type> input_types(const InferContext& ctx, std::size_t count) {
  std::vector<Type> types;
  for (std::size_t i = 0; i < count; ++i) types.push_back(ctx.has_input(i) ? ctx.input(i) : Type{});
  return types;
}

/// Inputs [first, ...) must be as many as the chain wants and of the output's type.
void check_operands(const InferContext& ctx, std::size_t first, const Type& output) {
  const std::vector<PostStep> steps = post_steps(ctx.node);
  const auto wanted = static_cast<std::size_t>(std::count_if(
      steps.begin(), steps.end(), [](const PostStep& step) { return step.op->binary; }));
  const std::size_t got = ctx.input_count() > first ? ctx.input_count() - first : 0;
  ctx.require(got == wanted, "operands: got {}, expected {} for the binary post-ops", got, wanted);
  ctx.require(steps.empty() || output.dtype == DType::Undefined || kFloats.contains(output.dtype),
              "post-ops: got {}, expected {}", to_string(output.dtype), to_string(kFloats));
  for (std::size_t i = first; i < ctx.input_count(); ++i) {
    const DType dtype = ctx.dtype(i);
    ctx.require(
        dtype == DType::Undefined || output.dtype == DType::Undefined || dtype == output.dtype,
        "operand {}: got {}, expected {}", i, to_string(dtype), to_string(output.dtype));
  }
}

/// Input `i` must broadcast to the output without widening it; what is symbolic is believed.
void check_fits(const InferContext& ctx, std::size_t i, const Type& output) {
  if (!ctx.has_input(i) || ctx.shape(i) == nullptr || !output.shape) return;
  const SymShape& shape = *ctx.shape(i);
  bool fits = shape.size() <= output.shape->size();
  for (std::size_t k = 0; fits && k < shape.size(); ++k) {
    const Dim& from = shape[shape.size() - 1 - k];
    const Dim& to = (*output.shape)[output.shape->size() - 1 - k];
    fits = from == to || from == Dim(1) || !from.is_known() || !to.is_known();
  }
  ctx.require(fits, "operand {}: got shape {}, expected one that broadcasts to {}", i,
              to_string(shape), to_string(*output.shape));
}

void set_chained_output(InferContext& ctx, std::size_t first, Type output) {
  check_operands(ctx, first, output);
  for (std::size_t i = first; i < ctx.input_count(); ++i) check_fits(ctx, i, output);
  ctx.set_output(0, std::move(output));
}

/// Emits the chain onto `running` and states the result.
bool decompose_chain(DecomposeContext& ctx, ValueId running, std::size_t operand, DType dtype) {
  for (const PostStep& step : post_steps(ctx.node)) {
    const std::string_view name = step.op->name;
    if (step.op->binary) {
      running = ctx.add(name, {running, ctx.input(operand++)});
    } else if (name == "Clip") {
      const auto bound = [&](float value) {
        return std::isinf(value) ? kNoValue : ctx.scalar(dtype, value);
      };
      running = ctx.add(name, {running, bound(step.alpha), bound(step.beta)});
    } else if (name == "Gelu") {
      running = ctx.add(name, {running},
                        {{"approximate", std::string(step.alpha != 0 ? "tanh" : "none")}});
    } else {
      Attributes attributes;
      if (step.op->alpha != nullptr) attributes[step.op->alpha] = step.alpha;
      if (step.op->beta != nullptr) attributes[step.op->beta] = step.beta;
      running = ctx.add(name, {running}, std::move(attributes));
    }
  }
  ctx.set_output(0, running);
  return true;
}

/// The reference of every operator here: its decomposition, evaluated.
void reference_by_decomposition(ReferenceContext& ctx) {
  Graph graph;
  Node node = ctx.node;
  std::vector<Datum> data;
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    if (!ctx.has_input(i)) continue;
    data.push_back(ctx.input_datum(i));
    node.inputs[i] = graph.add_input("", Type::of(data.back()));
  }
  for (std::size_t i = 0; i < node.outputs.size(); ++i) {
    node.outputs[i] = graph.add_value("", ctx.output_type(i));
  }
  DecomposeContext decomposition(graph, node);
  NARU_CHECK(node.op->decompose(decomposition), node.label() + " has no decomposition");
  DecomposeContext::Result result = decomposition.take();
  for (Value& value : result.new_values) {
    const ValueId id = graph.add_value(value.name, value.type);
    graph.value(id).constant = std::move(value.constant);
  }
  graph.nodes = std::move(result.nodes);
  for (const auto& [index, value] : result.outputs) graph.outputs.push_back(value);
  std::vector<Datum> outputs = evaluate(graph, data);
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    ctx.set_output(result.outputs[i].first, std::move(outputs[i]));
  }
}

double chain_flops(const Node& node, const Type& output) {
  const double elements = static_cast<double>(known_shape(*output.shape)->numel());
  return elements * static_cast<double>(post_steps(node).size());
}

double bytes_of(std::span<const Type> types) {
  double bytes = 0;
  for (const Type& type : types) {
    if (type.is_static())
      bytes += static_cast<double>(storage_bytes(type.dtype, known_shape(*type.shape)->numel()));
  }
  return bytes;
}

Cost cost_of(const Node& node, const char* anchor_op, std::size_t anchor_inputs,
             std::span<const Type> inputs, std::span<const Type> outputs) {
  Cost cost;
  const Node anchor = anchor_node(node, anchor_op, anchor_inputs);
  if (anchor.op->cost != nullptr) {
    cost = anchor.op->cost(anchor, inputs.first(anchor.inputs.size()), outputs);
  }
  return {cost.flops + chain_flops(node, outputs[0]), bytes_of(inputs) + bytes_of(outputs)};
}

// Convolutions

constexpr std::size_t kAnchorInputs = 3;  // X, W, B or A, B, C; see first_operand()

const char* convolution_of(const Node& node) {
  return node.op->name == "FusedConv" ? "Conv" : "ConvTranspose";
}

void infer_convolution(InferContext& ctx) {
  const Node anchor = anchor_node(ctx.node, convolution_of(ctx.node), kAnchorInputs);
  set_chained_output(ctx, kAnchorInputs,
                     infer_anchor(ctx, anchor, input_types(ctx, anchor.inputs.size())));
}

bool decompose_convolution(DecomposeContext& ctx) {
  const Node anchor = anchor_node(ctx.node, convolution_of(ctx.node), kAnchorInputs);
  const ValueId running = ctx.add(anchor.op->full_name(), anchor.inputs, anchor.attributes);
  return decompose_chain(ctx, running, kAnchorInputs, ctx.output_type(0).dtype);
}

Cost cost_convolution(const Node& node, std::span<const Type> inputs,
                      std::span<const Type> outputs) {
  return cost_of(node, convolution_of(node), kAnchorInputs, inputs, outputs);
}

// Matrix products

/// The type of a matrix as MatMul sees it.
Type transposed(const InferContext& ctx, std::size_t i, const char* attribute) {
  Type type = ctx.input(i);
  if (ctx.node.attr_int(attribute) == 0 || !type.shape) return type;
  const std::size_t rank = type.shape->size();
  ctx.require(rank >= 2, "input {}: got rank {}, expected at least 2 for {}", i, rank, attribute);
  std::swap((*type.shape)[rank - 2], (*type.shape)[rank - 1]);
  return type;
}

/// True for matrices that are stored in fewer bits than they multiply in.
bool is_storage_format(DType b, DType a) {
  return is_block(b) || (a == DType::F32 && (b == DType::F16 || b == DType::BF16 || kFloat8s.contains(b)));
}

/// B multiplies as what it decodes to, the type of A.
Type decoded(const InferContext& ctx, Type b) {
  if (is_block(b.dtype)) require_whole_blocks(ctx, 1);
  if (is_storage_format(b.dtype, ctx.dtype(0))) b.dtype = ctx.dtype(0);
  return b;
}

void infer_matmul(InferContext& ctx) {
  const Node anchor = anchor_node(ctx.node, "MatMul", 2);
  Type output = infer_anchor(ctx, anchor, {transposed(ctx, 0, "transA"),
                                           decoded(ctx, transposed(ctx, 1, "transB"))});
  ctx.require(output.dtype == DType::Undefined || kFloats.contains(output.dtype),
              "output: got {}, expected {}", to_string(output.dtype), to_string(kFloats));
  check_fits(ctx, 2, output);
  set_chained_output(ctx, kAnchorInputs, std::move(output));
}

ValueId transpose_last(DecomposeContext& ctx, ValueId matrix, std::int64_t rank) {
  std::vector<std::int64_t> perm;
  for (std::int64_t axis = 0; axis < rank; ++axis) perm.push_back(axis);
  std::swap(perm[static_cast<std::size_t>(rank - 2)], perm[static_cast<std::size_t>(rank - 1)]);
  return ctx.add("Transpose", {matrix}, {{"perm", perm}});
}

bool decompose_matmul(DecomposeContext& ctx) {
  const DType dtype = ctx.output_type(0).dtype;
  ValueId matrices[2] = {ctx.input(0), ctx.input(1)};
  const DType a = ctx.type(matrices[0]).dtype, b = ctx.type(matrices[1]).dtype;
  if (is_storage_format(b, a)) {
    const char* op = is_block(b) ? "naru.Dequantize" : "Cast";
    matrices[1] = ctx.add(op, {matrices[1]}, {{"to", onnx_code(a)}});
  }
  for (std::size_t i = 0; i < 2; ++i) {
    if (ctx.node.attr_int(i == 0 ? "transA" : "transB") == 0) continue;
    const Type& type = ctx.type(ctx.input(i));
    if (!type.shape || type.shape->size() < 2) return false;
    matrices[i] = transpose_last(ctx, matrices[i], static_cast<std::int64_t>(type.shape->size()));
  }
  ValueId running = ctx.add("MatMul", {matrices[0], matrices[1]});
  const float alpha = ctx.node.attr_float("alpha");
  if (alpha != 1) running = ctx.add("Mul", {running, ctx.scalar(dtype, alpha)});
  if (ctx.has_input(2)) running = ctx.add("Add", {running, ctx.input(2)});
  return decompose_chain(ctx, running, kAnchorInputs, dtype);
}

Cost cost_matmul(const Node& node, std::span<const Type> inputs, std::span<const Type> outputs) {
  if (!inputs[0].is_static() || !outputs[0].is_static()) return {};
  const SymShape& a = *inputs[0].shape;
  const std::size_t depth_axis = a.size() - (a.size() > 1 && node.attr_int("transA") != 0 ? 2 : 1);
  const double depth = static_cast<double>(a[depth_axis].value());
  const double elements = static_cast<double>(known_shape(*outputs[0].shape)->numel());
  const double added = node.has_input(2) ? elements : 0;
  return {2 * depth * elements + added + chain_flops(node, outputs[0]),
          bytes_of(inputs) + bytes_of(outputs)};
}

// Element-wise chains

void infer_elementwise(InferContext& ctx) {
  const DType dtype = require_common_type(ctx, 0, ctx.input_count(), kFloats);
  check_operands(ctx, 1, Type::tensor(dtype));
  infer_broadcast(ctx, 0, ctx.input_count(), dtype);
}

bool decompose_elementwise(DecomposeContext& ctx) {
  if (post_steps(ctx.node).empty()) {
    ctx.set_output(0, ctx.add("Identity", {ctx.input(0)}));
    return true;
  }
  return decompose_chain(ctx, ctx.input(0), 1, ctx.output_type(0).dtype);
}

Cost cost_elementwise(const Node& node, std::span<const Type> inputs,
                      std::span<const Type> outputs) {
  return {chain_flops(node, outputs[0]), bytes_of(inputs) + bytes_of(outputs)};
}

OpDef fused_convolution(const OpDef& base) {
  return {
      .name = "Fused" + base.name,
      .domain = "naru",
      .doc = base.name + " and a chain of element-wise operators on its result.",
      .source = "naru",
      .inputs = with_operands({{"X", "as " + base.name},
                               {"W", "as " + base.name},
                               {"B", "as " + base.name, Arity::Optional}}),
      .outputs = {{"Y", "as " + base.name}},
      .attributes = post_attributes(base.attributes),
      .infer = infer_convolution,
      .reference = reference_by_decomposition,
      .cost = cost_convolution,
      .decompose = decompose_convolution,
  };
}

OpDef fused_matmul() {
  return {
      .name = "FusedMatMul",
      .domain = "naru",
      .doc = "alpha * A' B' + C and a chain of element-wise operators on the result.",
      .source = "naru",
      .inputs =
          with_operands({{"A", "[..., M, K], or [..., K, M] with transA; float"},
                         {"B", "[..., K, N], or [..., N, K] with transB; as A, or a storage format: a block "
                 "format or, for f32 A, f16, bf16 or an 8-bit float"},
                         {"C", "broadcasts to the output", Arity::Optional}}),
      .outputs = {{"Y", "[..., M, N]"}},
      .attributes = post_attributes({
          {"transA", AttrKind::Int, "swap the last two axes of A", std::int64_t{0}},
          {"transB", AttrKind::Int, "swap the last two axes of B", std::int64_t{0}},
          {"alpha", AttrKind::Float, "scale of the product", 1.0f},
      }),
      .infer = infer_matmul,
      .reference = reference_by_decomposition,
      .cost = cost_matmul,
      .decompose = decompose_matmul,
  };
}

OpDef fused_elementwise() {
  return {
      .name = "FusedElementwise",
      .domain = "naru",
      .doc = "A chain of element-wise operators.",
      .source = "naru",
      .inputs = with_operands({{"X", "the first running value; " + to_string(kFloats)}}),
      .outputs = {{"Y", "the broadcast of all inputs"}},
      .attributes = post_attributes({}),
      .infer = infer_elementwise,
      .reference = reference_by_decomposition,
      .cost = cost_elementwise,
      .decompose = decompose_elementwise,
  };
}

}  // namespace

void define_fused(std::vector<OpDef>& ops) {
  std::vector<OpDef> fused{fused_elementwise(), fused_matmul()};
  for (const OpDef& op : ops) {
    // The list of families keeps this one behind the convolutions, whose attributes are taken over.
    if (op.domain.empty() && (op.name == "Conv" || op.name == "ConvTranspose")) {
      fused.push_back(fused_convolution(op));
    }
  }
  ops.insert(ops.end(), std::make_move_iterator(fused.begin()),
             std::make_move_iterator(fused.end()));
}

}  // namespace naru
