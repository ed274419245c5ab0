// Sub-graph helpers: widening of carried types and stacking of scan outputs.
#include "graph/ops/subgraphs.h"

#include "graph/ops/movement.h"
#include "graph/scalar.h"

namespace naru {

bool CarriedTypes::widen(std::span<const Type> next) {
  bool wider = false;
  for (std::size_t i = 0; i < types_.size(); ++i) {
    if (any_[i]) continue;
    const TypeKind before = types_[i].kind, after = next[i].kind;
    if (before != after && (before == TypeKind::Optional || after == TypeKind::Optional) &&
        before != TypeKind::Unknown && after != TypeKind::Unknown) {
      types_[i] = {};
      any_[i] = wider = true;
    } else {
      wider = widen(types_[i], next[i]) || wider;
    }
  }
  return wider;
}

bool CarriedTypes::widen(Type& type, const Type& next) {
  if (next.kind == TypeKind::Unknown) return false;
  if (type.kind == TypeKind::Unknown) {
    type = next;
    return true;
  }
  ctx_.require(type.kind == next.kind, "carried value: got {} after an iteration, expected {}",
               to_string(next), to_string(type));
  if (!type.is_tensor()) {
    Type element = *type.element;
    const bool wider = widen(element, *next.element);
    type.element = std::make_shared<const Type>(std::move(element));
    return wider;
  }
  if (type.dtype == DType::Undefined && next.dtype != DType::Undefined) {
    type.dtype = next.dtype;
    return true;
  }
  ctx_.require(type.dtype == next.dtype || next.dtype == DType::Undefined,
               "carried value: got {} after an iteration, expected {}", to_string(next), to_string(type));
  if (!type.shape) return false;
  if (!next.shape || next.shape->size() != type.shape->size()) {
    type.shape.reset();
    return true;
  }
  bool wider = false;
  for (std::size_t i = 0; i < type.shape->size(); ++i) {
    Dim& dim = (*type.shape)[i];
    if (dim == (*next.shape)[i] || (dim.is_symbol() && open_.contains(dim.to_string()))) continue;
    dim = ctx_.fresh_dim();
    open_.insert(dim.to_string());
    wider = true;
  }
  return wider;
}

Type CarriedTypes::closed(const Type& type) {
  Type result = type;
  if (result.element) result.element = std::make_shared<const Type>(closed(*type.element));
  if (!result.shape) return result;
  for (Dim& dim : *result.shape) {
    // Inside the body an open dimension is any iteration's, outside it is the last one's.
    if (dim.is_symbol() && open_.contains(dim.to_string())) dim = ctx_.fresh_dim();
  }
  return result;
}

std::vector<Type> CarriedTypes::final_types() {
  std::vector<Type> result;
  for (const Type& type : types_) result.push_back(closed(type));
  return result;
}

namespace {

/// No parts: the inferred shape with 0 where nothing is known.
Tensor empty_stack(const ReferenceContext& ctx, const Type& type) {
  ctx.require(type.dtype != DType::Undefined, "scan output: got no iterations, expected a known element type");
  Shape shape;
  if (type.shape) {
    for (const Dim& dim : *type.shape) shape.push_back(dim.is_known() ? dim.value() : 0);
  } else {
    shape = {0};
  }
  return Tensor(type.dtype, std::move(shape));
}

}  // namespace

Tensor stack(const ReferenceContext& ctx, const std::vector<Tensor>& parts, const Type& empty,
             std::int64_t axis, bool reversed) {
  if (parts.empty()) return empty_stack(ctx, empty);
  const Tensor& first = parts.front();
  axis = ctx.normalize_axis(axis, first.rank() + 1);
  const auto count = static_cast<std::int64_t>(parts.size());
  std::vector<std::int64_t> dims = first.shape().dims();
  dims.insert(dims.begin() + axis, count);
  Tensor out(first.dtype(), Shape(std::move(dims)));
  StridedView to = dense_view(out);
  const std::int64_t step = to.strides[static_cast<std::size_t>(axis)];
  to.strides.erase(to.strides.begin() + axis);
  for (std::int64_t i = 0; i < count; ++i) {
    const Tensor& part = parts[static_cast<std::size_t>(i)];
    ctx.require(part.dtype() == first.dtype() && part.shape() == first.shape(),
                "scan output: got {} in iteration {}, expected {}", to_string(part), i, to_string(first));
    to.offset = (reversed ? count - 1 - i : i) * step;
    copy_strided(out, to, part, dense_view(part), part.shape().dims());
  }
  return out;
}

std::int64_t single_value(const ReferenceContext& ctx, const char* what, const Tensor& tensor) {
  ctx.require(tensor.numel() == 1, "{}: got {}, expected a single element", what, to_string(tensor));
  return to_wide<std::int64_t>(tensor).front();
}

std::size_t formal_input_count(const Node& node, const Graph& graph) {
  if (graph.inputs.size() < node.captures.size()) {
    fail(ErrorCode::InvalidModel, "{}: sub-graph '{}': got {} inputs, expected at least {} for captures",
         node.label(), graph.name, graph.inputs.size(), node.captures.size());
  }
  return graph.inputs.size() - node.captures.size();
}

}  // namespace naru
