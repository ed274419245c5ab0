// The interpreter: infer exactly, run the reference, in node order; frees values after last use.
#include "graph/evaluate.h"

#include "graph/infer.h"

namespace naru {
namespace {

std::vector<Type> types_of(std::span<const Datum> data, const std::vector<ValueId>& ids) {
  std::vector<Type> types;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    types.push_back(ids[i] == kNoValue ? Type{} : Type::of(data[i]));
  }
  return types;
}

/// Small tensors are offered to the shape rule as values; larger ones never hold shapes.
std::vector<const Tensor*> values_of(const Node& node, std::span<const Datum> inputs) {
  std::vector<const Tensor*> values(node.inputs.size(), nullptr);
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    if (node.has_input(i) && inputs[i].is_tensor() && inputs[i].tensor.defined()) {
      values[i] = &inputs[i].tensor;
    }
  }
  return values;
}

}  // namespace

std::vector<Datum> evaluate_node(const Node& node, std::span<const Datum> inputs,
                                 std::span<const Datum> captures,
                                 const ReferenceContext::SubgraphRunner* run_subgraph) {
  return with_context(
      [&] { return "evaluating " + node.label(); },
      [&] {
        const std::vector<Type> capture_types = types_of(captures, node.captures);
        const std::vector<Type> output_types =
            infer_node(node, types_of(inputs, node.inputs), values_of(node, inputs), capture_types);
        const auto run = [&](const Graph& graph, std::vector<Datum> formal) {
          formal.insert(formal.end(), captures.begin(), captures.end());
          return run_subgraph != nullptr ? (*run_subgraph)(graph, std::move(formal))
                                         : evaluate(graph, formal);
        };
        ReferenceContext ctx(node, inputs, output_types, run);
        node.op->reference(ctx);
        return std::move(ctx.outputs());
      });
}

std::vector<Datum> evaluate(const Graph& graph, std::span<const Datum> inputs,
                            const NodeObserver& observer) {
  if (inputs.size() != graph.inputs.size()) {
    fail(ErrorCode::InvalidArgument, "graph '{}': got {} inputs, expected {}", graph.name,
         inputs.size(), graph.inputs.size());
  }
  std::vector<Datum> values(graph.values.size());
  for (std::size_t i = 0; i < graph.values.size(); ++i) {
    if (graph.values[i].is_constant()) values[i] = graph.values[i].constant;
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    values[static_cast<std::size_t>(graph.inputs[i])] = inputs[i];
  }
  std::vector<std::size_t> uses(graph.values.size(), 0);
  const auto each_use = [&](const Node& node, auto&& visit) {
    for (const auto* ids : {&node.inputs, &node.captures}) {
      for (ValueId id : *ids) {
        if (id != kNoValue) visit(static_cast<std::size_t>(id));
      }
    }
  };
  for (const Node& node : graph.nodes) each_use(node, [&](std::size_t id) { ++uses[id]; });
  for (ValueId id : graph.outputs) ++uses[static_cast<std::size_t>(id)];

  const auto gather = [&](const std::vector<ValueId>& ids) {
    std::vector<Datum> data;
    for (ValueId id : ids) data.push_back(id == kNoValue ? Datum{} : values[static_cast<std::size_t>(id)]);
    return data;
  };
  for (const Node& node : graph.nodes) {
    std::vector<Datum> results = evaluate_node(node, gather(node.inputs), gather(node.captures));
    if (observer) observer(node, results);
    for (std::size_t i = 0; i < node.outputs.size(); ++i) {
      if (node.outputs[i] != kNoValue) {
        values[static_cast<std::size_t>(node.outputs[i])] = std::move(results[i]);
      }
    }
    each_use(node, [&](std::size_t id) {
      if (--uses[id] == 0) values[id] = Datum{};
    });
  }
  return gather(graph.outputs);
}

}  // namespace naru
