// TypeSet: its text form and the checks that inference rules share.
#include "graph/ops/type_set.h"

namespace naru {

std::string to_string(TypeSet types) {
  std::string text;
  for (const DTypeInfo& info : all_dtypes()) {
    if (!types.contains(info.dtype)) continue;
    if (!text.empty()) text += '|';
    text += info.name;
  }
  return text;
}

void require_type(const InferContext& ctx, std::size_t i, TypeSet types) {
  const Type& type = ctx.input(i);
  if (type.kind == TypeKind::Unknown) return;
  ctx.require(type.is_tensor(), "input {}: got {}, expected a tensor", i, to_string(type));
  ctx.require(type.dtype == DType::Undefined || types.contains(type.dtype),
              "input {}: got element type {}, expected {}", i, to_string(type.dtype), to_string(types));
}

DType require_common_type(const InferContext& ctx, std::size_t first, std::size_t last, TypeSet types) {
  DType common = DType::Undefined;
  for (std::size_t i = first; i < last && i < ctx.input_count(); ++i) {
    if (!ctx.has_input(i)) continue;
    require_type(ctx, i, types);
    const DType dtype = ctx.dtype(i);
    if (dtype == DType::Undefined) continue;
    ctx.require(common == DType::Undefined || dtype == common,
                "input {}: got element type {}, expected {} as of the inputs before", i,
                to_string(dtype), to_string(common));
    common = dtype;
  }
  return common;
}

}  // namespace naru
