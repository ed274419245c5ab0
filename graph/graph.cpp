// Graph: construction, lookup, use replacement, typed attribute access.
#include "graph/graph.h"

#include <algorithm>

#include "graph/fail.h"
#include "graph/limits.h"
#include "graph/op_def.h"

namespace naru {

const char* to_string(AttrKind kind) noexcept {
  constexpr const char* kNames[] = {"int",  "float",  "string",  "tensor",  "graph", "type",
                                    "ints", "floats", "strings", "tensors", "graphs"};
  return kNames[static_cast<std::size_t>(kind)];
}

const Attribute* Node::find(std::string_view attribute) const {
  const auto found = attributes.find(attribute);
  if (found != attributes.end()) return &found->second;
  if (op == nullptr) return nullptr;
  const AttrSpec* spec = op->find_attribute(attribute);
  return spec != nullptr && spec->default_value ? &*spec->default_value : nullptr;
}

namespace {

template <typename T>
const T& typed(const Node& node, std::string_view name) {
  const Attribute* attribute = node.find(name);
  if (attribute == nullptr) {
    fail(ErrorCode::InvalidModel, "{}: attribute '{}' is missing", node.label(), name);
  }
  const T* value = std::get_if<T>(attribute);
  if (value == nullptr) {
    fail(ErrorCode::InvalidModel, "{}: attribute '{}' is of kind {}, expected {}", node.label(),
         name, to_string(kind_of(*attribute)), to_string(static_cast<AttrKind>(Attribute(T{}).index())));
  }
  return *value;
}

template <typename T>
T typed_or(const Node& node, std::string_view name, T otherwise) {
  return node.has(name) ? typed<T>(node, name) : otherwise;
}

}  // namespace

std::int64_t Node::attr_int(std::string_view a) const { return typed<std::int64_t>(*this, a); }
float Node::attr_float(std::string_view a) const { return typed<float>(*this, a); }
const std::string& Node::attr_string(std::string_view a) const { return typed<std::string>(*this, a); }
const Tensor& Node::attr_tensor(std::string_view a) const { return typed<Tensor>(*this, a); }
const Graph& Node::attr_graph(std::string_view a) const { return *typed<GraphPtr>(*this, a); }
const std::vector<std::int64_t>& Node::attr_ints(std::string_view a) const {
  return typed<std::vector<std::int64_t>>(*this, a);
}
const std::vector<float>& Node::attr_floats(std::string_view a) const {
  return typed<std::vector<float>>(*this, a);
}
const std::vector<std::string>& Node::attr_strings(std::string_view a) const {
  return typed<std::vector<std::string>>(*this, a);
}
std::int64_t Node::attr_int_or(std::string_view a, std::int64_t otherwise) const {
  return typed_or(*this, a, otherwise);
}
float Node::attr_float_or(std::string_view a, float otherwise) const {
  return typed_or(*this, a, otherwise);
}
std::vector<std::int64_t> Node::attr_ints_or(std::string_view a,
                                             std::vector<std::int64_t> otherwise) const {
  return typed_or(*this, a, std::move(otherwise));
}
std::string Node::attr_string_or(std::string_view a, std::string otherwise) const {
  return typed_or(*this, a, std::move(otherwise));
}

std::string Node::label() const {
  return fmt::format("{} '{}'", op == nullptr ? "node" : op->name, name);
}

std::string Graph::unique_name(std::string name) {
  if (name.empty()) name = "v" + std::to_string(values.size());
  if (!names_.contains(name)) return name;
  for (std::size_t suffix = values.size();; ++suffix) {
    std::string candidate = name + "." + std::to_string(suffix);
    if (!names_.contains(candidate)) return candidate;
  }
}

ValueId Graph::add_value(std::string value_name, Type type) {
  if (static_cast<std::int64_t>(values.size()) >= kLimits.max_values) {
    fail(ErrorCode::InvalidModel, "graph '{}': got over {} values", name, kLimits.max_values);
  }
  const auto id = static_cast<ValueId>(values.size());
  Value value;
  value.name = unique_name(std::move(value_name));
  value.type = std::move(type);
  names_.emplace(value.name, id);
  values.push_back(std::move(value));
  return id;
}

ValueId Graph::add_input(std::string value_name, Type type) {
  const ValueId id = add_value(std::move(value_name), std::move(type));
  inputs.push_back(id);
  return id;
}

ValueId Graph::add_constant(std::string value_name, Tensor constant) {
  Type type = Type::tensor(constant.dtype(), constant.shape());
  const ValueId id = add_value(std::move(value_name), std::move(type));
  value(id).constant = std::move(constant);
  return id;
}

Node& Graph::add_node(std::string_view op, std::vector<ValueId> node_inputs,
                      std::size_t output_count, Attributes attributes, std::string node_name) {
  Node node;
  node.op = &op_def(op);
  node.name = node_name.empty() ? std::string(op) + "_" + std::to_string(nodes.size())
                                : std::move(node_name);
  node.inputs = std::move(node_inputs);
  node.attributes = std::move(attributes);
  for (std::size_t i = 0; i < output_count; ++i) {
    node.outputs.push_back(add_value(node.name + ":" + std::to_string(i)));
  }
  nodes.push_back(std::move(node));
  return nodes.back();
}

ValueId Graph::find_value(std::string_view value_name) const {
  const auto found = names_.find(value_name);
  return found == names_.end() ? kNoValue : found->second;
}

void Graph::reindex() {
  names_.clear();
  for (std::size_t i = 0; i < values.size(); ++i) {
    names_.emplace(values[i].name, static_cast<ValueId>(i));
  }
}

void Graph::replace_uses(ValueId from, ValueId to) {
  const auto swap = [&](std::vector<ValueId>& ids) { std::replace(ids.begin(), ids.end(), from, to); };
  for (Node& node : nodes) {
    swap(node.inputs);
    swap(node.captures);
  }
  swap(outputs);
  for (State& state : states) {
    if (state.output == from) state.output = to;
  }
}

void Graph::compact() {
  std::vector<bool> used(values.size(), false);
  const auto mark = [&](const std::vector<ValueId>& ids) {
    for (ValueId id : ids) {
      if (id != kNoValue) used[static_cast<std::size_t>(id)] = true;
    }
  };
  mark(inputs);
  mark(outputs);
  for (const Node& node : nodes) {
    mark(node.inputs);
    mark(node.outputs);
    mark(node.captures);
  }
  for (const State& state : states) mark({state.input, state.output});

  std::vector<ValueId> renumbered(values.size(), kNoValue);
  std::vector<Value> kept;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!used[i]) continue;
    renumbered[i] = static_cast<ValueId>(kept.size());
    kept.push_back(std::move(values[i]));
  }
  const auto renumber = [&](ValueId& id) {
    if (id != kNoValue) id = renumbered[static_cast<std::size_t>(id)];
  };
  const auto renumber_all = [&](std::vector<ValueId>& ids) {
    for (ValueId& id : ids) renumber(id);
  };
  renumber_all(inputs);
  renumber_all(outputs);
  for (Node& node : nodes) {
    renumber_all(node.inputs);
    renumber_all(node.outputs);
    renumber_all(node.captures);
  }
  for (State& state : states) {
    renumber(state.input);
    renumber(state.output);
  }
  values = std::move(kept);
  reindex();
}

