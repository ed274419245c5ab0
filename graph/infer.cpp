// Inference: walks nodes in order, runs each operator's rule, propagates known small values.
#include "graph/infer.h"

#include <algorithm>
#include <charconv>

#include "graph/limits.h"
#include "graph/scalar.h"

namespace naru {
namespace {

/// A small integer constant as symbolic elements; nullopt for any other value.
std::optional<SymValue> as_symbolic(const Tensor* value) {
  if (value == nullptr || !is_integer(value->dtype()) || value->rank() > 1) return std::nullopt;
  if (value->numel() > kLimits.max_rank) return std::nullopt;
  const std::vector<std::int64_t> elements = to_i64_vector(*value);
  return SymValue{{elements.begin(), elements.end()}, value->rank() == 0};
}

/// What one run of inference shares over all nodes and sub-graphs.
struct Session {
  std::uint64_t fresh = 0;
  std::int64_t depth = 0;
  std::int64_t nodes = 0;  ///< inferred so far; loops infer their bodies until nothing changes
};

SymbolicValues infer_graph(Graph& graph, Session& session);

/// A context whose sub-graph inference is shared by both users below.
class BaseContext : public InferContext {
 public:
  BaseContext(const Node& node, std::vector<Type> input_types, std::vector<Type> capture_types,
              Session& session)
      : InferContext(node, std::move(input_types)),
        capture_types_(std::move(capture_types)),
        session_(session) {}

  Dim fresh_dim() override { return Dim::symbol("?" + std::to_string(++session_.fresh)); }

  std::vector<Type> infer_subgraph(const Graph& graph, std::vector<Type> formal_inputs) override {
    formal_inputs.insert(formal_inputs.end(), capture_types_.begin(), capture_types_.end());
    require(formal_inputs.size() == graph.inputs.size(),
            "sub-graph '{}': got {} inputs (captures included), expected {}", graph.name,
            graph.inputs.size(), formal_inputs.size());
    Graph copy = graph;
    for (std::size_t i = 0; i < formal_inputs.size(); ++i) {
      // What flows in decides; the declaration only fills a complete gap.
      if (formal_inputs[i].kind != TypeKind::Unknown) {
        copy.value(copy.inputs[i]).type = formal_inputs[i];
      }
    }
    require(session_.depth < kLimits.max_subgraph_depth, "sub-graphs: nested over {} deep",
            kLimits.max_subgraph_depth);
    // Counted down also on failure: If goes on when one branch cannot run.
    struct Depth {
      std::int64_t& value;
      explicit Depth(std::int64_t& depth) : value(++depth) {}
      ~Depth() { --value; }
    } depth(session_.depth);
    infer_graph(copy, session_);
    std::vector<Type> outputs;
    for (ValueId id : copy.outputs) outputs.push_back(copy.value(id).type);
    inferred_[&graph] = std::make_shared<const Graph>(std::move(copy));
    return outputs;
  }

  /// Sub-graphs as inferred, by the graph that was given.
  const std::unordered_map<const Graph*, GraphPtr>& inferred() const { return inferred_; }

 private:
  std::vector<Type> capture_types_;
  Session& session_;
  std::unordered_map<const Graph*, GraphPtr> inferred_;
};

/// The context inside a graph: input values come from constants and symbolic propagation.
class GraphContext final : public BaseContext {
 public:
  GraphContext(const Graph& graph, const Node& node, SymbolicValues& symbolic, Session& session)
      : BaseContext(node, types_of(graph, node.inputs), types_of(graph, node.captures), session),
        graph_(graph),
        symbolic_(symbolic) {}

  const Tensor* constant(std::size_t i) const override {
    if (!has_input(i)) return nullptr;
    const Value& value = graph_.value(node.inputs[i]);
    return value.is_constant() ? &value.constant : nullptr;
  }

  std::optional<SymValue> symbolic_value(std::size_t i) const override {
    if (!has_input(i)) return std::nullopt;
    if (constant(i) != nullptr) return as_symbolic(constant(i));
    const auto found = symbolic_.find(node.inputs[i]);
    if (found == symbolic_.end()) return std::nullopt;
    return found->second;
  }

 private:
  static std::vector<Type> types_of(const Graph& graph, const std::vector<ValueId>& ids) {
    std::vector<Type> types;
    for (ValueId id : ids) types.push_back(id == kNoValue ? Type{} : graph.value(id).type);
    return types;
  }

  const Graph& graph_;
  SymbolicValues& symbolic_;
};

/// The context at run time: exact types, some values.
class ExactContext final : public BaseContext {
 public:
  ExactContext(const Node& node, std::vector<Type> input_types, std::vector<Type> capture_types,
               std::span<const Tensor* const> values, Session& session)
      : BaseContext(node, std::move(input_types), std::move(capture_types), session),
        values_(values) {}

  const Tensor* constant(std::size_t i) const override {
    return has_input(i) && i < values_.size() ? values_[i] : nullptr;
  }
  std::optional<SymValue> symbolic_value(std::size_t i) const override {
    return as_symbolic(constant(i));
  }

