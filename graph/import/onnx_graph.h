// A whole ModelProto to a Graph: what its graphs and functions share while they are imported.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "graph/graph.h"
#include "graph/import/onnx_order.h"
#include "graph/import/onnx_tensor.h"
#include "graph/import/onnx_types.h"
#include "onnx.pb.h"

namespace naru {

/// Versions of the imported operator sets by domain; the ONNX domain is "".
using OpsetMap = std::map<std::string, std::int64_t, std::less<>>;

/// A function that the model defines.
struct ModelFunction {
  onnx::FunctionProto* proto = nullptr;
  OpsetMap opsets;
};

/// The import of one model.
class ModelImport {
 public:
  /// `model` is consumed: large tensors are moved out of it.
  /// @throws Error InvalidModel for bad functions, Unsupported for an opset out of range.
  ModelImport(onnx::ModelProto& model, ModelDirectory* directory);

  /// The main graph, not yet verified.
  Graph run();
  /// What the model states of the main graph's outputs.
  std::vector<Type> declared_outputs();

  // For the import of its graphs:

  const OpsetMap& opsets() const { return opsets_; }
  SymbolTable& symbols() { return symbols_; }
  FreeNames& free_names() { return free_names_; }
  /// The model's own function that `node` calls, or null.
  const ModelFunction* find_function(const onnx::NodeProto& node) const;
  /// Reads a tensor once; later calls share the first result.
  Tensor tensor(onnx::TensorProto& proto);
  Tensor tensor(onnx::SparseTensorProto& proto);

  /// Calls of functions that are being inlined, outermost first.
  /// @throws Error InvalidModel when a function calls itself or the nesting is too deep.
  void enter(const ModelFunction& function);
  void leave() { calls_.pop_back(); }
  /// Counts one more imported node, and the bytes that it copies out of a function: few bytes of
  /// file can ask for many of both. @throws Error InvalidModel beyond the limits.
  void charge_node(std::int64_t copied_bytes);

 private:
  void add_function(onnx::FunctionProto& proto);

  onnx::ModelProto& model_;
  TensorSource source_;
  SymbolTable symbols_;
  FreeNames free_names_;
  OpsetMap opsets_;
  std::unordered_map<std::string, ModelFunction> functions_;  // by domain, name and overload
  std::unordered_map<const void*, Tensor> tensors_;           // by message
  std::vector<const ModelFunction*> calls_;
  std::int64_t nodes_ = 0;
  std::int64_t inlined_nodes_ = 0;
  std::int64_t copied_bytes_ = 0;
};

/// The domain as operators are filed: "ai.onnx" is "".
std::string_view normal_domain(std::string_view domain);

}  // namespace naru
