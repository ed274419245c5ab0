// TypeProto to Type; names of dimensions to symbols.
#include "graph/import/onnx_types.h"

#include "graph/fail.h"
#include "graph/import/onnx_tensor.h"
#include "graph/limits.h"
#include "graph/model_file.h"

namespace naru {
namespace {

constexpr std::size_t kLongestSymbol = 120;

/// `text` as the text form of a Dim accepts it: no operator, no leading digit, no reserved word.
std::string sanitized(std::string_view text) {
  std::string symbol;
  for (const char c : text.substr(0, kLongestSymbol)) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    const bool other = c == '_' || c == '.' || c == '$' || c == '/' || c == ':' ||
                       (static_cast<unsigned char>(c) & 0x80) != 0;
    symbol += letter || other ? c : '_';
  }
  const bool digit = !symbol.empty() && symbol[0] >= '0' && symbol[0] <= '9';
  if (symbol.empty() || digit || symbol == "floordiv" || symbol == "max" || symbol == "min") {
    symbol.insert(symbol.begin(), '_');
  }
  return symbol;
}

/// Texts that exporters write for each unknown dimension, whether or not they are equal.
bool says_nothing(const std::string& dim_param) {
  return dim_param.empty() || dim_param == "?" || dim_param == "None" || dim_param == "-1";
}

Dim read_dim(const onnx::TensorShapeProto::Dimension& proto, SymbolTable& symbols,
             std::string_view value, int axis) {
  if (proto.has_dim_param() && !says_nothing(proto.dim_param())) {
    return symbols.named(proto.dim_param());
  }
  // Old exporters write -1 for an unknown dimension.
  if (!proto.has_dim_value() || proto.dim_value() == -1) return symbols.unnamed(value, axis);
  if (proto.dim_value() < 0) {
    fail(ErrorCode::InvalidModel, "value {}: dimension {} is {}, expected a value >= 0",
         quote_name(value), axis, proto.dim_value());
  }
  return proto.dim_value();
}

Type read_tensor_type(const onnx::TypeProto::Tensor& proto, SymbolTable& symbols,
                      std::string_view value) {
  if (proto.elem_type() == onnx::TensorProto::UNDEFINED) return Type{};
  const DType dtype = dtype_from_onnx(proto.elem_type());
  if (!proto.has_shape()) return Type::tensor(dtype);
  if (proto.shape().dim_size() > kLimits.max_rank) {
    fail(ErrorCode::InvalidModel, "value {}: rank is {}, expected at most {}", quote_name(value),
         proto.shape().dim_size(), kLimits.max_rank);
  }
  SymShape shape;
  for (int axis = 0; axis < proto.shape().dim_size(); ++axis) {
    shape.push_back(read_dim(proto.shape().dim(axis), symbols, value, axis));
  }
  return Type::tensor(dtype, std::move(shape));
}

/// The elements of a sequence may differ where a dimension is no number.
Type of_each_element(Type type) {
  if (type.shape && !known_shape(*type.shape)) type.shape.reset();
  return type;
}

}  // namespace

std::string SymbolTable::distinct(std::string symbol) {
  const std::string stem = symbol;
  while (true) {
    const auto [found, added] = taken_.try_emplace(symbol, 1);
    if (added) return symbol;
    symbol = stem + "_" + std::to_string(++taken_[stem]);
  }
}

Dim SymbolTable::named(const std::string& dim_param) {
  const auto [found, added] = by_param_.try_emplace(dim_param);
  if (added) found->second = distinct(sanitized(dim_param));
  return Dim::symbol(found->second);
}

Dim SymbolTable::unnamed(std::string_view value, int axis) {
  return Dim::symbol(distinct(sanitized(value) + "." + std::to_string(axis)));
}

Type read_type(const onnx::TypeProto& proto, SymbolTable& symbols, std::string_view value) {
  switch (proto.value_case()) {
    case onnx::TypeProto::kTensorType: return read_tensor_type(proto.tensor_type(), symbols, value);
    case onnx::TypeProto::kSequenceType:
      return Type::sequence(
          of_each_element(read_type(proto.sequence_type().elem_type(), symbols, value)));
    case onnx::TypeProto::kOptionalType:
      return Type::optional(read_type(proto.optional_type().elem_type(), symbols, value));
    case onnx::TypeProto::kMapType:
      fail(ErrorCode::Unsupported, "value {}: naru has no map type", quote_name(value));
    case onnx::TypeProto::kSparseTensorType:
      fail(ErrorCode::Unsupported, "value {}: naru has no sparse tensor type", quote_name(value));
    case onnx::TypeProto::kOpaqueType:
      fail(ErrorCode::Unsupported, "value {}: naru has no opaque type", quote_name(value));
    case onnx::TypeProto::VALUE_NOT_SET: break;
  }
  return Type{};
}

}  // namespace naru
