// Checks and small computations that the rules of the neural-network operators share.
#include "graph/ops/nn_rules.h"

#include <algorithm>

namespace naru {
namespace {

const std::string& formal_name(const InferContext& ctx, std::size_t i) {
  const auto& formal = ctx.node.op->inputs;
  return formal[std::min(i, formal.size() - 1)].name;
}

}  // namespace

void expect_type(const InferContext& ctx, std::size_t i, TypeSet types) {
  if (ctx.has_input(i)) require_type(ctx, i, types);
}

DType expect_common_type(const InferContext& ctx, std::initializer_list<std::size_t> inputs,
                         TypeSet types) {
  DType common = DType::Undefined;
  for (std::size_t i : inputs) {
    expect_type(ctx, i, types);
    if (!ctx.has_input(i) || ctx.dtype(i) == DType::Undefined) continue;
    if (common == DType::Undefined) common = ctx.dtype(i);
    ctx.require(ctx.dtype(i) == common, "{}: got element type {}, expected {}",
                formal_name(ctx, i), to_string(ctx.dtype(i)), to_string(common));
  }
  return common;
}

const SymShape* expect_rank(const InferContext& ctx, std::size_t i, std::size_t rank) {
  if (!ctx.has_input(i)) return nullptr;
  const SymShape* shape = ctx.shape(i);
  if (shape == nullptr || shape->size() == rank) return shape;
  ctx.reject(fmt::format("{}: got shape {}, expected rank {}", formal_name(ctx, i),
                         to_string(*shape), rank));
}

const SymShape* expect_min_rank(const InferContext& ctx, std::size_t i, std::size_t rank) {
  if (!ctx.has_input(i)) return nullptr;
  const SymShape* shape = ctx.shape(i);
  if (shape == nullptr || shape->size() >= rank) return shape;
  ctx.reject(fmt::format("{}: got shape {}, expected rank {} or more", formal_name(ctx, i),
                         to_string(*shape), rank));
}

Dim expect_equal(const InferContext& ctx, const Dim& got, const Dim& expected,
                 std::string_view what) {
  if (got.is_known() && expected.is_known()) {
    ctx.require(got == expected, "{}: got {}, expected {}", what, got.value(), expected.value());
  }
  return expected.is_known() ? expected : got.is_known() ? got : expected;
}

void expect_vector(const InferContext& ctx, std::size_t i, const Dim& length) {
  if (const SymShape* shape = expect_rank(ctx, i, 1)) {
    expect_equal(ctx, (*shape)[0], length, formal_name(ctx, i) + ": length");
  }
}

void expect_single(const InferContext& ctx, std::size_t i) {
  if (!ctx.has_input(i) || ctx.shape(i) == nullptr) return;
  for (const Dim& dim : *ctx.shape(i)) {
    if (!dim.is_known() || dim == Dim(1)) continue;
    ctx.reject(fmt::format("{}: got shape {}, expected one element", formal_name(ctx, i),
                           to_string(*ctx.shape(i))));
  }
}

void expect_broadcasts_to(const InferContext& ctx, std::size_t i, const SymShape& shape) {
  if (!ctx.has_input(i) || ctx.shape(i) == nullptr) return;
  const SymShape& from = *ctx.shape(i);
  bool fits = from.size() <= shape.size();
  for (std::size_t axis = 0; fits && axis < from.size(); ++axis) {
    const Dim& own = from[axis];
    const Dim& target = shape[shape.size() - from.size() + axis];
    fits = !own.is_known() || !target.is_known() || own == Dim(1) || own == target;
  }
  ctx.require(fits, "{}: got shape {}, expected one that broadcasts to {}", formal_name(ctx, i),
              to_string(from), to_string(shape));
}

std::size_t expect_choice(const Node& node, std::string_view attribute,
                          std::initializer_list<std::string_view> allowed) {
  const std::string& value = node.attr_string(attribute);
  const auto found = std::find(allowed.begin(), allowed.end(), value);
  if (found != allowed.end()) return static_cast<std::size_t>(found - allowed.begin());
  std::string names;
  for (std::string_view name : allowed) {
    if (!names.empty()) names += "|";
    names += name;
  }
  fail(ErrorCode::InvalidModel, "{}: {}: got '{}', expected {}", node.label(), attribute, value,
       names);
}

void infer_like_input(InferContext& ctx) {
  expect_type(ctx, 0, kFloats);
  ctx.set_output(0, ctx.input(0));
}

double element_count(const Type& type) {
  if (!type.shape) return 0;
  double count = 1;
  for (const Dim& dim : *type.shape) {
    if (!dim.is_known()) return 0;
    count *= static_cast<double>(dim.value());
  }
  return count;
}

double total_bytes(std::span<const Type> inputs, std::span<const Type> outputs) {
  double bytes = 0;
  for (std::span<const Type> types : {inputs, outputs}) {
    for (const Type& type : types) {
      const DTypeInfo& info = dtype_info(type.dtype);
      if (info.block_elements > 0) {
        bytes += element_count(type) * info.block_bytes / info.block_elements;
      }
    }
  }
  return bytes;
}

}  // namespace naru
