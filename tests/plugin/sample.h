// What the plug-in tests share: a small graph, its input, and what must come out.
#pragma once

#include <algorithm>
#include <string>

#include "graph/graph.h"

namespace naru::plugin_testing {

/// y = relu(x), f32[4,8]: an operator that every sample plug-in has.
inline Graph small_graph() {
  Graph graph;
  graph.name = "small";
  const ValueId x = graph.add_input("x", Type::tensor(DType::F32, Shape{4, 8}));
  graph.outputs = {graph.add_node("Relu", {x}).outputs[0]};
  return graph;
}

inline Tensor small_input() {
  Tensor x(DType::F32, Shape{4, 8});
  for (std::size_t i = 0; i < 32; ++i) x.as_mutable<float>()[i] = (static_cast<float>(i) - 16) / 4;
  return x;
}

inline bool is_small_output(const Tensor& y) {
  const Tensor x = small_input();
  for (std::size_t i = 0; i < 32; ++i) {
    if (y.as<float>()[i] != std::max(x.as<float>()[i], 0.0f)) return false;
  }
  return true;
}

inline std::string plugin_path(const std::string& name) { return std::string(PLUGIN_FOLDER) + "/" + name + ".so"; }

}  // namespace naru::plugin_testing
