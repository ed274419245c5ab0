// Graph to ModelProto: values take their names, sub-graphs name what they capture, constants are initializers.
#include "graph/export/onnx_writer.h"

#include <algorithm>
#include <map>
#include <set>
#include <variant>

#include "graph/fail.h"
#include "graph/onnx_dtype.h"
#include "graph/op_def.h"
#include "onnx.pb.h"

namespace naru {
namespace {

using onnx::AttributeProto;

constexpr std::int64_t kIrVersion = 10;  // of onnx 1.16 and newer; what follows adds nothing used here
constexpr std::size_t kMaxBytes = std::size_t{1} << 31;

std::int32_t element_code(DType dtype) {
  if (is_block(dtype)) fail(ErrorCode::Unsupported, "ONNX: has no element type {}", to_string(dtype));
  return static_cast<std::int32_t>(onnx_code(dtype));
}

void write(const Tensor& tensor, onnx::TensorProto& proto) {
  proto.set_data_type(element_code(tensor.dtype()));
  for (const std::int64_t dim : tensor.shape()) proto.add_dims(dim);
  if (tensor.dtype() == DType::String) {
    for (const std::string& text : tensor.strings()) proto.add_string_data(text);
    return;
  }
  proto.set_raw_data(tensor.data(), static_cast<std::size_t>(tensor.size_bytes()));
}

void write(const Type& type, onnx::TypeProto& proto) {
  switch (type.kind) {
    case TypeKind::Unknown: return;
    case TypeKind::Sequence: return write(*type.element, *proto.mutable_sequence_type()->mutable_elem_type());
    case TypeKind::Optional: return write(*type.element, *proto.mutable_optional_type()->mutable_elem_type());
    case TypeKind::Tensor: break;
  }
  auto& tensor = *proto.mutable_tensor_type();
  tensor.set_elem_type(element_code(type.dtype));
  if (!type.shape) return;
  auto& shape = *tensor.mutable_shape();
  for (const Dim& dim : *type.shape) {
    auto& entry = *shape.add_dim();
    if (dim.is_known()) entry.set_dim_value(dim.value());
    else entry.set_dim_param(dim.to_string());
  }
}

void write_port(const std::string& name, const Type& type, onnx::ValueInfoProto& proto) {
  proto.set_name(name);
  write(type, *proto.mutable_type());
}

/// Writes one graph; `names` says what its values are called in the model.
class GraphExport {
 public:
  GraphExport(const Graph& graph, onnx::GraphProto& proto, std::string prefix)
      : graph_(graph), proto_(proto), prefix_(std::move(prefix)), names_(graph.values.size()) {
    for (std::size_t i = 0; i < names_.size(); ++i) names_[i] = prefix_ + graph.values[i].name;
  }

  /// The last inputs are `captured`, names of the graph around.
  void run(const std::vector<std::string>& captured) {
    const std::size_t formal = graph_.inputs.size() - captured.size();
    for (std::size_t i = 0; i < captured.size(); ++i) name_of(graph_.inputs[formal + i]) = captured[i];
    proto_.set_name(graph_.name.empty() ? "graph" : graph_.name);
    for (std::size_t i = 0; i < formal; ++i) write_port(name_of(graph_.inputs[i]), type_of(graph_.inputs[i]), *proto_.add_input());
    for (std::size_t i = 0; i < graph_.values.size(); ++i) {
      if (!graph_.values[i].is_constant()) continue;
      auto& initializer = *proto_.add_initializer();
      write(graph_.values[i].constant, initializer);
      initializer.set_name(names_[i]);
    }
    for (const Node& node : graph_.nodes) add_node(node);
    for (const ValueId id : graph_.outputs) write_port(output_name(id), type_of(id), *proto_.add_output());
  }

 private:
  std::string& name_of(ValueId id) { return names_[static_cast<std::size_t>(id)]; }
  const Type& type_of(ValueId id) const { return graph_.value(id).type; }

  std::string optional_name(ValueId id) { return id == kNoValue ? std::string() : name_of(id); }

  /// ONNX wants outputs that a node of this graph makes, each only once.
  std::string output_name(ValueId id) {
    if (open_.erase(id) > 0) return name_of(id);
    auto& node = *proto_.add_node();
    node.set_op_type("Identity");
    node.add_input(name_of(id));
    node.add_output(prefix_ + "output/" + std::to_string(proto_.output_size()));
    return node.output(0);
  }

  void add_node(const Node& node) {
    auto& proto = *proto_.add_node();
    proto.set_name(prefix_ + node.name);
    proto.set_op_type(node.op->name);
    proto.set_domain(node.op->domain);
    for (const ValueId id : node.inputs) proto.add_input(optional_name(id));
    for (const ValueId id : node.outputs) {
      proto.add_output(optional_name(id));
      if (id != kNoValue) open_.insert(id);
    }
    for (const auto& [name, attribute] : node.attributes) {
      auto& entry = *proto.add_attribute();
      entry.set_name(name);
      std::visit([&](const auto& value) { put(entry, value, node); }, attribute);
    }
  }

