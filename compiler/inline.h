// Inliner: copies the nodes of a closed sub-graph into another graph.
#pragma once

#include <string>
#include <vector>

#include "graph/graph.h"

namespace naru {

class Inliner {
 public:
  /// `arguments`: the target's values that the source's inputs stand for.
  Inliner(Graph& target, const Graph& source, const std::vector<ValueId>& arguments);

  /// The source's nodes over values of the target.
  std::vector<Node> nodes(const std::string& prefix);
  std::vector<ValueId> outputs();

 private:
  ValueId map(ValueId id);

  Graph& target_;
  const Graph& source_;
  std::vector<ValueId> ids_;
};

}  // namespace naru
