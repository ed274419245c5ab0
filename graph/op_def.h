// OpDef: all that naru knows of one operator, in one record.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graph/fail.h"
#include "graph/graph.h"

namespace naru {

class InferContext;
class ReferenceContext;
class DecomposeContext;

/// Presence of a formal input or output.
enum class Arity : std::uint8_t { Required, Optional, Variadic };

/// A formal input or output. Only the last input and the last output may be Variadic.
struct FormalParam {
  std::string name;
  std::string doc;  ///< rank, types and meaning in short
  Arity arity = Arity::Required;
  /// The shape rule needs this input's value (the target shape of Reshape, the axes of Squeeze).
  bool value_needed = false;
};

/// A formal attribute. An attribute with neither default nor `required` may be absent.
struct AttrSpec {
  std::string name;
  AttrKind kind = AttrKind::Int;
  std::string doc;
  std::optional<Attribute> default_value = std::nullopt;
  bool required = false;
};

/// Work of one node at concrete shapes, for placement and for GFLOP/s and GB/s figures.
struct Cost {
  double flops = 0;  ///< arithmetic operations; a multiply-add counts two
  double bytes = 0;  ///< bytes read and written at least once
};

/// States that output `output` is input `input` with parts of it rewritten. An executor that owns the
/// input's memory lets the operator write there; the interpreter copies.
struct InPlaceOutput {
  std::size_t output = 0;
  std::size_t input = 0;
};

/// One operator. Its meaning is the newest ONNX version's, named in `source`; older versions are
/// upgraded at import. The domain is "" for ONNX, "ai.onnx.ml", "com.microsoft" or "naru".
struct OpDef {
  std::string name;
  std::string domain;
  int since_version = 1;
  std::string doc;     ///< one sentence
  std::string source;  ///< for example "ONNX Softmax-13"
  std::vector<FormalParam> inputs;
  std::vector<FormalParam> outputs;
  std::vector<AttrSpec> attributes = {};
  std::vector<InPlaceOutput> in_place = {};

  /// The only shape and type rule: reads inputs and attributes, sets every output's type.
  /// @throws Error InvalidModel when they break the operator's rules.
  void (*infer)(InferContext&) = nullptr;
  /// The only meaning: plain loops, wide accumulation, no tricks. Every index that comes from data
  /// is checked. @throws Error InvalidArgument when run-time data break the operator's rules.
  void (*reference)(ReferenceContext&) = nullptr;
  /// Work at concrete types; null means one operation per output element.
  Cost (*cost)(const Node&, std::span<const Type> inputs, std::span<const Type> outputs) = nullptr;
  /// Rewrites into simpler operators; returns false where it does not apply. Null: no rewriting.
  bool (*decompose)(DecomposeContext&) = nullptr;

  /// The output shape depends on the data (NonZero), or a value is no tensor (SequenceInsert), or
  /// the operator runs sub-graphs (If). Such nodes run on the host between device fragments.
  bool dynamic_output = false;
  /// Same inputs may give other outputs (RandomNormal): never folded or merged.
  bool nondeterministic = false;

  const AttrSpec* find_attribute(std::string_view attribute) const;
  /// "com.microsoft.Gelu", or "Gelu" in the ONNX domain.
  std::string full_name() const { return domain.empty() ? name : domain + "." + name; }
};

/// The operator with this full name. @throws Error Unsupported when there is none.
const OpDef& op_def(std::string_view full_name);
/// As op_def(), null when there is none.
const OpDef* find_op(std::string_view full_name) noexcept;
/// All operators in full-name order.
std::span<const OpDef* const> all_ops();

/// Symbolic elements of a small integer tensor of rank 0 or 1, as known during shape inference.
struct SymValue {
  std::vector<Dim> elements;
  bool is_scalar = false;
};

/// What an infer rule sees and sets. Input types may be partly unknown: a rule then sets what it can.
class InferContext {
 public:
  InferContext(const Node& node, std::vector<Type> input_types) : node(node), input_types_(std::move(input_types)), output_types_(node.outputs.size()), output_values_(node.outputs.size()) {}
  virtual ~InferContext() = default;

  const Node& node;

  std::size_t input_count() const { return node.inputs.size(); }
  std::size_t output_count() const { return node.outputs.size(); }
  bool has_input(std::size_t i) const { return node.has_input(i); }

  /// The input's type. @throws Error InvalidModel when the input is absent.
  const Type& input(std::size_t i) const;
  DType dtype(std::size_t i) const { return input(i).dtype; }
  /// The symbolic shape when the rank is known, else null.
  const SymShape* shape(std::size_t i) const;
  /// The input's whole value when it is constant here.
  virtual const Tensor* constant(std::size_t i) const = 0;
  /// The elements of a small integer input, constant or symbolic.
  virtual std::optional<SymValue> symbolic_value(std::size_t i) const = 0;
  /// The elements as integers when all are known.
  std::optional<std::vector<std::int64_t>> int_values(std::size_t i) const;