  void add_body(const GraphPtr& body, const Node& node, onnx::GraphProto& proto) {
    std::vector<std::string> captured;
    for (const ValueId id : node.captures) captured.push_back(name_of(id));
    GraphExport(*body, proto, prefix_ + node.name + "/" + std::to_string(bodies_++) + "/").run(captured);
  }

  void put(AttributeProto& proto, std::int64_t value, const Node&) {
    proto.set_type(AttributeProto::INT);
    proto.set_i(value);
  }
  void put(AttributeProto& proto, float value, const Node&) {
    proto.set_type(AttributeProto::FLOAT);
    proto.set_f(value);
  }
  void put(AttributeProto& proto, const std::string& value, const Node&) {
    proto.set_type(AttributeProto::STRING);
    proto.set_s(value);
  }
  void put(AttributeProto& proto, const Tensor& value, const Node&) {
    proto.set_type(AttributeProto::TENSOR);
    write(value, *proto.mutable_t());
  }
  void put(AttributeProto& proto, const GraphPtr& value, const Node& node) {
    proto.set_type(AttributeProto::GRAPH);
    add_body(value, node, *proto.mutable_g());
  }
  void put(AttributeProto& proto, const Type& value, const Node&) {
    proto.set_type(AttributeProto::TYPE_PROTO);
    write(value, *proto.mutable_tp());
  }
  void put(AttributeProto& proto, const std::vector<std::int64_t>& values, const Node&) {
    proto.set_type(AttributeProto::INTS);
    for (const std::int64_t value : values) proto.add_ints(value);
  }
  void put(AttributeProto& proto, const std::vector<float>& values, const Node&) {
    proto.set_type(AttributeProto::FLOATS);
    for (const float value : values) proto.add_floats(value);
  }
  void put(AttributeProto& proto, const std::vector<std::string>& values, const Node&) {
    proto.set_type(AttributeProto::STRINGS);
    for (const std::string& value : values) proto.add_strings(value);
  }
  void put(AttributeProto& proto, const std::vector<Tensor>& values, const Node&) {
    proto.set_type(AttributeProto::TENSORS);
    for (const Tensor& value : values) write(value, *proto.add_tensors());
  }
  void put(AttributeProto& proto, const std::vector<GraphPtr>& values, const Node& node) {
    proto.set_type(AttributeProto::GRAPHS);
    for (const GraphPtr& value : values) add_body(value, node, *proto.add_graphs());
  }

  const Graph& graph_;
  onnx::GraphProto& proto_;
  std::string prefix_;
  std::vector<std::string> names_;
  std::set<ValueId> open_;  // a node makes it, and no output has its name yet
  int bodies_ = 0;
};

/// The newest version of each ONNX domain; a graph's operators have their newest forms.
std::map<std::string, int> newest_opsets() {
  std::map<std::string, int> opsets;
  for (const OpDef* op : all_ops()) {
    int& version = opsets[op->domain];
    version = std::max(version, op->since_version);
  }
  return opsets;
}

void collect_domains(const Graph& graph, std::map<std::string, int>& used, const std::map<std::string, int>& newest) {
  for (const Node& node : graph.nodes) {
    if (node.op->domain == "naru") fail(ErrorCode::Unsupported, "ONNX: has no operator {}", node.op->full_name());
    used[node.op->domain] = newest.at(node.op->domain);
    for_each_subgraph(node, [&](const std::string&, const Graph& body) { collect_domains(body, used, newest); });
  }
}

}  // namespace

std::string onnx_bytes(const Graph& graph) {
  if (!graph.states.empty()) fail(ErrorCode::Unsupported, "ONNX: has no states, the graph has {}", graph.states.size());
  onnx::ModelProto model;
  model.set_ir_version(kIrVersion);
  model.set_producer_name("naru");
  const std::map<std::string, int> newest = newest_opsets();
  std::map<std::string, int> used{{"", newest.at("")}};
  collect_domains(graph, used, newest);
  for (const auto& [domain, version] : used) {
    auto& entry = *model.add_opset_import();
    entry.set_domain(domain);
    entry.set_version(version);
  }
  for (const auto& [key, value] : graph.metadata) {
    auto& entry = *model.add_metadata_props();
    entry.set_key(key);
    entry.set_value(value);
  }
  GraphExport(graph, *model.mutable_graph(), "").run({});
  if (model.ByteSizeLong() >= kMaxBytes)
    fail(ErrorCode::Unsupported, "ONNX: a model of {} bytes, protobuf ends at {}", model.ByteSizeLong(), kMaxBytes);
  return model.SerializeAsString();
}

}  // namespace naru