UseIndex::UseIndex(const Graph& graph)
    : producer(graph.values.size(), -1),
      consumers(graph.values.size()),
      is_output(graph.values.size(), false) {
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node& node = graph.nodes[n];
    const auto index = static_cast<std::int32_t>(n);
    for (ValueId id : node.outputs) {
      if (id != kNoValue) producer[static_cast<std::size_t>(id)] = index;
    }
    for (const auto* ids : {&node.inputs, &node.captures}) {
      for (ValueId id : *ids) {
        if (id != kNoValue) consumers[static_cast<std::size_t>(id)].push_back(index);
      }
    }
  }
  for (ValueId id : graph.outputs) is_output[static_cast<std::size_t>(id)] = true;
  for (const State& state : graph.states) is_output[static_cast<std::size_t>(state.output)] = true;
}

void for_each_subgraph(const Node& node,
                       const std::function<void(const std::string&, const Graph&)>& visit) {
  for (const auto& [name, attribute] : node.attributes) {
    if (const auto* graph = std::get_if<GraphPtr>(&attribute)) {
      visit(name, **graph);
    } else if (const auto* graphs = std::get_if<std::vector<GraphPtr>>(&attribute)) {
      for (const GraphPtr& sub : *graphs) visit(name, *sub);
    }
  }
}

}  // namespace naru
