// The nodes of one GraphProto, and of the functions that they call, to one Graph.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "graph/import/onnx_graph.h"
#include "graph/import/onnx_upgrade.h"

namespace naru {

class GraphImport;
struct Scope;

/// What a function's attribute parameter stands for in one call, and where its names are looked up.
struct Argument {
  onnx::AttributeProto* proto = nullptr;
  const Scope* scope = nullptr;
};
using Arguments = std::unordered_map<std::string_view, Argument>;

/// The names that the nodes of one body can use.
struct Scope {
  GraphImport* owner = nullptr;  ///< into whose graph `values` point
  const Scope* outer = nullptr;  ///< around a sub-graph; null for model and function bodies
  const OpsetMap* opsets = nullptr;
  const Arguments* arguments = nullptr;  ///< within a function
  std::string prefix;                    ///< of the names of values made here
  std::unordered_map<std::string_view, ValueId> values;
};

/// A sub-graph whose inputs are the formal ones, then one per capture.
struct ClosedGraph {
  Graph graph;
  std::size_t formal_inputs = 0;
  std::vector<ValueId> captures;  ///< the captured values in the graph around
};

/// Builds one Graph.
class GraphImport final : public NodeSink {
 public:
  GraphImport(ModelImport& model, GraphImport* parent);

  Graph import_main(onnx::GraphProto& proto);

  // NodeSink
  using NodeSink::emit;
  std::vector<ValueId> emit(std::string_view op, std::vector<ValueId> inputs, Attributes attributes,
                            std::size_t outputs) override;
  ValueId constant(Tensor value) override;
  Type type(ValueId id) override;
  const Tensor* value(ValueId id) override;

 private:
  ClosedGraph import_sub(onnx::GraphProto& proto, const Scope& outer);
  void add_initializers(onnx::GraphProto& proto, Scope& scope);
  void add_inputs(const onnx::GraphProto& proto, Scope& scope);
  void add_nodes(google::protobuf::RepeatedPtrField<onnx::NodeProto>& nodes, Scope& scope);
  void add_node(onnx::NodeProto& node, Scope& scope);
  void add_operator(onnx::NodeProto& node, Scope& scope);
  void inline_function(const ModelFunction& function, onnx::NodeProto& node, Scope& scope);
  std::vector<ValueId> append(NodeDraft draft);

  Attributes read_attributes(onnx::NodeProto& node, const Scope& scope,
                             std::vector<ValueId>& captures);
  Arguments read_arguments(const ModelFunction& function, onnx::NodeProto& node,
                           const Scope& scope);

  ValueId add_value(std::string name, Type type, Tensor constant = {});
  void bind(Scope& scope, std::string_view name, ValueId id);
  /// The value that a name stands for; kNoValue for the empty name.
  ValueId resolve(const Scope& scope, std::string_view name);
  /// `id` of `owner`, this graph or one around it, as a value of this graph: captured or copied.
  ValueId adopt(GraphImport& owner, ValueId id);
  void name_values();
  Type known_type(ValueId id);
  void infer_outputs(const Node& node);

  ModelImport& model_;
  GraphImport* parent_;
  std::int64_t depth_;
  Graph graph_;
  std::vector<ValueId> captured_;                     // values of the parent, in order
  std::unordered_map<ValueId, ValueId> adopted_;      // value of the parent -> value here
  std::unordered_map<ValueId, ValueId> captured_as_;  // value here -> value of the parent
  std::unordered_map<ValueId, Type> provisional_;     // types of node outputs, for type()
  std::size_t typed_nodes_ = 0;                       // nodes that type() has inferred
};

}  // namespace naru
