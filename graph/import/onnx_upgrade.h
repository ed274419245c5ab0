// Rewrites one node from the operator version of its model into the newest form of the operator.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.h"

namespace naru {

/// A node between the file and the graph: inputs are resolved, attributes read, outputs not yet
/// made.
struct NodeDraft {
  std::string op;  ///< full name of the operator
  std::string name;
  std::int64_t version = 0;  ///< of the operator's domain, as the model imports it
  std::vector<ValueId> inputs;
  std::vector<bool> outputs;  ///< which outputs are wanted
  Attributes attributes;
  std::vector<ValueId> captures;
};

/// Where an upgrade puts the further nodes and constants that it needs.
class NodeSink {
 public:
  virtual ~NodeSink() = default;

  /// Appends a node now and returns its outputs.
  virtual std::vector<ValueId> emit(std::string_view op, std::vector<ValueId> inputs,
                                    Attributes attributes, std::size_t outputs) = 0;
  virtual ValueId constant(Tensor value) = 0;
  /// What inference finds for a value that exists already; Unknown when it finds nothing.
  virtual Type type(ValueId id) = 0;
  /// The value of a constant; null for any other.
  virtual const Tensor* value(ValueId id) = 0;

  ValueId emit(std::string_view op, std::vector<ValueId> inputs, Attributes attributes = {}) {
    return emit(op, std::move(inputs), std::move(attributes), 1).front();
  }
  ValueId ints(std::vector<std::int64_t> values);
};

/// Turns the outputs of the upgraded node into those that the model asked for.
using OutputFixup = std::function<void(NodeSink&, std::vector<ValueId>&)>;

/// Brings `draft` to the newest form. The fixups run after the node is made, last one first.
/// @throws Error InvalidModel when the node breaks the rules of its old version.
std::vector<OutputFixup> upgrade_node(NodeDraft& draft, NodeSink& sink);

}  // namespace naru
