// AttributeProto to Attribute and to the value of a Constant.
#include "graph/import/onnx_attribute.h"

#include "graph/fail.h"
#include "graph/model_file.h"

namespace naru {
namespace {

using onnx::AttributeProto;

template <typename T, typename Field>
std::vector<T> list(const Field& field) {
  return std::vector<T>(field.begin(), field.end());
}

template <typename T>
Tensor vector_of(const std::vector<T>& values) {
  return Tensor::from<T>(Shape{static_cast<std::int64_t>(values.size())}, values);
}

std::vector<Tensor> tensors(AttributeProto& proto, ModelImport& model) {
  std::vector<Tensor> result;
  for (onnx::TensorProto& tensor : *proto.mutable_tensors()) result.push_back(model.tensor(tensor));
  return result;
}

}  // namespace

AttributeProto::AttributeType attribute_type(const AttributeProto& proto) {
  if (proto.type() != AttributeProto::UNDEFINED) return proto.type();
  if (proto.has_f()) return AttributeProto::FLOAT;
  if (proto.has_i()) return AttributeProto::INT;
  if (proto.has_s()) return AttributeProto::STRING;
  if (proto.has_t()) return AttributeProto::TENSOR;
  if (proto.has_g()) return AttributeProto::GRAPH;
  if (proto.has_tp()) return AttributeProto::TYPE_PROTO;
  if (proto.has_sparse_tensor()) return AttributeProto::SPARSE_TENSOR;
  if (proto.floats_size() > 0) return AttributeProto::FLOATS;
  if (proto.ints_size() > 0) return AttributeProto::INTS;
  if (proto.strings_size() > 0) return AttributeProto::STRINGS;
  if (proto.tensors_size() > 0) return AttributeProto::TENSORS;
  if (proto.graphs_size() > 0) return AttributeProto::GRAPHS;
  fail(ErrorCode::InvalidModel, "attribute {}: it has no kind", quote_name(proto.name()));
}

Attribute read_attribute(AttributeProto& proto, ModelImport& model) {
  switch (attribute_type(proto)) {
    case AttributeProto::FLOAT: return proto.f();
    case AttributeProto::INT: return static_cast<std::int64_t>(proto.i());
    case AttributeProto::STRING: return proto.s();
    case AttributeProto::TENSOR: return model.tensor(*proto.mutable_t());
    case AttributeProto::SPARSE_TENSOR: return model.tensor(*proto.mutable_sparse_tensor());
    case AttributeProto::TYPE_PROTO: return read_type(proto.tp(), model.symbols(), proto.name());
    case AttributeProto::FLOATS: return list<float>(proto.floats());
    case AttributeProto::INTS: return list<std::int64_t>(proto.ints());
    case AttributeProto::STRINGS: return list<std::string>(proto.strings());
    case AttributeProto::TENSORS: return tensors(proto, model);
    default: break;
  }
  fail(ErrorCode::Unsupported, "attribute {}: naru reads none of kind {}", quote_name(proto.name()),
       static_cast<int>(attribute_type(proto)));
}

Tensor read_constant(AttributeProto& proto, std::string_view name, ModelImport& model) {
  switch (attribute_type(proto)) {
    case AttributeProto::TENSOR:
      if (name == "value") return model.tensor(*proto.mutable_t());
      break;
    case AttributeProto::SPARSE_TENSOR:
      if (name == "sparse_value") return model.tensor(*proto.mutable_sparse_tensor());
      break;
    case AttributeProto::INT:
      if (name == "value_int") return Tensor::scalar<std::int64_t>(proto.i());
      break;
    case AttributeProto::FLOAT:
      if (name == "value_float") return Tensor::scalar<float>(proto.f());
      break;
    case AttributeProto::STRING:
      if (name == "value_string") return Tensor::from_strings(Shape{}, {proto.s()});
      break;
    case AttributeProto::INTS:
      if (name == "value_ints") return vector_of(list<std::int64_t>(proto.ints()));
      break;
    case AttributeProto::FLOATS:
      if (name == "value_floats") return vector_of(list<float>(proto.floats()));
      break;
    case AttributeProto::STRINGS:
      if (name == "value_strings") {
        return Tensor::from_strings(Shape{proto.strings_size()},
                                    list<std::string>(proto.strings()));
      }
      break;
    default: break;
  }
  fail(ErrorCode::InvalidModel, "Constant: got the attribute {} of kind {}, expected a value",
       quote_name(name), static_cast<int>(attribute_type(proto)));
}

std::int64_t copied_bytes(const AttributeProto& proto) {
  std::int64_t bytes = 64 + static_cast<std::int64_t>(proto.s().size()) +
                       INT64_C(8) * proto.ints_size() + INT64_C(4) * proto.floats_size() +
                       INT64_C(128) * proto.tensors_size();
  for (const std::string& text : proto.strings())
    bytes += 32 + static_cast<std::int64_t>(text.size());
  return bytes;
}

}  // namespace naru
