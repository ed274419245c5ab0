// verify(): structural rules of a graph.
#include "graph/verify.h"

#include <algorithm>

#include "graph/infer.h"
#include "graph/limits.h"

namespace naru {
namespace {

class Verifier {
 public:
  Verifier(const Graph& graph, std::int64_t depth)
      : graph_(graph), depth_(depth), defined_(graph.values.size(), false) {}

  void run() {
    require(depth_ <= kLimits.max_subgraph_depth, "sub-graphs are nested over {} deep",
            kLimits.max_subgraph_depth);
    require(static_cast<std::int64_t>(graph_.nodes.size()) <= kLimits.max_nodes,
            "got {} nodes, expected at most {}", graph_.nodes.size(), kLimits.max_nodes);
    require(static_cast<std::int64_t>(graph_.values.size()) <= kLimits.max_values,
            "got {} values, expected at most {}", graph_.values.size(), kLimits.max_values);
    check_values();
    for (ValueId id : graph_.inputs) {
      require(!value(id).is_constant(), "input '{}' is a constant", value(id).name);
      define(id);
    }
    for (const State& state : graph_.states) define(state.input);
    for (const Node& node : graph_.nodes) {
      with_context([&] { return "verifying " + node.label(); }, [&] { check_node(node); });
    }
    for (ValueId id : graph_.outputs) use(id, "graph output");
    for (const State& state : graph_.states) use(state.output, "state output");
  }

 private:
  template <typename... Args>
  void require(bool condition, fmt::format_string<Args...> format, Args&&... args) const {
    if (!condition) {
      throw Error(ErrorCode::InvalidModel, fmt::format("graph '{}': ", graph_.name) +
                                               fmt::format(format, std::forward<Args>(args)...));
    }
  }

  const Value& value(ValueId id) const {
    require(id >= 0 && static_cast<std::size_t>(id) < graph_.values.size(),
            "value id {} is out of range, expected [0, {})", id, graph_.values.size());
    return graph_.value(id);
  }

  void check_values() {
    std::vector<std::string_view> names;
    for (std::size_t i = 0; i < graph_.values.size(); ++i) {
      const Value& v = graph_.values[i];
      require(!v.name.empty(), "value {} has no name", i);
      require(static_cast<std::int64_t>(v.name.size()) <= kLimits.max_name_bytes,
              "value {}: its name takes {} bytes, expected at most {}", i, v.name.size(),
              kLimits.max_name_bytes);
      names.push_back(v.name);
      if (!v.is_constant()) continue;
      const Type exact = Type::tensor(v.constant.dtype(), v.constant.shape());
      require(v.type == exact, "constant '{}' has type {}, its data {}", v.name, to_string(v.type),
              to_string(exact));
      require(v.constant.size_bytes() <= kLimits.max_tensor_bytes,
              "constant '{}' takes {} bytes, expected at most {}", v.name, v.constant.size_bytes(),
              kLimits.max_tensor_bytes);
      defined_[i] = true;
    }
    std::sort(names.begin(), names.end());
    const auto twice = std::adjacent_find(names.begin(), names.end());
    require(twice == names.end(), "value name '{}' is used twice",
            twice == names.end() ? "" : *twice);
  }

  void define(ValueId id) {
    const Value& v = value(id);
    require(!defined_[static_cast<std::size_t>(id)], "value '{}' is defined twice", v.name);
    defined_[static_cast<std::size_t>(id)] = true;
  }

  void use(ValueId id, const char* what) const {
    const Value& v = value(id);
    require(defined_[static_cast<std::size_t>(id)],
            "{} '{}' is used before it is defined (a cycle or a missing producer)", what, v.name);
  }

  void check_node(const Node& node) {
    require(node.op != nullptr, "node '{}' has no operator", node.name);
    check_signature(node);
    for (ValueId id : node.inputs) {
      if (id != kNoValue) use(id, "input");
    }
    for (ValueId id : node.captures) use(id, "capture");
    for_each_subgraph(node, [&](const std::string& attribute, const Graph& sub) {
      require(sub.inputs.size() >= node.captures.size(),
              "{}: sub-graph '{}' has {} inputs, expected at least its {} captures", node.label(),
              attribute, sub.inputs.size(), node.captures.size());
      with_context([&] { return "verifying sub-graph '" + attribute + "'"; },
                   [&] { Verifier(sub, depth_ + 1).run(); });
    });
    for (ValueId id : node.outputs) {
      if (id != kNoValue) define(id);
    }
  }

  const Graph& graph_;
  std::int64_t depth_;
  std::vector<bool> defined_;
};

}  // namespace

void verify(const Graph& graph) { Verifier(graph, 0).run(); }

}  // namespace naru