 private:
  std::span<const Tensor* const> values_;
};

void check_output_rank(const Node& node, const Type& type) {
  if (type.shape && static_cast<std::int64_t>(type.shape->size()) > kLimits.max_rank) {
    fail(ErrorCode::InvalidModel, "{}: output rank is {}, expected at most {}", node.label(),
         type.shape->size(), kLimits.max_rank);
  }
  if (!type.shape) return;
  for (const Dim& dim : *type.shape) {
    if (dim.is_known() && dim.value() < 0) {
      fail(ErrorCode::InvalidModel, "{}: output shape {} has a negative dimension", node.label(),
           to_string(*type.shape));
    }
  }
}

void store_inferred_subgraphs(Node& node, const BaseContext& ctx) {
  const auto update = [&](GraphPtr& graph) {
    const auto found = ctx.inferred().find(graph.get());
    if (found != ctx.inferred().end()) graph = found->second;
  };
  for (auto& [name, attribute] : node.attributes) {
    if (auto* graph = std::get_if<GraphPtr>(&attribute)) update(*graph);
    if (auto* graphs = std::get_if<std::vector<GraphPtr>>(&attribute)) {
      for (GraphPtr& graph : *graphs) update(graph);
    }
  }
}

void infer_one(Graph& graph, std::size_t index, SymbolicValues& symbolic, Session& session) {
  Node& node = graph.nodes[index];
  check_signature(node);
  GraphContext ctx(graph, node, symbolic, session);
  node.op->infer(ctx);
  for (std::size_t i = 0; i < node.outputs.size(); ++i) {
    if (node.outputs[i] == kNoValue) continue;
    Value& value = graph.value(node.outputs[i]);
    value.type = merge(ctx.output_types()[i], value.type);
    check_output_rank(node, value.type);
    if (ctx.output_values()[i]) symbolic[node.outputs[i]] = std::move(*ctx.output_values()[i]);
  }
  store_inferred_subgraphs(node, ctx);
}

SymbolicValues infer_graph(Graph& graph, Session& session) {
  SymbolicValues symbolic;
  session.nodes += static_cast<std::int64_t>(graph.nodes.size());
  // Loops infer their bodies more than once, and nested ones multiply.
  constexpr std::int64_t kMost = 4 * kLimits.max_nodes;
  if (session.nodes > kMost) {
    fail(ErrorCode::InvalidModel, "graph '{}': over {} nodes to infer, repeated loop bodies included",
         graph.name, kMost);
  }
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    with_context(
        [&] {
          return fmt::format("inferring the types of node {} {}", i, graph.nodes[i].label());
        },
        [&] { infer_one(graph, i, symbolic, session); });
  }
  return symbolic;
}

}  // namespace

void check_signature(const Node& node) {
  NARU_CHECK(node.op != nullptr, "node without operator");
  const auto check = [&](const std::vector<FormalParam>& formal, const std::vector<ValueId>& actual,
                         const char* what, bool required_present) {
    const bool variadic = !formal.empty() && formal.back().arity == Arity::Variadic;
    if (!variadic && actual.size() > formal.size()) {
      fail(ErrorCode::InvalidModel, "{}: got {} {}s, expected at most {}", node.label(),
           actual.size(), what, formal.size());
    }
    for (std::size_t i = 0; i < formal.size(); ++i) {
      const bool present = i < actual.size() && actual[i] != kNoValue;
      if (required_present && formal[i].arity == Arity::Required && !present) {
        fail(ErrorCode::InvalidModel, "{}: {} {} '{}' is missing", node.label(), what, i,
             formal[i].name);
      }
    }
  };
  check(node.op->inputs, node.inputs, "input", true);
  check(node.op->outputs, node.outputs, "output", false);
  for (const auto& [name, value] : node.attributes) {
    const AttrSpec* spec = node.op->find_attribute(name);
    if (spec == nullptr) {
      fail(ErrorCode::InvalidModel, "{}: attribute '{}' is not known to {}", node.label(), name,
           node.op->full_name());
    }
    if (spec->kind != kind_of(value)) {
      fail(ErrorCode::InvalidModel, "{}: attribute '{}' is of kind {}, expected {}", node.label(),
           name, to_string(kind_of(value)), to_string(spec->kind));
    }
  }
  for (const AttrSpec& spec : node.op->attributes) {
    if (spec.required && !node.attributes.contains(spec.name)) {
      fail(ErrorCode::InvalidModel, "{}: attribute '{}' is missing", node.label(), spec.name);
    }
  }
}

std::uint64_t last_fresh_symbol(const Graph& graph) {
  std::uint64_t largest = 0;
  std::vector<std::string> names;
  for (const Value& value : graph.values) {
    if (!value.type.shape) continue;
    for (const Dim& dim : *value.type.shape) {
      if (!dim.is_known()) dim.collect_symbols(names);
    }
  }
  for (const std::string& name : names) {
    std::uint64_t number = 0;
    if (name.starts_with('?')) std::from_chars(name.data() + 1, name.data() + name.size(), number);
    largest = std::max(largest, number);
  }
  for (const Node& node : graph.nodes) {
    for_each_subgraph(node, [&](const std::string&, const Graph& sub) {
      largest = std::max(largest, last_fresh_symbol(sub));
    });
  }
  return largest;
}

SymbolicValues infer_types_with_values(Graph& graph) {
  Session session{last_fresh_symbol(graph), 0};
  return infer_graph(graph, session);
}

void infer_types(Graph& graph) { infer_types_with_values(graph); }

std::vector<Type> infer_node(const Node& node, std::vector<Type> input_types,
                             std::span<const Tensor* const> values,
                             std::span<const Type> capture_types,
                             std::uint64_t* last_fresh_symbol) {
  Session session{last_fresh_symbol == nullptr ? 0 : *last_fresh_symbol, 0};
  ExactContext ctx(node, std::move(input_types), {capture_types.begin(), capture_types.end()},
                   values, session);
  node.op->infer(ctx);
  if (last_fresh_symbol != nullptr) *last_fresh_symbol = session.fresh;
  return std::move(ctx.output_types());
}

}  // namespace naru
