// Rule and reference of operators that are their decomposition.
#include "graph/ops/by_parts.h"

#include <algorithm>
#include <numeric>
#include <string_view>

#include "graph/evaluate.h"
#include "graph/onnx_dtype.h"

namespace naru {
namespace {

/// The decomposition as a graph whose inputs are those of the node that have no value here.
struct Body {
  Graph graph;
  std::vector<std::size_t> formals;  ///< which inputs of the node the graph's inputs are
};

/// nullopt where the operator refuses. `value_of(i)` is an input's value, or null.
template <typename TypeOf, typename ValueOf>
std::optional<Body> body_of(const Node& node, const TypeOf& type_of, const ValueOf& value_of) {
  Body body;
  Node copy = node;
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    if (!node.has_input(i)) continue;
    if (const Tensor* value = value_of(i)) {
      copy.inputs[i] = body.graph.add_constant("", *value);
    } else {
      copy.inputs[i] = body.graph.add_input("", type_of(i));
      body.formals.push_back(i);
    }
  }
  DecomposeContext ctx(body.graph, copy);
  if (!node.op->decompose(ctx)) return std::nullopt;
  DecomposeContext::Result result = ctx.take();
  // New values were numbered after those of the graph, so they keep their numbers here.
  for (Value& value : result.new_values) {
    const ValueId id = body.graph.add_value(value.name, value.type);
    body.graph.value(id).constant = std::move(value.constant);
  }
  body.graph.nodes = std::move(result.nodes);
  for (std::size_t i = 0; i < node.outputs.size(); ++i) {
    if (!node.has_output(i)) continue;
    const auto found = std::find_if(result.outputs.begin(), result.outputs.end(), [&](const auto& output) { return output.first == i; });
    if (found == result.outputs.end()) {
      fail(ErrorCode::Unsupported, "{}: output '{}' is not computed", node.label(), node.op->outputs[i].name);
    }
    body.graph.outputs.push_back(found->second);
  }
  return body;
}

void infer_by_parts(InferContext& ctx) {
  const std::optional<Body> body = body_of(
      ctx.node, [&](std::size_t i) { return ctx.input(i); }, [&](std::size_t i) { return ctx.constant(i); });
  if (!body) return;
  std::vector<Type> formals;
  for (const std::size_t i : body->formals) formals.push_back(ctx.input(i));
  const std::vector<Type> types = ctx.infer_subgraph(body->graph, std::move(formals));
  std::size_t next = 0;
  for (std::size_t i = 0; i < ctx.output_count(); ++i) {
    if (ctx.node.has_output(i)) ctx.set_output(i, types[next++]);
  }
}

void reference_by_parts(ReferenceContext& ctx) {
  const std::optional<Body> body = body_of(
      ctx.node, [&](std::size_t i) { return Type::of(ctx.input_datum(i)); }, [&](std::size_t i) { return &ctx.input(i); });
  ctx.require(body.has_value(), "got inputs and attributes of a form that naru does not compute");
  const std::vector<Datum> results = evaluate(body->graph, {});
  std::size_t next = 0;
  for (std::size_t i = 0; i < ctx.output_count(); ++i) {
    if (ctx.has_output(i)) ctx.set_output(i, results[next++]);
  }
}

FormalParam param_of(std::string_view text) {
  FormalParam param;
  const char last = text.back();
  if (last == '?') param.arity = Arity::Optional;
  if (last == '*') param.arity = Arity::Variadic;
  if (param.arity != Arity::Required) text.remove_suffix(1);
  param.name = text;
  return param;
}

std::vector<std::int64_t> iota(std::int64_t count) {
  std::vector<std::int64_t> axes(static_cast<std::size_t>(count));
  std::iota(axes.begin(), axes.end(), 0);
  return axes;
}

}  // namespace

OpDef by_parts(const char* name, const char* doc, std::initializer_list<const char*> inputs,
               std::initializer_list<const char*> outputs, std::vector<AttrSpec> attributes,
               bool (*decompose)(DecomposeContext&)) {
  OpDef op;
  op.name = name;
  op.domain = "com.microsoft";
  op.doc = doc;
  op.source = std::string("ONNX Runtime com.microsoft.") + name + "-1";
  for (const char* input : inputs) op.inputs.push_back(param_of(input));
  for (const char* output : outputs) op.outputs.push_back(param_of(output));
  op.attributes = std::move(attributes);
  op.infer = infer_by_parts;
  op.reference = reference_by_parts;
  op.decompose = decompose;
  return op;
}

std::optional<std::int64_t> Parts::rank(std::size_t i) const {
  const Type& type = ctx.type(ctx.input(i));
  if (!type.shape) return std::nullopt;
  return static_cast<std::int64_t>(type.shape->size());
}

std::optional<std::int64_t> Parts::dim(std::size_t i, std::size_t axis) const {
  const Type& type = ctx.type(ctx.input(i));
  if (!type.shape || axis >= type.shape->size() || !(*type.shape)[axis].is_known()) return std::nullopt;
  return (*type.shape)[axis].value();
}

ValueId Parts::cast(ValueId x, DType to) { return add("Cast", {x}, {{"to", onnx_code(to)}}); }

ValueId Parts::count_up(ValueId count) {
  return add("Range", {ctx.scalar(DType::I64, 0), squeeze(count, {0}), ctx.scalar(DType::I64, 1)});
}

ValueId Parts::channels_first(ValueId x, std::int64_t rank) {
  std::vector<std::int64_t> perm = iota(rank);
  std::rotate(perm.begin() + 1, perm.end() - 1, perm.end());
  return transpose(x, std::move(perm));
}

ValueId Parts::channels_last(ValueId x, std::int64_t rank) {
  std::vector<std::int64_t> perm = iota(rank);
  std::rotate(perm.begin() + 1, perm.begin() + 2, perm.end());
  return transpose(x, std::move(perm));
}

ValueId Parts::activate(ValueId x, DType dtype, const std::string& name, const std::vector<float>& params) {
  if (name.empty()) return x;
  const auto param = [&](std::size_t i, float otherwise) { return i < params.size() ? params[i] : otherwise; };
  for (const char* plain : {"Relu", "Sigmoid", "Tanh", "HardSwish", "Softplus", "Softsign"}) {
    if (name == plain) return add(plain, {x});
  }
  if (name == "LeakyRelu") return add("LeakyRelu", {x}, {{"alpha", param(0, 0.01f)}});
  if (name == "Elu") return add("Elu", {x}, {{"alpha", param(0, 1.0f)}});
  if (name == "HardSigmoid") return add("HardSigmoid", {x}, {{"alpha", param(0, 0.2f)}, {"beta", param(1, 0.5f)}});
  if (name != "Clip" || params.size() < 2) return kNoValue;
  return add("Clip", {x, ctx.scalar(dtype, params[0]), ctx.scalar(dtype, params[1])});
}

}  // namespace naru
