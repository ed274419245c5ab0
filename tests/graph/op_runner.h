// Runs one operator, or infers it, without a model around it; what operator tests share.
#pragma once

#include <string>
#include <vector>

#include "graph/evaluate.h"
#include "graph/graph.h"
#include "graph/infer.h"

namespace naru {

/// Evaluates one node on `inputs`; an undefined tensor is an absent optional input.
inline std::vector<Datum> run_op(const std::string& op, const std::vector<Datum>& inputs,
                                 Attributes attributes = {}, std::size_t outputs = 1) {
  Node node;
  node.op = &op_def(op);
  node.name = "test";
  node.attributes = std::move(attributes);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const bool absent = inputs[i].is_tensor() && !inputs[i].tensor.defined();
    node.inputs.push_back(absent ? kNoValue : static_cast<ValueId>(i));
  }
  for (std::size_t i = 0; i < outputs; ++i) node.outputs.push_back(static_cast<ValueId>(100 + i));
  check_signature(node);
  return evaluate_node(node, inputs);
}

/// The one output tensor of run_op().
inline Tensor run_tensor(const std::string& op, const std::vector<Datum>& inputs,
                         Attributes attributes = {}) {
  return run_op(op, inputs, std::move(attributes)).front().tensor;
}

template <typename T>
std::vector<T> elements(const Tensor& tensor) {
  const auto values = tensor.as<T>();
  return {values.begin(), values.end()};
}

inline Tensor ints(std::vector<std::int64_t> values) {
  return Tensor::from<std::int64_t>({static_cast<std::int64_t>(values.size())}, values);
}

/// 0, 1, 2, ... in the given shape.
inline Tensor iota(Shape shape) {
  Tensor tensor(DType::F32, std::move(shape));
  float next = 0;
  for (float& value : tensor.as_mutable<float>()) value = next++;
  return tensor;
}

}  // namespace naru
