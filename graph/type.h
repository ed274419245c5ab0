// Type: what is known of a value before it exists: kind, element type, symbolic shape.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "graph/dim.h"
#include "naru/dtype.h"
#include "naru/tensor.h"

namespace naru {

enum class TypeKind : std::uint8_t { Unknown, Tensor, Sequence, Optional };

/// The type of a graph value. A tensor's dtype may be Undefined and its shape absent (unknown rank).
struct Type {
  TypeKind kind = TypeKind::Unknown;
  DType dtype = DType::Undefined;
  std::optional<SymShape> shape;
  std::shared_ptr<const Type> element;  ///< of a Sequence or Optional

  static Type tensor(DType dtype) { return {TypeKind::Tensor, dtype, std::nullopt, nullptr}; }
  static Type tensor(DType dtype, SymShape shape) {
    return {TypeKind::Tensor, dtype, std::move(shape), nullptr};
  }
  static Type tensor(DType dtype, const Shape& shape) { return tensor(dtype, to_sym(shape)); }
  static Type sequence(Type element) {
    return {TypeKind::Sequence, DType::Undefined, std::nullopt,
            std::make_shared<const Type>(std::move(element))};
  }
  static Type optional(Type element) {
    return {TypeKind::Optional, DType::Undefined, std::nullopt,
            std::make_shared<const Type>(std::move(element))};
  }
  /// The exact type of a run-time value.
  static Type of(const Datum& value);

  bool is_tensor() const noexcept { return kind == TypeKind::Tensor; }
  /// True for a tensor whose element type and every dimension are known.
  bool is_static() const;
  bool operator==(const Type& other) const;
};

/// For example "f32[batch,3,640,640]", "f32[*]" for unknown rank, "seq(i64[])", "optional(...)".
std::string to_string(const Type& type);

/// Combines what two sources know of one value. @throws Error InvalidModel when they contradict.
Type merge(const Type& a, const Type& b);

/// The most precise type that holds values of both (branches of If, iterations of Loop): a
/// dimension that differs becomes `fresh()`.
Type join(const Type& a, const Type& b, const std::function<Dim()>& fresh);

}  // namespace naru
