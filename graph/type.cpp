// Type: text, merge of knowledge, join of alternatives.
#include "graph/type.h"

#include "graph/fail.h"

namespace naru {

namespace {

/// The type that all elements of a sequence have; without a shape where shapes differ.
Type common_element(const std::vector<Datum>& elements) {
  if (elements.empty()) return {};
  Type common = Type::of(elements.front());
  for (const Datum& element : elements) {
    const Type type = Type::of(element);
    if (type == common) continue;
    if (!type.is_tensor() || type.dtype != common.dtype) return {};
    common.shape.reset();
  }
  return common;
}

}  // namespace

Type Type::of(const Datum& value) {
  switch (value.kind) {
    case Datum::Kind::Sequence:
      return sequence(common_element(value.elements));
    case Datum::Kind::Optional:
      return optional(value.elements.empty() ? Type{} : of(value.elements.front()));
    case Datum::Kind::Tensor: break;
  }
  return tensor(value.tensor.dtype(), value.tensor.shape());
}

bool Type::is_static() const {
  return is_tensor() && dtype != DType::Undefined && shape && known_shape(*shape);
}

bool Type::operator==(const Type& other) const {
  if (kind != other.kind || dtype != other.dtype || shape != other.shape) return false;
  if (element == nullptr || other.element == nullptr) return element == other.element;
  return *element == *other.element;
}

std::string to_string(const Type& type) {
  switch (type.kind) {
    case TypeKind::Unknown: return "unknown";
    case TypeKind::Sequence: return "seq(" + to_string(*type.element) + ")";
    case TypeKind::Optional: return "optional(" + to_string(*type.element) + ")";
    case TypeKind::Tensor: break;
  }
  const std::string shape = type.shape ? to_string(*type.shape) : "[*]";
  return std::string(to_string(type.dtype)) + shape;
}

namespace {

[[noreturn]] void contradiction(const Type& a, const Type& b) {
  fail(ErrorCode::InvalidModel, "type: got {}, expected {}", to_string(b), to_string(a));
}

}  // namespace

Type merge(const Type& a, const Type& b) {
  if (a.kind == TypeKind::Unknown) return b;
  if (b.kind == TypeKind::Unknown) return a;
  if (a.kind != b.kind) contradiction(a, b);
  if (!a.is_tensor()) {
    Type result = a;
    result.element = std::make_shared<const Type>(merge(*a.element, *b.element));
    return result;
  }
  if (a.dtype != DType::Undefined && b.dtype != DType::Undefined && a.dtype != b.dtype) {
    contradiction(a, b);
  }
  Type result = a;
  if (a.dtype == DType::Undefined) result.dtype = b.dtype;
  if (!a.shape) {
    result.shape = b.shape;
  } else if (b.shape) {
    if (a.shape->size() != b.shape->size()) contradiction(a, b);
    for (std::size_t i = 0; i < a.shape->size(); ++i) {
      const Dim& left = (*a.shape)[i];
      const Dim& right = (*b.shape)[i];
      if (left.is_known() && right.is_known() && !(left == right)) contradiction(a, b);
      if (!left.is_known() && right.is_known()) (*result.shape)[i] = right;
    }
  }
  return result;
}

Type join(const Type& a, const Type& b, const std::function<Dim()>& fresh) {
  if (a.kind == TypeKind::Unknown) return b;
  if (b.kind == TypeKind::Unknown) return a;
  if (a.kind != b.kind) contradiction(a, b);
  if (!a.is_tensor()) {
    Type result = a;
    result.element = std::make_shared<const Type>(join(*a.element, *b.element, fresh));
    return result;
  }
  if (a.dtype != b.dtype) contradiction(a, b);
  Type result = a;
  if (!a.shape || !b.shape || a.shape->size() != b.shape->size()) {
    result.shape.reset();
    return result;
  }
  for (std::size_t i = 0; i < a.shape->size(); ++i) {
    if (!((*a.shape)[i] == (*b.shape)[i])) (*result.shape)[i] = fresh();
  }
  return result;
}

}  // namespace naru
