// Graph: typed SSA values and nodes in topological order; what every part of naru speaks about.
#pragma once

#include <compare>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "graph/type.h"

namespace naru {

class Graph;
struct OpDef;

/// Index of a value in its graph; kNoValue marks an optional input or output that is absent.
using ValueId = std::int32_t;
inline constexpr ValueId kNoValue = -1;

/// Sub-graphs are immutable and shared: to change one, copy it, change the copy, store that.
using GraphPtr = std::shared_ptr<const Graph>;

/// An attribute's value. Which alternative an attribute has is said by its operator's AttrSpec.
using Attribute =
    std::variant<std::int64_t, float, std::string, Tensor, GraphPtr, Type,
                 std::vector<std::int64_t>, std::vector<float>, std::vector<std::string>,
                 std::vector<Tensor>, std::vector<GraphPtr>>;
enum class AttrKind : std::uint8_t {
  Int, Float, String, Tensor, Graph, Type, Ints, Floats, Strings, Tensors, Graphs
};
inline AttrKind kind_of(const Attribute& attribute) {
  return static_cast<AttrKind>(attribute.index());
}
const char* to_string(AttrKind kind) noexcept;

/// Attributes by name, in name order.
using Attributes = std::map<std::string, Attribute, std::less<>>;

/// One operation. `op` is never null in a graph that verify() accepts.
struct Node {
  const OpDef* op = nullptr;
  std::string name;
  std::vector<ValueId> inputs;
  std::vector<ValueId> outputs;
  Attributes attributes;
  /// Values of this graph that the sub-graphs use besides the formal inputs. Each sub-graph's
  /// inputs are its formal ones followed by one per capture, in this order.
  std::vector<ValueId> captures;

  /// The attribute, or the operator's default, or null when neither is there.
  const Attribute* find(std::string_view attribute) const;
  bool has(std::string_view attribute) const { return find(attribute) != nullptr; }
  /// Typed access with the operator's default. @throws Error InvalidModel when absent or of
  /// another kind.
  std::int64_t attr_int(std::string_view attribute) const;
  float attr_float(std::string_view attribute) const;
  const std::string& attr_string(std::string_view attribute) const;
  const Tensor& attr_tensor(std::string_view attribute) const;
  const Graph& attr_graph(std::string_view attribute) const;
  const std::vector<std::int64_t>& attr_ints(std::string_view attribute) const;
  const std::vector<float>& attr_floats(std::string_view attribute) const;
  const std::vector<std::string>& attr_strings(std::string_view attribute) const;
  /// The value when the attribute is there (or has a default), else `otherwise`.
  std::int64_t attr_int_or(std::string_view attribute, std::int64_t otherwise) const;
  float attr_float_or(std::string_view attribute, float otherwise) const;
  std::vector<std::int64_t> attr_ints_or(std::string_view attribute,
                                         std::vector<std::int64_t> otherwise) const;
  std::string attr_string_or(std::string_view attribute, std::string otherwise) const;

  bool has_input(std::size_t i) const { return i < inputs.size() && inputs[i] != kNoValue; }
  bool has_output(std::size_t i) const { return i < outputs.size() && outputs[i] != kNoValue; }
  /// "Conv 'backbone/conv1'", for messages.
  std::string label() const;
};

/// One SSA value: defined by a graph input, a node or a constant.
struct Value {
  std::string name;  ///< unique within the graph; never empty
  Type type;
  Tensor constant;   ///< defined when the value is a constant
  bool is_constant() const noexcept { return constant.defined(); }
};

/// How the session keeps a state between runs.
enum class StateKind : std::uint8_t { Tensor, KvPages, KvSlot, KvOpaque };

/// A value that a session carries from one run to the next: `input` reads it at the start of a run
/// (zeros at first), `output` is what it becomes. Neither is fed or fetched by the caller.
struct State {
  std::string name;
  StateKind kind = StateKind::Tensor;
  ValueId input = kNoValue;
  ValueId output = kNoValue;
};

/// A closed graph: its nodes use only its own values. Nodes stand in topological order.
///
/// A plain value type: copying copies nodes and values and shares constants and sub-graphs.
/// Not thread-safe for writing; concurrent reading is safe.
class Graph {
 public:
  std::string name;
  std::string doc;                              ///< free text of the model's author
  std::map<std::string, std::string> metadata;  ///< key/value pairs of the model file
  std::vector<Value> values;
  std::vector<Node> nodes;
  std::vector<ValueId> inputs;
  std::vector<ValueId> outputs;
  std::vector<State> states;

  /// Adds a value; `name` is made unique by a suffix, an empty one is replaced.
  ValueId add_value(std::string name, Type type = {});
  ValueId add_input(std::string name, Type type);
  ValueId add_constant(std::string name, Tensor value);
  /// Appends a node with `output_count` new values, which have no type until infer_types().
  Node& add_node(std::string_view op, std::vector<ValueId> inputs, std::size_t output_count = 1,
                 Attributes attributes = {}, std::string name = {});

  Value& value(ValueId id) { return values[static_cast<std::size_t>(id)]; }
  const Value& value(ValueId id) const { return values[static_cast<std::size_t>(id)]; }
  /// Finds a value by name; kNoValue when there is none.
  ValueId find_value(std::string_view name) const;

  /// Replaces every use of `from` (node inputs, captures, graph outputs, states) by `to`.
  void replace_uses(ValueId from, ValueId to);
  /// Drops values that nothing defines or uses, renumbering the rest; inputs and outputs stay.
  void compact();

 private:
  std::string unique_name(std::string name);
  std::map<std::string, ValueId, std::less<>> names_;

 public:
  /// Rebuilds the name index after values were written directly.
  void reindex();
};

/// Producers and consumers, computed from a graph as it is now.
struct UseIndex {
  explicit UseIndex(const Graph& graph);
  std::vector<std::int32_t> producer;               ///< node index per value; -1 for none
  std::vector<std::vector<std::int32_t>> consumers; ///< node indices per value, captures included
  std::vector<bool> is_output;                      ///< graph or state output
  /// True when exactly one node input uses the value and it is not an output.
  bool single_use(ValueId id) const {
    return consumers[static_cast<std::size_t>(id)].size() == 1 && !is_output[static_cast<std::size_t>(id)];
  }
};

/// Calls `visit` for each sub-graph attribute of `node`.
void for_each_subgraph(const Node& node, const std::function<void(const std::string&, const Graph&)>& visit);

}  // namespace naru