  void set_output(std::size_t i, Type type);
  void set_output(std::size_t i, DType dtype) { set_output(i, Type::tensor(dtype)); }
  void set_output(std::size_t i, DType dtype, SymShape shape) {
    set_output(i, Type::tensor(dtype, std::move(shape)));
  }
  /// States the elements of a small integer output (outputs of Shape, Gather, Concat and so on).
  void set_symbolic_value(std::size_t i, SymValue value);
  /// A dimension that nothing is known of.
  virtual Dim fresh_dim() = 0;
  /// Infers a sub-graph for these formal input types (captures are added) and returns its outputs.
  virtual std::vector<Type> infer_subgraph(const Graph& graph, std::vector<Type> formal_inputs) = 0;

  /// Throws InvalidModel unless `condition`; the message is prefixed with the node's label.
  template <typename... Args>
  void require(bool condition, fmt::format_string<Args...> format, Args&&... args) const {
    if (!condition) reject(fmt::format(format, std::forward<Args>(args)...));
  }
  [[noreturn]] void reject(const std::string& message) const;
  /// Brings an axis from [-rank, rank) to [0, rank). @throws Error InvalidModel when outside.
  std::int64_t normalize_axis(std::int64_t axis, std::int64_t rank) const;

  std::vector<Type>& output_types() { return output_types_; }
  std::vector<std::optional<SymValue>>& output_values() { return output_values_; }

 private:
  std::vector<Type> input_types_;
  std::vector<Type> output_types_;
  std::vector<std::optional<SymValue>> output_values_;
};

/// NumPy broadcast of two or more symbolic shapes. @throws Error InvalidModel when they do not fit.
SymShape broadcast_shapes(std::span<const SymShape> shapes);
Shape broadcast_shapes(std::span<const Shape> shapes);

/// What a reference sees and sets: whole values in host memory.
class ReferenceContext {
 public:
  /// Runs a sub-graph on formal inputs (captures are added by the host).
  using SubgraphRunner =
      std::function<std::vector<Datum>(const Graph& graph, std::vector<Datum> formal_inputs)>;

  ReferenceContext(const Node& node, std::span<const Datum> inputs,
                   std::span<const Type> output_types, SubgraphRunner run_subgraph)
      : node(node), inputs_(inputs), output_types_(output_types), outputs_(node.outputs.size()),
        run_subgraph(std::move(run_subgraph)) {}

  const Node& node;

  std::size_t input_count() const { return node.inputs.size(); }
  std::size_t output_count() const { return node.outputs.size(); }
  bool has_input(std::size_t i) const { return node.has_input(i); }
  bool has_output(std::size_t i) const { return node.has_output(i); }
  /// @throws Error InvalidArgument when the input is absent or no tensor.
  const Tensor& input(std::size_t i) const;
  const Datum& input_datum(std::size_t i) const;

  /// Allocates output `i` with the inferred type, which must be static.
  Tensor& output(std::size_t i);
  /// Allocates output `i` with a type found at run time (dynamic_output operators).
  Tensor& output(std::size_t i, DType dtype, Shape shape);
  void set_output(std::size_t i, Datum value);
  /// The type that infer() gave output `i`.
  const Type& output_type(std::size_t i) const { return output_types_[i]; }

  template <typename... Args>
  void require(bool condition, fmt::format_string<Args...> format, Args&&... args) const {
    if (!condition) reject(fmt::format(format, std::forward<Args>(args)...));
  }
  [[noreturn]] void reject(const std::string& message) const;
  std::int64_t normalize_axis(std::int64_t axis, std::int64_t rank) const;

  std::vector<Datum>& outputs() { return outputs_; }

 private:
  std::span<const Datum> inputs_;
  std::span<const Type> output_types_;
  std::vector<Datum> outputs_;

 public:
  SubgraphRunner run_subgraph;
};

/// What a decomposition sees and builds. New nodes go before the node that they replace.
class DecomposeContext {
 public:
  DecomposeContext(const Graph& source, const Node& node) : node(node), source_(source) {}

  const Node& node;

  std::size_t input_count() const { return node.inputs.size(); }
  bool has_input(std::size_t i) const { return node.has_input(i); }
  ValueId input(std::size_t i) const { return node.inputs[i]; }
  const Type& type(ValueId id) const;
  const Type& output_type(std::size_t i) const;
  /// The value of a constant input, null otherwise.
  const Tensor* constant(std::size_t i) const;

  /// Adds a node with one output. Operator names are full names.
  ValueId add(std::string_view op, std::vector<ValueId> inputs, Attributes attributes = {});
  std::vector<ValueId> add_multi(std::string_view op, std::vector<ValueId> inputs,
                                 std::size_t outputs, Attributes attributes = {});
  ValueId constant(Tensor value);
  /// A rank-0 constant of `dtype`.
  ValueId scalar(DType dtype, double value);
  ValueId ints(std::vector<std::int64_t> values);
  /// States that output `i` of the node is `value` from now on.
  void set_output(std::size_t i, ValueId value);

  /// The recorded rewriting: nodes over `source` values and new ones (ids from source.values.size()).
  struct Result {
    std::vector<Node> nodes;
    std::vector<Value> new_values;
    std::vector<std::pair<std::size_t, ValueId>> outputs;
  };
  Result take();

 private:
  ValueId new_value(Value value);
  const Graph& source_;
  Result result_;
};

}  // namespace naru
