// The order of a graph's nodes in a file: who needs whom, sorted, with cycles found.
#pragma once

#include <functional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "onnx.pb.h"

namespace naru {

using NodeList = google::protobuf::RepeatedPtrField<onnx::NodeProto>;

/// Finds the names that a sub-graph takes from around it, remembering them by message.
class FreeNames {
 public:
  const std::vector<std::string_view>& of(const onnx::GraphProto& graph);
  /// Calls `visit` with each name that `node` reads, its sub-graphs included.
  void for_each_use(const onnx::NodeProto& node,
                    const std::function<void(std::string_view)>& visit);

 private:
  std::unordered_map<const onnx::GraphProto*, std::vector<std::string_view>> known_;
};

/// Indices of `nodes` such that producers stand before consumers; the file's order where it is one.
/// @throws Error InvalidModel for a cycle or a name that two nodes define.
std::vector<int> node_order(const NodeList& nodes, FreeNames& free_names);

}  // namespace naru
