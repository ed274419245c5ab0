// Walks: merging of dimensions, index expressions, and reasons to refuse.
#include "compiler/kernel/walk.h"

#include <algorithm>

namespace naru::kernel {

void Walk::collapse() {
  std::vector<std::int64_t> merged;
  std::vector<std::vector<std::int64_t>> merged_strides(strides.size());
  for (std::size_t d = 0; d < extents.size(); ++d) {
    if (extents[d] == 1) continue;
    bool merges = !merged.empty();
    for (std::size_t i = 0; merges && i < strides.size(); ++i) {
      merges = merged_strides[i].back() == strides[i][d] * extents[d];
    }
    if (merges) {
      merged.back() *= extents[d];
    } else {
      merged.push_back(extents[d]);
    }
    for (std::size_t i = 0; i < strides.size(); ++i) {
      if (merges) {
        merged_strides[i].back() = strides[i][d];
      } else {
        merged_strides[i].push_back(strides[i][d]);
      }
    }
  }
  if (merged.empty()) {
    merged = {1};
    for (auto& own : merged_strides) own = {1};
  }
  extents = std::move(merged);
  strides = std::move(merged_strides);
}

Shape with_rank(const Shape& shape, std::int64_t rank) {
  std::vector<std::int64_t> dims(static_cast<std::size_t>(rank - shape.rank()), 1);
  dims.insert(dims.end(), shape.begin(), shape.end());
  return Shape(std::move(dims));
}

std::vector<std::int64_t> broadcast_strides(const Shape& from, const Shape& to) {
  const Shape aligned = with_rank(from, to.rank());
  std::vector<std::int64_t> strides = aligned.strides();
  for (std::size_t d = 0; d < strides.size(); ++d) {
    if (aligned[static_cast<std::int64_t>(d)] == 1) strides[d] = 0;
  }
  return strides;
}

Rep as_bits(Rep rep) {
  constexpr DType kBits[] = {DType::U8, DType::U16, DType::U32, DType::U64};
  const std::int64_t bytes = size_of(rep.element());
  rep.dtype = kBits[bytes == 1 ? 0 : bytes == 2 ? 1 : bytes == 4 ? 2 : 3];
  return rep;
}

Expr dot(Call& call, const std::vector<Expr>& at, const std::vector<std::int64_t>& strides) {
  Expr index(0);
  for (std::size_t d = 0; d < at.size(); ++d) {
    if (strides[d] == 0) continue;
    index = index + (strides[d] == 1 ? at[d] : at[d] * call.size(strides[d]));
  }
  return index;
}

Points walk_points(Call& call, const Walk& walk) {
  Points points;
  points.at = call.points(walk.extents);
  for (const auto& strides : walk.strides) points.index.push_back(call.let(dot(call, points.at, strides)));
  return points;
}

std::vector<Expr> sizes(Call& call, const std::vector<std::int64_t>& values) {
  std::vector<Expr> result;
  for (const std::int64_t value : values) result.push_back(call.size(value));
  return result;
}

std::vector<Expr> unravel(Call& call, Expr index, const std::vector<Expr>& extents) {
  std::vector<Expr> at(extents.size());
  for (std::size_t d = extents.size(); d-- > 0;) {
    at[d] = d == 0 ? index : call.let(index % extents[d]);
    if (d > 0) index = call.let(index / extents[d]);
  }
  return at;
}

Expr ravel(const std::vector<Expr>& at, const std::vector<Expr>& extents) {
  Expr index(0);
  for (std::size_t d = 0; d < at.size(); ++d) index = d == 0 ? at[d] : index * extents[d] + at[d];
  return index;
}

std::string refuses_type(DType dtype, const Target& target) {
  if (dtype == DType::Undefined) return "";
  if (!element_of(dtype)) return "element type " + std::string(naru::to_string(dtype));
  if (dtype == DType::F64 && !target.f64) return "the device does not compute f64";
  return "";
}

std::string refuses_size(const Type& type, const Target& target) {
  const auto shape = type.shape ? known_shape(*type.shape) : std::nullopt;
  if (!shape || type.dtype == DType::Undefined) return "";
  const std::int64_t bytes = storage_bytes(type.dtype, shape->numel());
  if (bytes <= target.max_buffer_bytes && std::max(shape->numel(), is_block(type.dtype) ? bytes : 0) <= INT32_MAX) return "";
  return fmt::format("a tensor of {} bytes, the device's limit is {}", bytes, target.max_buffer_bytes);
}

std::string refuses_value(const Type& type, const Target& target) {
  if (type.kind != TypeKind::Tensor && type.kind != TypeKind::Unknown) return "a value that is no tensor";
  std::string reason = refuses_type(type.dtype, target);
  return reason.empty() ? refuses_size(type, target) : reason;
}

std::string refuses_types(const NodeView& view, const Target& target) {
  if (!view.node.captures.empty()) return "it runs sub-graphs";
  for (const auto* ids : {&view.node.inputs, &view.node.outputs}) {
    for (const ValueId id : *ids) {
      if (id == kNoValue) continue;
      if (std::string reason = refuses_value(view.graph.value(id).type, target); !reason.empty()) return reason;
    }
  }
  return "";
}

std::string refuses_variable(const NodeView& view, std::initializer_list<std::size_t> inputs) {
  for (const std::size_t i : inputs) {
    if (view.has_input(i) && view.constant(i) == nullptr) {
      return "input '" + view.node.op->inputs[i].name + "' is not constant";
    }
  }
  return "";
}

}  // namespace naru::kernel
