// How the ONNX suite runs a graph: one function, behind which each way of execution stands.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.h"

namespace naru {

/// Runs whole graphs on whole values.
class CaseExecutor {
 public:
  virtual ~CaseExecutor() = default;
  /// Runs `graph` once; one value per graph input, returns one per graph output.
  virtual std::vector<Datum> run(const Graph& graph, std::span<const Datum> inputs) = 0;
  /// What of the last run the host did in place of a device, one line per node; empty for none and for
  /// executors without a device.
  virtual std::vector<std::string> on_host() const { return {}; }
};

/// The executor of this name: "interpreter" (the oracle), or the oracle on the graph after all passes
/// ("optimised"), on the same with the inputs as constants ("folded"), after every node was replaced by
/// its decomposition ("decomposed"), node by node on a device ("device:cpu"), or by an
/// engine, the whole way that users take ("engine:cpu"), the same without passes ("loaded:cpu") or after a
/// round trip through a container ("saved:cpu").
/// @throws Error InvalidArgument for an unknown name, naming the known ones.
std::unique_ptr<CaseExecutor> make_executor(std::string_view name);

}  // namespace naru
