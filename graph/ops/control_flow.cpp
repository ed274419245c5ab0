// If and SequenceMap: sub-graphs that run by choice or once per element of a sequence.
#include "graph/ops/families.h"
#include "graph/ops/subgraphs.h"
#include "graph/ops/type_set.h"
#include "graph/scalar.h"

namespace naru {
namespace {

// If

/// A branch's output types; nothing known of them when the branch cannot run with these inputs.
/// Exporters guard shape-dependent operators by If: the branch not taken may be impossible.
std::optional<std::vector<Type>> branch_types(InferContext& ctx, const char* name) {
  const Graph& branch = ctx.node.attr_graph(name);
  ctx.require(branch.outputs.size() == ctx.output_count(), "{}: got {} outputs, expected {}", name,
              branch.outputs.size(), ctx.output_count());
  ctx.require(formal_input_count(ctx.node, branch) == 0, "{}: got formal inputs, expected none", name);
  try {
    return ctx.infer_subgraph(branch, {});
  } catch (const Error&) {
    return std::nullopt;
  }
}

const char* branch_name(bool condition) { return condition ? "then_branch" : "else_branch"; }

/// The condition when it is known before the run.
std::optional<bool> known_condition(const InferContext& ctx) {
  if (const Tensor* value = ctx.constant(0)) {
    ctx.require(value->numel() == 1, "cond: got {}, expected a single element", to_string(*value));
    return to_wide<std::int64_t>(*value).front() != 0;
  }
  const auto value = ctx.symbolic_value(0);
  if (!value || value->elements.size() != 1 || !value->elements[0].is_known()) return std::nullopt;
  return value->elements[0].value() != 0;
}

void infer_if(InferContext& ctx) {
  require_type(ctx, 0, kBool);
  std::vector<Type> types;
  if (const auto condition = known_condition(ctx)) {
    types = ctx.infer_subgraph(ctx.node.attr_graph(branch_name(*condition)), {});
    ctx.require(types.size() == ctx.output_count(), "{}: got {} outputs, expected {}",
                branch_name(*condition), types.size(), ctx.output_count());
  } else {
    auto taken = branch_types(ctx, "then_branch"), other = branch_types(ctx, "else_branch");
    // Neither can run: let the first say why.
    if (!taken && !other) taken = ctx.infer_subgraph(ctx.node.attr_graph("then_branch"), {});
    if (!taken) taken.swap(other);
    types = *taken;
    for (std::size_t i = 0; other && i < types.size(); ++i) {
      types[i] = join(types[i], (*other)[i], [&] { return ctx.fresh_dim(); });
    }
  }
  for (std::size_t i = 0; i < types.size(); ++i) ctx.set_output(i, types[i]);
}

void reference_if(ReferenceContext& ctx) {
  const bool condition = single_value(ctx, "cond", ctx.input(0)) != 0;
  std::vector<Datum> results = ctx.run_subgraph(ctx.node.attr_graph(branch_name(condition)), {});
  for (std::size_t i = 0; i < results.size(); ++i) ctx.set_output(i, std::move(results[i]));
}

// SequenceMap

void infer_sequence_map(InferContext& ctx) {
  const Graph& body = ctx.node.attr_graph("body");
  ctx.require(formal_input_count(ctx.node, body) == ctx.input_count(), "body: got {} inputs, expected {}",
              formal_input_count(ctx.node, body), ctx.input_count());
  ctx.require(body.outputs.size() == ctx.output_count(), "body: got {} outputs, expected {}",
              body.outputs.size(), ctx.output_count());
  std::vector<Type> formals;
  for (std::size_t i = 0; i < ctx.input_count(); ++i) {
    const Type& type = ctx.input(i);
    ctx.require(i != 0 || type.kind == TypeKind::Sequence || type.kind == TypeKind::Unknown,
                "input 0: got {}, expected a sequence", to_string(type));
    formals.push_back(type.kind == TypeKind::Sequence ? *type.element : type);
  }
  // An empty sequence says nothing of its elements, and the body is not run.
  for (const Type& formal : formals) {
    if (formal.kind != TypeKind::Unknown) continue;
    for (std::size_t i = 0; i < ctx.output_count(); ++i) ctx.set_output(i, Type::sequence({}));
    return;
  }
  const std::vector<Type> results = ctx.infer_subgraph(body, formals);
  for (std::size_t i = 0; i < results.size(); ++i) ctx.set_output(i, Type::sequence(results[i]));
}

void reference_sequence_map(ReferenceContext& ctx) {
  const Graph& body = ctx.node.attr_graph("body");
  const std::size_t length = ctx.input_datum(0).elements.size();
  std::vector<std::vector<Datum>> results(ctx.output_count());
  for (std::size_t k = 0; k < length; ++k) {
    std::vector<Datum> formals;
    for (std::size_t i = 0; i < ctx.input_count(); ++i) {
      const Datum& input = ctx.input_datum(i);
      const bool is_sequence = input.kind == Datum::Kind::Sequence;
      ctx.require(!is_sequence || input.elements.size() == length,
                  "input {}: got a sequence of {}, expected {}", i, input.elements.size(), length);
      formals.push_back(is_sequence ? input.elements[k] : input);
    }
    std::vector<Datum> outputs = ctx.run_subgraph(body, std::move(formals));
    for (std::size_t i = 0; i < outputs.size(); ++i) results[i].push_back(std::move(outputs[i]));
  }
  for (std::size_t i = 0; i < results.size(); ++i) ctx.set_output(i, Datum::sequence(std::move(results[i])));
}

}  // namespace

void define_control_flow(std::vector<OpDef>& ops) {
  ops.push_back({
      .name = "If",
      .domain = "",
      .since_version = 25,
      .doc = "Runs one of two sub-graphs.",
      .source = "ONNX If-25",
      .inputs = {{"cond", "bool, one element", Arity::Required, true}},
      .outputs = {{"outputs", "those of the branch", Arity::Variadic}},
      .attributes = {{"then_branch", AttrKind::Graph, "runs when cond holds", std::nullopt, true},
                     {"else_branch", AttrKind::Graph, "runs otherwise", std::nullopt, true}},
      .infer = infer_if,
      .reference = reference_if,
      .dynamic_output = true,
  });
  ops.push_back({
      .name = "SequenceMap",
      .domain = "",
      .since_version = 17,
      .doc = "Runs a sub-graph on each element of a sequence.",
      .source = "ONNX SequenceMap-17",
      .inputs = {{"input_sequence", "a sequence"},
                 {"additional_inputs", "sequences of the same length, or tensors", Arity::Variadic}},
      .outputs = {{"out_sequence", "one sequence per output of body", Arity::Variadic}},
      .attributes = {{"body", AttrKind::Graph, "takes one element of each", std::nullopt, true}},
      .infer = infer_sequence_map,
      .reference = reference_sequence_map,
      .dynamic_output = true,
  });
}

}  // namespace naru
