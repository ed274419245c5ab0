// Task: one step that a built-in kernel may run; a node is one or several of them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "graph/ops/post_ops.h"

namespace naru::opencl {

/// A tensor between tasks: a value of the graph, or a running value inside a fused node.
struct Term {
  DType dtype = DType::Undefined;
  Shape shape;
  const Tensor* constant = nullptr;
  bool own_type = false;  ///< held in `dtype` whatever the profile stores it as
};

struct Operand {
  std::string name;  ///< as the operator's definition calls it
  int term = -1;     ///< -1: absent
};

/// The name under which profiles say how the device copies between layouts and types.
inline constexpr const char* kCopy = "naru.Copy";

struct Task {
  std::string op;  ///< "Conv", "Relu", kCopy
  const Node* node = nullptr;
  std::vector<Operand> inputs;
  Operand output;
  float alpha = 0;  ///< the two numbers of a function
  float beta = 0;
  /// The output is the dense bytes of the input in another shape.
  bool view = false;
  /// Of a copy: axis i of the output is axis permutation[i] of the input; empty: the same axes.
  std::vector<std::int64_t> permutation = {};
  /// Of a copy into a part of the output: the axis along which it is one, and where it begins.
  std::int64_t part_axis = -1;
  std::int64_t part_begin = 0;

  int input(std::string_view name) const;
};

/// The terms of a graph; the first are its values.
std::vector<Term> terms_of(const Graph& graph);

/// The tasks of a node in their order; running values are added to `terms`. Empty, with a reason, when types
/// are not static or nothing about the node can be a built-in kernel.
std::vector<Task> tasks_of(const Graph& graph, const Node& node, std::vector<Term>& terms, std::string& reason);

/// A copy of a term between two layouts.
Task copy_task(int from, int to);

}  // namespace naru::opencl
