// One GraphProto to one Graph: scopes, captures, calls of functions, operators.
#include "graph/import/onnx_body.h"

#include <unordered_set>

#include "graph/checked.h"
#include "graph/fail.h"
#include "graph/import/onnx_attribute.h"
#include "graph/infer.h"
#include "graph/limits.h"
#include "graph/op_def.h"

namespace naru {
namespace {

using onnx::AttributeProto;

// Names of values made inside functions are cut: a body is inlined many times.
constexpr std::size_t kInlinedNameBytes = 200;

std::string inlined_name(const Scope& scope, std::string_view name) {
  if (scope.prefix.empty()) return std::string(name);
  return scope.prefix + std::string(name.substr(0, kInlinedNameBytes));
}

std::string full_name(const onnx::NodeProto& node) {
  const std::string_view domain = normal_domain(node.domain());
  return domain.empty() ? node.op_type() : std::string(domain) + "." + node.op_type();
}

bool is_constant(const onnx::NodeProto& node) {
  return node.op_type() == "Constant" && normal_domain(node.domain()).empty();
}

/// The attribute that stands in a node, after references to a function's parameters are followed.
struct Resolved {
  AttributeProto* proto =
      nullptr;  ///< null when the parameter has no value: the attribute is absent
  const Scope* scope = nullptr;
};

Resolved resolve_attribute(AttributeProto& proto, const Scope& scope) {
  if (proto.ref_attr_name().empty()) return {&proto, &scope};
  if (scope.arguments == nullptr) {
    fail(ErrorCode::InvalidModel, "attribute {}: it refers to the parameter {} outside a function",
         quote_name(proto.name()), quote_name(proto.ref_attr_name()));
  }
  const auto found = scope.arguments->find(proto.ref_attr_name());
  if (found == scope.arguments->end()) return {};
  return {found->second.proto, found->second.scope};
}

std::int64_t node_bytes(const onnx::NodeProto& node) {
  std::int64_t bytes = INT64_C(16) * node.input_size() + INT64_C(512) * (1 + node.output_size());
  for (const AttributeProto& attribute : node.attribute()) bytes += copied_bytes(attribute);
  return bytes;
}

/// Gives the sub-graphs of one node the same captures, in the same order.
std::vector<ValueId> unify_captures(std::vector<ClosedGraph*>& subs, const Graph& outer) {
  std::vector<ValueId> all;
  std::unordered_set<ValueId> seen;
  for (const ClosedGraph* sub : subs) {
    for (const ValueId id : sub->captures) {
      if (seen.insert(id).second) all.push_back(id);
    }
  }
  for (ClosedGraph* sub : subs) {
    std::unordered_map<ValueId, ValueId> own;
    for (std::size_t i = 0; i < sub->captures.size(); ++i) {
      own[sub->captures[i]] = sub->graph.inputs[sub->formal_inputs + i];
    }
    sub->graph.inputs.resize(sub->formal_inputs);
    for (const ValueId id : all) {
      const auto found = own.find(id);
      if (found != own.end()) {
        sub->graph.inputs.push_back(found->second);
      } else {
        sub->graph.add_input(outer.value(id).name, {});
      }
    }
  }
  return all;
}

/// An attribute that holds one sub-graph or a list of them.
struct GraphAttribute {
  std::string name;
  bool is_list = false;
  std::vector<ClosedGraph> graphs;
};

}  // namespace

GraphImport::GraphImport(ModelImport& model, GraphImport* parent)
    : model_(model), parent_(parent), depth_(parent == nullptr ? 0 : parent->depth_ + 1) {
  if (depth_ > kLimits.max_subgraph_depth) {
    fail(ErrorCode::InvalidModel, "sub-graphs: nested over {} deep", kLimits.max_subgraph_depth);
  }
}

Graph GraphImport::import_main(onnx::GraphProto& proto) {
  Scope scope{this, nullptr, &model_.opsets(), nullptr, {}, {}};
  graph_.name = proto.name();
  add_initializers(proto, scope);
  add_inputs(proto, scope);
  add_nodes(*proto.mutable_node(), scope);
  for (const auto& output : proto.output()) {
    if (output.name().empty()) fail(ErrorCode::InvalidModel, "graph output: it has no name");
    ValueId id = resolve(scope, output.name());
    // Callers fetch outputs by name, so an alias from an inlined function gets a value of its own.
    if (graph_.value(id).name != output.name()) {
      id = emit("Identity", {id});
      graph_.value(id).name = output.name();
    }
    graph_.outputs.push_back(id);
  }
  name_values();
  graph_.compact();
  return std::move(graph_);
}

ClosedGraph GraphImport::import_sub(onnx::GraphProto& proto, const Scope& outer) {
  Scope scope{this, &outer, outer.opsets, outer.arguments, outer.prefix, {}};
  graph_.name = proto.name();
  add_initializers(proto, scope);
  add_inputs(proto, scope);
  const std::size_t formal_inputs = graph_.inputs.size();
  add_nodes(*proto.mutable_node(), scope);
  for (const auto& output : proto.output()) {
    if (output.name().empty()) fail(ErrorCode::InvalidModel, "sub-graph output: it has no name");
    graph_.outputs.push_back(resolve(scope, output.name()));
  }
  for (const ValueId id : captured_) graph_.inputs.push_back(adopted_.at(id));
  name_values();
  graph_.compact();
  return {std::move(graph_), formal_inputs, std::move(captured_)};
}

void GraphImport::add_initializers(onnx::GraphProto& proto, Scope& scope) {
  const auto add = [&](const std::string& name, Tensor value) {
    if (name.empty()) fail(ErrorCode::InvalidModel, "initializer: it has no name");
    const Type type = Type::tensor(value.dtype(), value.shape());
    bind(scope, name, add_value(inlined_name(scope, name), type, std::move(value)));
  };
  for (onnx::TensorProto& tensor : *proto.mutable_initializer())
    add(tensor.name(), model_.tensor(tensor));
  for (onnx::SparseTensorProto& tensor : *proto.mutable_sparse_initializer()) {
    add(tensor.values().name(), model_.tensor(tensor));
  }
}

void GraphImport::add_inputs(const onnx::GraphProto& proto, Scope& scope) {
  for (const auto& input : proto.input()) {
    if (input.name().empty()) fail(ErrorCode::InvalidModel, "graph input: it has no name");
    // An initializer is the default of the input of its name; naru takes it as a constant.
    if (parent_ == nullptr && scope.values.contains(input.name())) {
      if (graph_.value(scope.values.at(input.name())).is_constant()) continue;
    }
    Type type = read_type(input.type(), model_.symbols(), input.name());
    if (parent_ == nullptr && type.kind == TypeKind::Unknown) {
      fail(ErrorCode::InvalidModel, "graph input {}: it has no type", quote_name(input.name()));
    }
    const ValueId id = add_value(inlined_name(scope, input.name()), std::move(type));
    bind(scope, input.name(), id);
    graph_.inputs.push_back(id);
  }
}

void GraphImport::add_nodes(google::protobuf::RepeatedPtrField<onnx::NodeProto>& nodes,
                            Scope& scope) {
  for (const int index : node_order(nodes, model_.free_names())) {
    onnx::NodeProto& node = nodes[index];
    with_context(
        [&] {
          return fmt::format("importing node {} {} {}", index, quote_name(node.op_type()),
                             quote_name(node.name()));
        },
        [&] { add_node(node, scope); });
  }
}

void GraphImport::add_node(onnx::NodeProto& node, Scope& scope) {
  model_.charge_node(node_bytes(node));
  if (const ModelFunction* function = model_.find_function(node)) {
    inline_function(*function, node, scope);
  } else if (is_constant(node)) {
    if (node.attribute_size() != 1 || node.output_size() != 1 || node.input_size() != 0) {
      fail(ErrorCode::InvalidModel,
           "Constant: got {} attributes, {} inputs and {} outputs, expected "
           "1, 0 and 1",
           node.attribute_size(), node.input_size(), node.output_size());
    }
    AttributeProto& attribute = *node.mutable_attribute(0);
    const Resolved resolved = resolve_attribute(attribute, scope);
    if (resolved.proto == nullptr) {
      fail(ErrorCode::InvalidModel, "Constant: its value is a parameter that the call leaves out");
    }
    Tensor value = read_constant(*resolved.proto, attribute.name(), model_);
    const Type type = Type::tensor(value.dtype(), value.shape());
    bind(scope, node.output(0),
         add_value(inlined_name(scope, node.output(0)), type, std::move(value)));
  } else {
    add_operator(node, scope);
  }
}

void GraphImport::add_operator(onnx::NodeProto& node, Scope& scope) {
  NodeDraft draft;
  draft.op = full_name(node);
  draft.name = inlined_name(scope, node.name());
  const std::string_view domain = normal_domain(node.domain());
  const auto opset = scope.opsets->find(domain);
  if (opset == scope.opsets->end() && domain.empty()) {
    fail(ErrorCode::InvalidModel, "opset: the model imports no version of the ONNX operators");
  }
  draft.version = opset == scope.opsets->end() ? 1 : opset->second;
  for (const std::string& name : node.input()) draft.inputs.push_back(resolve(scope, name));
  for (const std::string& name : node.output()) draft.outputs.push_back(!name.empty());
  draft.attributes = read_attributes(node, scope, draft.captures);

  const std::vector<OutputFixup> fixups = upgrade_node(draft, *this);
  std::vector<ValueId> outputs = append(std::move(draft));
  for (std::size_t i = fixups.size(); i-- > 0;) fixups[i](*this, outputs);
  for (int i = 0; i < node.output_size(); ++i) {
    const std::string& name = node.output(i);
    if (name.empty()) continue;
    const ValueId id = static_cast<std::size_t>(i) < outputs.size()
                           ? outputs[static_cast<std::size_t>(i)]
                           : kNoValue;
    if (id == kNoValue) {
      fail(ErrorCode::Unsupported, "output {} {}: naru does not compute it", i, quote_name(name));
    }
    if (graph_.value(id).name.empty()) graph_.value(id).name = inlined_name(scope, name);
    bind(scope, name, id);
  }
}

std::vector<ValueId> GraphImport::append(NodeDraft draft) {
  Node node;
  node.op = find_op(draft.op);
  if (node.op == nullptr) {
    const std::size_t dot = draft.op.rfind('.');
    const std::string domain = dot == std::string::npos ? "ai.onnx" : draft.op.substr(0, dot);
    fail(ErrorCode::Unsupported, "operator {} of domain {} is not supported (node {})",
         quote_name(draft.op.substr(dot == std::string::npos ? 0 : dot + 1)), quote_name(domain),
         quote_name(draft.name));
  }
  node.name = draft.name.empty() ? fmt::format("{}_{}", draft.op, graph_.nodes.size())
                                 : std::move(draft.name);
  node.inputs = std::move(draft.inputs);
  while (!node.inputs.empty() && node.inputs.back() == kNoValue) node.inputs.pop_back();
  node.attributes = std::move(draft.attributes);
  node.captures = std::move(draft.captures);
  for (const bool wanted : draft.outputs)
    node.outputs.push_back(wanted ? add_value({}, {}) : kNoValue);
  graph_.nodes.push_back(std::move(node));
  return graph_.nodes.back().outputs;
}

void GraphImport::inline_function(const ModelFunction& function, onnx::NodeProto& node,
                                  Scope& caller) {
  onnx::FunctionProto& proto = *function.proto;
  model_.enter(function);
  const Arguments arguments = read_arguments(function, node, caller);
  Scope scope{this, nullptr, &function.opsets, &arguments, {}, {}};
  const std::string& call = node.name().empty() ? node.op_type() : node.name();
  scope.prefix = inlined_name(caller, call).substr(0, kInlinedNameBytes) + "/";
  if (node.input_size() > proto.input_size() || node.output_size() > proto.output_size()) {
    fail(ErrorCode::InvalidModel,
         "call of {}: got {} inputs and {} outputs, expected at most {} and {}",
         quote_name(proto.name()), node.input_size(), node.output_size(), proto.input_size(),
         proto.output_size());
  }
  for (int i = 0; i < proto.input_size(); ++i) {
    bind(scope, proto.input(i), i < node.input_size() ? resolve(caller, node.input(i)) : kNoValue);
  }
  const auto first_own = static_cast<ValueId>(graph_.values.size());
  add_nodes(*proto.mutable_node(), scope);
  for (int i = 0; i < node.output_size(); ++i) {
    if (node.output(i).empty()) continue;
    const ValueId id = resolve(scope, proto.output(i));
    if (id == kNoValue)
      fail(ErrorCode::InvalidModel, "function output {}: it has no value",
           quote_name(proto.output(i)));
    if (id >= first_own) graph_.value(id).name = inlined_name(caller, node.output(i));
    bind(caller, node.output(i), id);
  }
  model_.leave();
}

Arguments GraphImport::read_arguments(const ModelFunction& function, onnx::NodeProto& node,
                                      const Scope& scope) {
  onnx::FunctionProto& proto = *function.proto;
  Arguments arguments;
  for (AttributeProto& value : *proto.mutable_attribute_proto()) {
    arguments[value.name()] = {&value, &scope};
  }
  for (AttributeProto& attribute : *node.mutable_attribute()) {
    const Resolved resolved = resolve_attribute(attribute, scope);
    if (resolved.proto != nullptr) arguments[attribute.name()] = {resolved.proto, resolved.scope};
  }
  return arguments;
}

Attributes GraphImport::read_attributes(onnx::NodeProto& node, const Scope& scope,
                                        std::vector<ValueId>& captures) {
  Attributes attributes;
  std::vector<GraphAttribute> graph_attributes;
  const auto close = [&](onnx::GraphProto& graph, const Scope& outer) {
    return with_context(
        [&] { return "importing the sub-graph " + quote_name(graph.name()); },
        [&] { return GraphImport(model_, this).import_sub(graph, outer); });
  };
  for (AttributeProto& attribute : *node.mutable_attribute()) {
    const Resolved resolved = resolve_attribute(attribute, scope);
    if (resolved.proto == nullptr) continue;
    const std::string& name = attribute.name();
    const auto [place, added] = attributes.try_emplace(name);
    if (!added) fail(ErrorCode::InvalidModel, "attribute {}: it stands twice", quote_name(name));
    const auto type = attribute_type(*resolved.proto);
    if (type != AttributeProto::GRAPH && type != AttributeProto::GRAPHS) {
      place->second = read_attribute(*resolved.proto, model_);
      continue;
    }
    GraphAttribute& result = graph_attributes.emplace_back();
    result.name = name;
    result.is_list = type == AttributeProto::GRAPHS;
    if (result.is_list) {
      for (onnx::GraphProto& graph : *resolved.proto->mutable_graphs()) {
        result.graphs.push_back(close(graph, *resolved.scope));
      }
    } else {
      result.graphs.push_back(close(*resolved.proto->mutable_g(), *resolved.scope));
    }
  }

  std::vector<ClosedGraph*> subs;
  for (GraphAttribute& attribute : graph_attributes) {
    for (ClosedGraph& sub : attribute.graphs) subs.push_back(&sub);
  }
  captures = unify_captures(subs, graph_);
  for (GraphAttribute& attribute : graph_attributes) {
    std::vector<GraphPtr> pointers;
    for (ClosedGraph& sub : attribute.graphs) {
      pointers.push_back(std::make_shared<const Graph>(std::move(sub.graph)));
    }
    if (attribute.is_list) {
      attributes[attribute.name] = std::move(pointers);
    } else {
      attributes[attribute.name] = pointers.front();
    }
  }
  return attributes;
}

ValueId GraphImport::add_value(std::string name, Type type, Tensor constant) {
  if (static_cast<std::int64_t>(graph_.values.size()) >= kLimits.max_values) {
    fail(ErrorCode::InvalidModel, "graph {}: got over {} values", quote_name(graph_.name),
         kLimits.max_values);
  }
  graph_.values.push_back({std::move(name), std::move(type), std::move(constant)});
  return static_cast<ValueId>(graph_.values.size() - 1);
}

void GraphImport::bind(Scope& scope, std::string_view name, ValueId id) {
  if (!scope.values.emplace(name, id).second) {
    fail(ErrorCode::InvalidModel, "value {}: it is defined twice", quote_name(name));
  }
}

ValueId GraphImport::resolve(const Scope& scope, std::string_view name) {
  if (name.empty()) return kNoValue;
  for (const Scope* at = &scope; at != nullptr; at = at->outer) {
    const auto found = at->values.find(name);
    if (found != at->values.end()) return adopt(*at->owner, found->second);
  }
  fail(ErrorCode::InvalidModel, "value {}: it is used but not defined", quote_name(name));
}

ValueId GraphImport::adopt(GraphImport& owner, ValueId id) {
  if (&owner == this || id == kNoValue) return id;
  NARU_CHECK(parent_ != nullptr, "a value of a graph that is not around this one");
  const ValueId outer = parent_->adopt(owner, id);
  const auto known = adopted_.find(outer);
  if (known != adopted_.end()) return known->second;
  const Value& value = parent_->graph_.value(outer);
  const ValueId inner =
      add_value(value.name, value.is_constant() ? value.type : Type{}, value.constant);
  adopted_[outer] = inner;
  if (!value.is_constant()) {
    captured_.push_back(outer);
    captured_as_[inner] = outer;
  }
  return inner;
}

void GraphImport::name_values() {
  std::unordered_map<std::string, int> taken;
  std::vector<bool> named(graph_.values.size(), false);
  const auto give_name = [&](ValueId id) {
    if (named[static_cast<std::size_t>(id)]) return;
    named[static_cast<std::size_t>(id)] = true;
    std::string& name = graph_.value(id).name;
    if (name.empty()) name = "v" + std::to_string(id);
    const std::string stem = name;
    while (!taken.try_emplace(name, 0).second) name = stem + "." + std::to_string(++taken[stem]);
  };
  for (const ValueId id : graph_.inputs) give_name(id);
  for (const ValueId id : graph_.outputs) give_name(id);
  for (std::size_t id = 0; id < graph_.values.size(); ++id) give_name(static_cast<ValueId>(id));
}

// NodeSink

std::vector<ValueId> GraphImport::emit(std::string_view op, std::vector<ValueId> inputs,
                                       Attributes attributes, std::size_t outputs) {
  NodeDraft draft;
  draft.op = op;
  draft.inputs = std::move(inputs);
  draft.attributes = std::move(attributes);
  draft.outputs.assign(outputs, true);
  return append(std::move(draft));
}

ValueId GraphImport::constant(Tensor value) {
  const Type type = Type::tensor(value.dtype(), value.shape());
  return add_value({}, type, std::move(value));
}

const Tensor* GraphImport::value(ValueId id) {
  if (id == kNoValue || !graph_.value(id).is_constant()) return nullptr;
  return &graph_.value(id).constant;
}

Type GraphImport::type(ValueId id) {
  if (id == kNoValue) return {};
  for (; typed_nodes_ < graph_.nodes.size(); ++typed_nodes_)
    infer_outputs(graph_.nodes[typed_nodes_]);
  return known_type(id);
}

/// What is known now; asks the graph around for a captured value.
Type GraphImport::known_type(ValueId id) {
  if (id == kNoValue) return {};
  const auto captured = captured_as_.find(id);
  if (captured != captured_as_.end()) return parent_->type(captured->second);
  const auto inferred = provisional_.find(id);
  return inferred == provisional_.end() ? graph_.value(id).type : inferred->second;
}

/// Fills the types of a node's outputs as well as they can be known while importing: element types
/// and ranks matter, symbols do not, as infer_types() finds all of them again.
void GraphImport::infer_outputs(const Node& node) {
  std::vector<Type> inputs, captures;
  std::vector<const Tensor*> values;
  for (const ValueId id : node.inputs) {
    inputs.push_back(known_type(id));
    values.push_back(value(id));
  }
  for (const ValueId id : node.captures) captures.push_back(known_type(id));
  try {
    check_signature(node);
    const std::vector<Type> outputs = infer_node(node, std::move(inputs), values, captures);
    for (std::size_t i = 0; i < node.outputs.size() && i < outputs.size(); ++i) {
      if (node.outputs[i] != kNoValue) provisional_[node.outputs[i]] = outputs[i];
    }
  } catch (const Error&) {
    // A faulty node is reported by infer_types(), with its place in the graph.
  }
}

}  // namespace naru
