// fold_constants: evaluates nodes on constants by their reference meaning, and turns small integer
// values that shape inference knows completely (Shape of known dimensions and what follows) into
// constants.
#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "compiler/passes/passes.h"
#include "graph/checked.h"
#include "graph/evaluate.h"
#include "graph/infer.h"
#include "graph/limits.h"
#include "graph/scalar.h"

namespace naru {
namespace {

/// The reference is slow: what takes it seconds is left to the device, which pays once a run.
constexpr double kMaxFoldedFlops = 1e9;

/// Above this size a result that is many times its inputs (Expand, ConstantOfShape) is not stored.
constexpr std::int64_t kMaxInflatedBytes = INT64_C(512) << 20;
constexpr std::int64_t kMaxInflation = 4;

/// Folding these would undo the compression of a weight that a device may use as it is.
constexpr std::array<std::string_view, 2> kKept{"DequantizeLinear", "naru.Dequantize"};

class Folder {
 public:
  explicit Folder(Graph& graph)
      : graph_(graph), symbolic_(infer_types_with_values(graph)), uses_(graph) {}

  bool run() {
    std::vector<Node> kept;
    for (Node& node : graph_.nodes) {
      resolve(node.inputs);
      resolve(node.captures);
      if (!fold(node)) kept.push_back(std::move(node));
    }
    changed_ |= kept.size() != graph_.nodes.size();
    graph_.nodes = std::move(kept);
    if (changed_) graph_.compact();
    return changed_;
  }

 private:
  void resolve(std::vector<ValueId>& ids) const {
    for (ValueId& id : ids) {
      const auto found = replaced_.find(id);
      if (found != replaced_.end()) id = found->second;
    }
  }

  bool used(ValueId id) const {
    const auto i = static_cast<std::size_t>(id);
    return id != kNoValue && (!uses_.consumers[i].empty() || uses_.is_output[i]);
  }

  /// True when the node's outputs are constants now and it can go.
  bool fold(Node& node) { return fold_symbolic(node) || fold_by_evaluation(node); }

  bool fold_symbolic(Node& node) {
    std::vector<std::optional<Tensor>> known(node.outputs.size());
    bool all = true, any = false;
    for (std::size_t i = 0; i < node.outputs.size(); ++i) {
      if (!used(node.outputs[i])) continue;
      known[i] = known_value(node.outputs[i]);
      all = all && known[i];
      any = any || known[i];
    }
    if (!any || node.op->nondeterministic) return false;
    for (std::size_t i = 0; i < node.outputs.size(); ++i) {
      if (!known[i]) continue;
      all ? make_constant(node.outputs[i], *known[i]) : add_constant(node.outputs[i], *known[i]);
    }
    return all;
  }

  std::optional<Tensor> known_value(ValueId id) const {
    const Type& type = graph_.value(id).type;
    const auto found = symbolic_.find(id);
    if (found == symbolic_.end() || !type.is_tensor() || !is_integer(type.dtype))
      return std::nullopt;
    const std::vector<Dim>& elements = found->second.elements;
    if (!std::all_of(elements.begin(), elements.end(), [](const Dim& d) { return d.is_known(); })) {
      return std::nullopt;
    }
    Shape shape;
    if (!found->second.is_scalar) shape.push_back(static_cast<std::int64_t>(elements.size()));
    if (type.shape && known_shape(*type.shape) != shape) return std::nullopt;
    Tensor tensor(type.dtype, shape);
    for (std::size_t i = 0; i < elements.size(); ++i) {
      store_i64(type.dtype, tensor.mutable_data(), static_cast<std::int64_t>(i),
                elements[i].value());
    }
    return tensor;
  }

