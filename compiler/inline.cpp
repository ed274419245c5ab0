// Inliner: values are made in the target as nodes need them.
#include "compiler/inline.h"

namespace naru {

Inliner::Inliner(Graph& target, const Graph& source, const std::vector<ValueId>& arguments)
    : target_(target), source_(source), ids_(source.values.size(), kNoValue) {
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    ids_[static_cast<std::size_t>(source.inputs[i])] = arguments[i];
  }
}

std::vector<Node> Inliner::nodes(const std::string& prefix) {
  std::vector<Node> result;
  for (Node node : source_.nodes) {
    node.name = prefix + "/" + node.name;
    for (auto* list : {&node.inputs, &node.outputs, &node.captures}) {
      for (ValueId& id : *list) id = map(id);
    }
    result.push_back(std::move(node));
  }
  return result;
}

std::vector<ValueId> Inliner::outputs() {
  std::vector<ValueId> result;
  for (const ValueId id : source_.outputs) result.push_back(map(id));
  return result;
}

ValueId Inliner::map(ValueId id) {
  if (id == kNoValue) return id;
  ValueId& mapped = ids_[static_cast<std::size_t>(id)];
  if (mapped == kNoValue) {
    const Value& value = source_.value(id);
    mapped = target_.add_value(value.name, value.type);
    target_.value(mapped).constant = value.constant;
  }
  return mapped;
}

}  // namespace naru
