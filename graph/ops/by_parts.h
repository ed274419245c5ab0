// Operators that mean nothing but their decomposition: its types are theirs, its value is theirs.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "graph/op_def.h"

namespace naru {

/// An operator of com.microsoft whose rule and reference are those of its parts. `inputs` and
/// `outputs` are names; one that ends in "?" is optional, in "*" variadic. `decompose` sees exact
/// types before a run and may refuse while types are open.
OpDef by_parts(const char* name, const char* doc, std::initializer_list<const char*> inputs,
               std::initializer_list<const char*> outputs, std::vector<AttrSpec> attributes,
               bool (*decompose)(DecomposeContext&));

/// What decompositions of com.microsoft's operators have in common.
class Parts {
 public:
  explicit Parts(DecomposeContext& context) : ctx(context), node(context.node) {}

  DecomposeContext& ctx;
  const Node& node;

  bool has(std::size_t i) const { return ctx.has_input(i); }
  /// The input, kNoValue when it is absent.
  ValueId in(std::size_t i) const { return has(i) ? ctx.input(i) : kNoValue; }
  DType dtype(std::size_t i) const { return ctx.type(ctx.input(i)).dtype; }
  /// The rank of an input; nullopt while it is open.
  std::optional<std::int64_t> rank(std::size_t i) const;
  /// A dimension of an input; nullopt while it is open.
  std::optional<std::int64_t> dim(std::size_t i, std::size_t axis) const;
  bool wants(std::size_t i) const { return node.has_output(i); }

  ValueId add(const char* op, std::vector<ValueId> inputs, Attributes attributes = {}) {
    return ctx.add(op, std::move(inputs), std::move(attributes));
  }
  /// a + b, or the one that is there.
  ValueId sum(ValueId a, ValueId b) {
    if (a == kNoValue || b == kNoValue) return a == kNoValue ? b : a;
    return add("Add", {a, b});
  }
  ValueId transpose(ValueId x, std::vector<std::int64_t> perm) { return add("Transpose", {x}, {{"perm", std::move(perm)}}); }
  ValueId reshape(ValueId x, std::vector<std::int64_t> shape) { return add("Reshape", {x, ctx.ints(std::move(shape))}); }
  ValueId unsqueeze(ValueId x, std::vector<std::int64_t> axes) { return add("Unsqueeze", {x, ctx.ints(std::move(axes))}); }
  ValueId squeeze(ValueId x, std::vector<std::int64_t> axes) { return add("Squeeze", {x, ctx.ints(std::move(axes))}); }
  ValueId cast(ValueId x, DType to);
  /// The length of an axis as i64[1].
  ValueId length(ValueId x, std::int64_t axis) { return add("Shape", {x}, {{"start", axis}, {"end", axis + 1}}); }
  /// 0, 1, ... up to, not including, the i64[1] `count`.
  ValueId count_up(ValueId count);
  /// The channel axis of a value of `rank` axes goes from last to second, and back.
  ValueId channels_first(ValueId x, std::int64_t rank);
  ValueId channels_last(ValueId x, std::int64_t rank);
  /// The activation that a fused operator names; kNoValue for an unknown one.
  ValueId activate(ValueId x, DType dtype, const std::string& name, const std::vector<float>& params);
  void set(std::size_t i, ValueId value) {
    if (wants(i)) ctx.set_output(i, value);
  }
};

}  // namespace naru
