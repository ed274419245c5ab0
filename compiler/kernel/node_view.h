// NodeView: what the choice of a kernel may look at: one node and what is known of its values.
#pragma once

#include "graph/graph.h"
#include "graph/op_def.h"

namespace naru::kernel {

/// One node of a graph whose types may be partly unknown.
struct NodeView {
  const Graph& graph;
  const Node& node;

  std::size_t input_count() const { return node.inputs.size(); }
  std::size_t output_count() const { return node.outputs.size(); }
  bool has_input(std::size_t i) const { return node.has_input(i); }
  bool has_output(std::size_t i) const { return node.has_output(i); }
  const Type& type(std::size_t i) const { return graph.value(node.inputs[i]).type; }
  const Type& output_type(std::size_t i) const { return graph.value(node.outputs[i]).type; }
  DType dtype(std::size_t i) const { return type(i).dtype; }
  DType output_dtype(std::size_t i) const { return output_type(i).dtype; }
  /// The rank when it is known, else -1.
  std::int64_t rank(std::size_t i) const {
    return type(i).shape ? static_cast<std::int64_t>(type(i).shape->size()) : -1;
  }
  /// The shape of a static value. @throws Error Internal when it is not static.
  Shape shape(std::size_t i) const { return static_shape(type(i)); }
  Shape output_shape(std::size_t i) const { return static_shape(output_type(i)); }
  /// The value of a constant input, null otherwise.
  const Tensor* constant(std::size_t i) const {
    if (!has_input(i)) return nullptr;
    const Value& value = graph.value(node.inputs[i]);
    return value.is_constant() ? &value.constant : nullptr;
  }
  std::string full_name() const { return node.op->full_name(); }

  static Shape static_shape(const Type& type) {
    NARU_CHECK(type.is_static(), "a fragment's types are static, got " + to_string(type));
    return *known_shape(*type.shape);
  }
};

}  // namespace naru::kernel
