// The changes between operator versions, as a table.
#include "graph/import/onnx_upgrade.h"

#include "graph/fail.h"

namespace naru {

ValueId NodeSink::ints(std::vector<std::int64_t> values) {
  const auto count = static_cast<std::int64_t>(values.size());
  return constant(Tensor::from<std::int64_t>(Shape{count}, std::span<const std::int64_t>(values)));
}

std::vector<OutputFixup> upgrade_node(NodeDraft&, NodeSink&) { return {}; }

}  // namespace naru
