// Rewriter: walks a graph once, in order, while rules replace nodes; keeps producers and uses
// current.
#pragma once

#include <cstdint>
#include <deque>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.h"

namespace naru {

class Rewriter;

/// One rewriting of the node that is being visited, its root. `apply` looks back from the root over
/// producers; when it can rewrite it calls Rewriter::replace or bypass and returns true. Because
/// the result stands where the root stood and inner nodes are used by the match alone, every
/// operand is defined before it.
struct Rule {
  const char* name;
  const char* op;  ///< full name of the root's operator; "" for any
  bool (*apply)(Rewriter&, const Node& root) = nullptr;
};

class Rewriter {
 public:
  explicit Rewriter(Graph& graph);

  /// Visits every node once, and nodes that rules add once more, trying `rules` in order. Nodes
  /// that nothing uses any more are dropped on the way. Returns whether a rule applied.
  bool run(std::span<const Rule> rules);

  // Reading. Ids are those of the nodes as rules see them.

  const Graph& graph() const { return graph_; }
  const Value& value(ValueId id) const { return graph_.value(id); }
  const Type& type(ValueId id) const { return graph_.value(id).type; }
  /// The node before the root that produces the value; null for inputs and constants.
  const Node* producer(ValueId id) const;
  /// The producer when it is of operator `op`, else null.
  const Node* producer(ValueId id, std::string_view op) const;
  /// Where the producer stands in the order so far; 0 for inputs and constants.
  std::size_t position(ValueId id) const;
  /// The value when it is a constant, else null.
  const Tensor* constant(ValueId id) const;
  /// Uses by nodes; graph and state outputs are not counted.
  std::size_t uses(ValueId id) const { return uses_[static_cast<std::size_t>(id)]; }
  bool is_output(ValueId id) const { return is_output_[static_cast<std::size_t>(id)]; }
  bool single_use(ValueId id) const { return uses(id) == 1 && !is_output(id); }
  /// True when no output of the node but the first is used.
  bool only_first_output(const Node& node) const;

  // Writing, from within a rule. Nodes stay as they are until the rule returns, but what type(),
  // value() and constant() gave before a value was added is void after it.

  ValueId add_constant(std::string_view name, Tensor value);
  /// Adds a node before the root and infers its outputs' types. Names are made from the root's.
  ValueId add(std::string_view op, std::vector<ValueId> inputs, Attributes attributes = {});
  /// Replaces the root by one node that defines the root's outputs and keeps its name.
  void replace(std::string_view op, std::vector<ValueId> inputs, Attributes attributes = {});
  /// Replaces the root, whose first output alone is used, by an existing value. False when that
  /// cannot be: the output is a graph output and so is the value, or nothing but a node would
  /// define it.
  bool bypass(ValueId value);
  /// As bypass(), for several outputs; adds Identity nodes where bypass() would return false.
  void replace_outputs(std::span<const ValueId> values);
  /// Splices nodes before the root as they are; their outputs must be new values of the graph.
  void splice(std::vector<Node> nodes);
  Graph& mutable_graph() { return graph_; }
  /// New values were added to the graph directly.
  void grow();

 private:
  void visit(Node node, std::span<const Rule> rules);
  void keep(Node node);
  void count_uses(const Node& node);
  void release(const Node& node);
  void drop_if_unused(std::size_t index);
  bool unused(const Node& node) const;
  ValueId resolve(ValueId id) const;
  void resolve_all(std::vector<ValueId>& ids) const;
  bool redirect(ValueId from, ValueId to);
  void infer(Node& node);
  std::string inner_name(const std::string& op);
  void finish();

  Graph& graph_;
  std::deque<Node> done_;  // stable addresses; dropped ones are marked in alive_
  std::vector<bool> alive_;
  std::vector<Node> pending_;  // nodes that rules added, the next one last
  std::vector<Node> added_;    // nodes of the rule that runs, in order
  const Node* root_ = nullptr;
  std::size_t names_made_ = 0;
  std::vector<std::int32_t> producer_;  // index into done_ per value; -1 for none
  std::vector<std::size_t> uses_;
  std::vector<bool> is_output_;
  std::vector<ValueId> alias_;  // per value: what took its place, or itself
  std::optional<std::uint64_t> last_fresh_;
};

/// Runs `rules` over `graph`; the body of most passes.
bool rewrite(Graph& graph, std::span<const Rule> rules);

// Questions that many rules ask.

/// The value of a constant with one element, of a number type.
std::optional<double> scalar_constant(const Rewriter& rw, ValueId id);
/// The common value of all elements of a non-empty number constant.
std::optional<double> uniform_constant(const Rewriter& rw, ValueId id);
/// The elements of an integer constant of rank 0 or 1.
std::optional<std::vector<std::int64_t>> int_constant(const Rewriter& rw, ValueId id);
/// Evaluates an operator with one output on constants.
Tensor evaluate_constant(std::string_view op, std::initializer_list<Tensor> inputs,
                         Attributes attributes = {});
/// True when both ranks are known and all dimensions provably equal.
bool same_shape(const Type& a, const Type& b);
/// The rank when known, else -1.
std::int64_t rank_of(const Type& type);
/// The dimension when known, else -1; a negative axis counts from the end.
std::int64_t known_dim(const Type& type, std::int64_t axis);

}  // namespace naru