  bool fold_by_evaluation(Node& node) {
    if (node.op->nondeterministic || has_subgraph(node) || kept_by_name(node)) return false;
    std::vector<Datum> inputs;
    for (ValueId id : node.inputs) {
      if (id != kNoValue && !graph_.value(id).is_constant()) return false;
      inputs.push_back(id == kNoValue ? Datum{} : Datum(graph_.value(id).constant));
      if (is_block(inputs.back().tensor.dtype())) return false;
    }
    try {
      if (!affordable(node)) return false;
      std::vector<Datum> results = evaluate_node(node, inputs);
      return take(node, results);
    } catch (const Error& error) {
      // A node that fails on these constants fails at run time too, if it is ever reached.
      if (error.code() == ErrorCode::Internal) throw;
      return false;
    }
  }

  static bool has_subgraph(const Node& node) {
    bool found = false;
    for_each_subgraph(node, [&](const std::string&, const Graph&) { found = true; });
    return found;
  }

  static bool kept_by_name(const Node& node) {
    return std::find(kKept.begin(), kKept.end(), node.op->full_name()) != kKept.end();
  }

  bool affordable(const Node& node) {
    std::vector<Type> inputs;
    std::vector<const Tensor*> values;
    CheckedSize input_bytes = 0, bytes = 0;
    for (ValueId id : node.inputs) {
      inputs.push_back(id == kNoValue ? Type{} : graph_.value(id).type);
      values.push_back(id == kNoValue ? nullptr : &graph_.value(id).constant);
      if (id != kNoValue) input_bytes += graph_.value(id).constant.size_bytes();
    }
    const std::vector<Type> outputs = infer_node(node, inputs, values);
    for (const Type& type : outputs) {
      if (!type.is_static()) continue;  // shaped by data, hence bounded by the inputs' sizes
      const CheckedSize one = storage_bytes(type.dtype, known_shape(*type.shape)->numel());
      if (one > CheckedSize(kLimits.max_folded_tensor_bytes)) return false;
      bytes += one;
    }
    if (bytes > CheckedSize(kMaxInflatedBytes) && bytes > input_bytes * kMaxInflation) return false;
    if (total_bytes_ + bytes > CheckedSize(kLimits.max_folded_total_bytes)) return false;
    const bool exact = std::all_of(outputs.begin(), outputs.end(),
                                   [](const Type& type) { return type.is_static(); });
    return node.op->cost == nullptr || !exact ||
           node.op->cost(node, inputs, outputs).flops <= kMaxFoldedFlops;
  }

  bool take(Node& node, std::vector<Datum>& results) {
    CheckedSize bytes = 0;
    for (std::size_t i = 0; i < node.outputs.size(); ++i) {
      if (node.outputs[i] == kNoValue) continue;
      if (!results[i].is_tensor() || !results[i].tensor.defined()) return false;
      if (results[i].tensor.size_bytes() > kLimits.max_folded_tensor_bytes) return false;
      bytes += results[i].tensor.size_bytes();
    }
    total_bytes_ += bytes;
    for (std::size_t i = 0; i < node.outputs.size(); ++i) {
      if (node.outputs[i] != kNoValue) make_constant(node.outputs[i], std::move(results[i].tensor));
    }
    return true;
  }

  /// The value itself becomes the constant; its node must go.
  void make_constant(ValueId id, Tensor tensor) {
    if (id == kNoValue) return;
    Value& value = graph_.value(id);
    value.type = Type::tensor(tensor.dtype(), tensor.shape());
    value.constant = std::move(tensor);
  }

  /// A new constant takes over the uses by nodes; the value's node stays for its other outputs.
  void add_constant(ValueId id, Tensor tensor) {
    if (uses_.consumers[static_cast<std::size_t>(id)].empty()) return;
    replaced_[id] = graph_.add_constant(graph_.value(id).name, std::move(tensor));
    changed_ = true;
  }

  Graph& graph_;
  SymbolicValues symbolic_;
  UseIndex uses_;
  std::unordered_map<ValueId, ValueId> replaced_;
  CheckedSize total_bytes_;
  bool changed_ = false;
};

}  // namespace

bool fold_constants(Graph& graph) { return Folder(graph).run(); }

}  // namespace naru
