// Decomposition: from a recorded rewriting to nodes in place.
#include "compiler/decompose.h"

#include <algorithm>

#include "graph/infer.h"
#include "graph/op_def.h"

namespace naru {
namespace {

/// New values that stand for outputs of the replaced node take over its output ids.
std::vector<ValueId> add_values(Graph& graph, DecomposeContext::Result& result, const Node& replaced) {
  const auto first_new = static_cast<ValueId>(graph.values.size());
  std::vector<ValueId> ids(result.new_values.size(), kNoValue);
  for (const auto& [output, id] : result.outputs) {
    const bool is_new = id >= first_new;
    if (!is_new || result.new_values[static_cast<std::size_t>(id - first_new)].is_constant()) continue;
    ValueId& mapped = ids[static_cast<std::size_t>(id - first_new)];
    if (mapped == kNoValue) mapped = replaced.outputs[output];
  }
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] != kNoValue) continue;
    Value& value = result.new_values[i];
    ids[i] = graph.add_value(std::move(value.name), std::move(value.type));
    graph.value(ids[i]).constant = std::move(value.constant);
  }
  return ids;
}

}  // namespace

bool decompose_node(Graph& graph, std::size_t index) {
  const Node replaced = graph.nodes[index];
  if (replaced.op->decompose == nullptr) return false;
  DecomposeContext context(graph, replaced);
  if (!replaced.op->decompose(context)) return false;
  DecomposeContext::Result result = context.take();

  const auto first_new = static_cast<ValueId>(graph.values.size());
  const std::vector<ValueId> ids = add_values(graph, result, replaced);
  const auto resolve = [&](ValueId id) {
    return id < first_new ? id : ids[static_cast<std::size_t>(id - first_new)];
  };
  for (Node& node : result.nodes) {
    for (auto* list : {&node.inputs, &node.outputs, &node.captures}) {
      for (ValueId& id : *list) {
        if (id != kNoValue) id = resolve(id);
      }
    }
  }
  // An output that is an existing value, or shares one with another output, is passed through.
  for (const auto& [output, id] : result.outputs) {
    const ValueId target = replaced.outputs[output];
    if (target == kNoValue || resolve(id) == target) continue;
    Node pass;
    pass.op = &op_def("Identity");
    pass.name = replaced.name + "/pass_" + std::to_string(output);
    pass.inputs = {resolve(id)};
    pass.outputs = {target};
    result.nodes.push_back(std::move(pass));
  }
  const auto at = graph.nodes.begin() + static_cast<std::ptrdiff_t>(index);
  graph.nodes.insert(graph.nodes.erase(at), std::make_move_iterator(result.nodes.begin()),
                     std::make_move_iterator(result.nodes.end()));
  infer_types(graph);
  return true;
}

}  // namespace naru
