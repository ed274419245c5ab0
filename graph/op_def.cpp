// The operator registry and the contexts that rules, references and decompositions work in.
#include "graph/op_def.h"

#include <algorithm>

#include "graph/ops/families.h"
#include "graph/scalar.h"

namespace naru {
namespace {

struct Registry {
  std::vector<OpDef> storage;
  std::vector<const OpDef*> by_name;

  Registry() {
    for (void (*family)(std::vector<OpDef>&) : op_families()) family(storage);
    for (const OpDef& def : storage) by_name.push_back(&def);
    std::sort(by_name.begin(), by_name.end(),
              [](const OpDef* a, const OpDef* b) { return a->full_name() < b->full_name(); });
    for (std::size_t i = 0; i < by_name.size(); ++i) {
      const OpDef& def = *by_name[i];
      NARU_CHECK(def.infer != nullptr && def.reference != nullptr, "incomplete operator " + def.name);
      NARU_CHECK(i == 0 || by_name[i - 1]->full_name() != def.full_name(),
                 "operator defined twice: " + def.full_name());
    }
  }
};

const Registry& registry() {
  static const Registry instance;
  return instance;
}

std::int64_t normalized(std::int64_t axis, std::int64_t rank) {
  return axis < 0 ? axis + rank : axis;
}

}  // namespace

const AttrSpec* OpDef::find_attribute(std::string_view attribute) const {
  const auto found = std::find_if(attributes.begin(), attributes.end(),
                                  [&](const AttrSpec& spec) { return spec.name == attribute; });
  return found == attributes.end() ? nullptr : &*found;
}

const OpDef* find_op(std::string_view full_name) noexcept {
  const auto& ops = registry().by_name;
  const auto found =
      std::lower_bound(ops.begin(), ops.end(), full_name, [](const OpDef* def, std::string_view name) {
        return def->full_name() < name;
      });
  return found != ops.end() && (*found)->full_name() == full_name ? *found : nullptr;
}

const OpDef& op_def(std::string_view full_name) {
  const OpDef* def = find_op(full_name);
  if (def == nullptr) fail(ErrorCode::Unsupported, "operator '{}' is not known", full_name);
  return *def;
}

std::span<const OpDef* const> all_ops() { return registry().by_name; }

// InferContext

const Type& InferContext::input(std::size_t i) const {
  if (!has_input(i)) reject(fmt::format("input {} is missing", i));
  return input_types_[i];
}

const SymShape* InferContext::shape(std::size_t i) const {
  const Type& type = input(i);
  return type.shape ? &*type.shape : nullptr;
}

std::optional<std::vector<std::int64_t>> InferContext::int_values(std::size_t i) const {
  if (const Tensor* value = constant(i)) return to_i64_vector(*value);
  const std::optional<SymValue> value = symbolic_value(i);
  if (!value) return std::nullopt;
  std::vector<std::int64_t> result;
  for (const Dim& element : value->elements) {
    if (!element.is_known()) return std::nullopt;
    result.push_back(element.value());
  }
  return result;
}

void InferContext::set_output(std::size_t i, Type type) {
  if (i < output_types_.size()) output_types_[i] = std::move(type);
}

void InferContext::set_symbolic_value(std::size_t i, SymValue value) {
  if (i < output_values_.size()) output_values_[i] = std::move(value);
}

void InferContext::reject(const std::string& message) const {
  fail(ErrorCode::InvalidModel, "{}: {}", node.label(), message);
}

std::int64_t InferContext::normalize_axis(std::int64_t axis, std::int64_t rank) const {
  require(axis >= -rank && axis < rank, "axis: got {}, expected [{}, {})", axis, -rank, rank);
  return normalized(axis, rank);
}

// ReferenceContext

const Datum& ReferenceContext::input_datum(std::size_t i) const {
  if (!has_input(i)) reject(fmt::format("input {} is missing", i));
  return inputs_[i];
}

const Tensor& ReferenceContext::input(std::size_t i) const {
  const Datum& datum = input_datum(i);
  if (!datum.is_tensor() || !datum.tensor.defined()) {
    reject(fmt::format("input {}: got no tensor, expected one", i));
  }
  return datum.tensor;
}

Tensor& ReferenceContext::output(std::size_t i) {
  const Type& type = output_types_[i];
  // A sequence or optional where a tensor belongs leaves the rule without a shape.
  require(type.is_static(), "output {}: its type is {}, which the inputs leave open", i, to_string(type));
  return output(i, type.dtype, *known_shape(*type.shape));
}

Tensor& ReferenceContext::output(std::size_t i, DType dtype, Shape shape) {
  outputs_[i] = Tensor(dtype, std::move(shape));
  return outputs_[i].tensor;
}

void ReferenceContext::set_output(std::size_t i, Datum value) { outputs_[i] = std::move(value); }

void ReferenceContext::reject(const std::string& message) const {
  fail(ErrorCode::InvalidArgument, "{}: {}", node.label(), message);
}

std::int64_t ReferenceContext::normalize_axis(std::int64_t axis, std::int64_t rank) const {
  require(axis >= -rank && axis < rank, "axis: got {}, expected [{}, {})", axis, -rank, rank);
  return normalized(axis, rank);
}

// DecomposeContext

const Type& DecomposeContext::type(ValueId id) const {
  const auto index = static_cast<std::size_t>(id);
  return index < source_.values.size() ? source_.values[index].type
                                       : result_.new_values[index - source_.values.size()].type;
}

const Type& DecomposeContext::output_type(std::size_t i) const {
  return source_.value(node.outputs[i]).type;
}

const Tensor* DecomposeContext::constant(std::size_t i) const {
  if (!has_input(i)) return nullptr;
  const Value& value = source_.value(node.inputs[i]);
  return value.is_constant() ? &value.constant : nullptr;
}

ValueId DecomposeContext::new_value(Value value) {
  const auto id = static_cast<ValueId>(source_.values.size() + result_.new_values.size());
  result_.new_values.push_back(std::move(value));
  return id;
}

std::vector<ValueId> DecomposeContext::add_multi(std::string_view op, std::vector<ValueId> inputs,
                                                 std::size_t outputs, Attributes attributes) {
  Node added;
  added.op = &op_def(op);
  added.name = fmt::format("{}/{}_{}", node.name, op, result_.nodes.size());
  added.inputs = std::move(inputs);
  added.attributes = std::move(attributes);
  for (std::size_t i = 0; i < outputs; ++i) {
    Value value;
    value.name = fmt::format("{}:{}", added.name, i);
    added.outputs.push_back(new_value(std::move(value)));
  }
  result_.nodes.push_back(added);
  return result_.nodes.back().outputs;
}

ValueId DecomposeContext::add(std::string_view op, std::vector<ValueId> inputs, Attributes attributes) {
  return add_multi(op, std::move(inputs), 1, std::move(attributes)).front();
}

ValueId DecomposeContext::constant(Tensor tensor) {
  Value value;
  value.name = fmt::format("{}/const_{}", node.name, result_.new_values.size());
  value.type = Type::tensor(tensor.dtype(), tensor.shape());
  value.constant = std::move(tensor);
  return new_value(std::move(value));
}

ValueId DecomposeContext::scalar(DType dtype, double number) {
  Tensor tensor(dtype, Shape{});
  store_f64(dtype, tensor.mutable_data(), 0, number);
  return constant(std::move(tensor));
}

ValueId DecomposeContext::ints(std::vector<std::int64_t> values) {
  return constant(Tensor::from<std::int64_t>({static_cast<std::int64_t>(values.size())}, values));
}

void DecomposeContext::set_output(std::size_t i, ValueId value) {
  result_.outputs.emplace_back(i, value);
}

DecomposeContext::Result DecomposeContext::take() { return std::move(result_); }

// Broadcast

SymShape broadcast_shapes(std::span<const SymShape> shapes) {
  std::size_t rank = 0;
  for (const SymShape& shape : shapes) rank = std::max(rank, shape.size());
  SymShape result(rank, Dim(1));
  for (const SymShape& shape : shapes) {
    const std::size_t offset = rank - shape.size();
    for (std::size_t i = 0; i < shape.size(); ++i) {
      Dim& out = result[offset + i];
      const Dim& in = shape[i];
      if (in == Dim(1) || in == out) continue;
      if (out == Dim(1)) {
        out = in;
      } else if (in.is_known() && out.is_known()) {
        fail(ErrorCode::InvalidModel, "broadcast: dimension {} is {} in one operand and {} in another",
             offset + i, out.to_string(), in.to_string());
      } else if (in.is_known()) {
        // A symbol against a number above 1: only 1 or that number would fit.
        out = in;
      } else if (!out.is_known()) {
        out = max(out, in);  // one of them is 1, or both are equal
      }
    }
  }
  return result;
}

Shape broadcast_shapes(std::span<const Shape> shapes) {
  std::vector<SymShape> symbolic;
  for (const Shape& shape : shapes) symbolic.push_back(to_sym(shape));
  return *known_shape(broadcast_shapes(std::span<const SymShape>(symbolic)));
}

}  // namespace naru
