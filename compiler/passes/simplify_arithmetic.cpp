// simplify_arithmetic: neutral operations go, constants merge, and what is left takes a canonical
// form: constants on the right, Sub and exact Div of constants as Add and Mul, n-ary as binary.
#include <array>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "compiler/passes/passes.h"
#include "compiler/rewrite.h"
#include "graph/op_def.h"
#include "graph/scalar.h"

namespace naru {
namespace {

DType dtype_out(const Rewriter& rw, const Node& node) { return rw.type(node.outputs[0]).dtype; }
bool float_out(const Rewriter& rw, const Node& node) { return is_float(dtype_out(rw, node)); }
bool number_out(const Rewriter& rw, const Node& node) {
  return is_float(dtype_out(rw, node)) || is_integer(dtype_out(rw, node));
}

/// The first input stands for the result when no broadcast changes its shape.
bool bypass_left(Rewriter& rw, const Node& node) {
  const Type& left = rw.type(node.inputs[0]);
  const Type& out = rw.type(node.outputs[0]);
  return left.dtype == out.dtype && same_shape(left, out) && rw.bypass(node.inputs[0]);
}

bool neutral_right(Rewriter& rw, const Node& node, double neutral) {
  return number_out(rw, node) && uniform_constant(rw, node.inputs[1]) == neutral &&
         bypass_left(rw, node);
}
bool neutral_zero(Rewriter& rw, const Node& node) { return neutral_right(rw, node, 0.0); }
bool neutral_one(Rewriter& rw, const Node& node) { return neutral_right(rw, node, 1.0); }

bool constant_to_right(Rewriter& rw, const Node& node) {
  if (node.inputs.size() != 2 || rw.constant(node.inputs[0]) == nullptr) return false;
  if (rw.constant(node.inputs[1]) != nullptr) return false;
  rw.replace(node.op->full_name(), {node.inputs[1], node.inputs[0]}, node.attributes);
  return true;
}

/// x - c is x + (-c), exactly.
bool sub_to_add(Rewriter& rw, const Node& node) {
  const Tensor* right = rw.constant(node.inputs[1]);
  if (right == nullptr || !float_out(rw, node) || rw.constant(node.inputs[0]) != nullptr)
    return false;
  const ValueId negated =
      rw.add_constant(node.name + "/negated", evaluate_constant("Neg", {*right}));
  rw.replace("Add", {node.inputs[0], negated});
  return true;
}

/// x / 2^k is x * 2^-k, exactly, while both are normal numbers of the type.
bool div_to_mul(Rewriter& rw, const Node& node) {
  const Tensor* right = rw.constant(node.inputs[1]);
  const DType dtype = dtype_out(rw, node);
  if (right == nullptr || rw.constant(node.inputs[0]) != nullptr) return false;
  const int max_exponent = dtype == DType::F16 ? 13 : 120;
  if (dtype != DType::F32 && dtype != DType::F16 && dtype != DType::BF16 && dtype != DType::F64)
    return false;
  for (double value : to_wide<double>(*right)) {
    int exponent = 0;
    if (!std::isfinite(value) || std::abs(std::frexp(value, &exponent)) != 0.5) return false;
    if (std::abs(exponent - 1) > max_exponent) return false;
  }
  const ValueId inverse =
      rw.add_constant(node.name + "/inverse", evaluate_constant("Reciprocal", {*right}));
  rw.replace("Mul", {node.inputs[0], inverse});
  return true;
}

/// True when merging constants `a` and `b` into `merged` lost no range and no memory.
bool merges_well(const Tensor& a, const Tensor& b, const Tensor& merged) {
  if (merged.numel() > std::max(a.numel(), b.numel())) return false;
  if (!is_float(merged.dtype())) return true;
  for (double value : to_wide<double>(merged)) {
    if (!std::isfinite(value)) return false;
    if (value != 0 && std::abs(value) < 1e-30 && merged.dtype() != DType::F64) return false;
    if (value != 0 && std::abs(value) < 1e-4 && merged.dtype() == DType::F16) return false;
  }
  return true;
}

/// (x op a) op b is x op (a op b) for Add and Mul.
bool merge_constants(Rewriter& rw, const Node& node) {
  const Node* inner = rw.producer(node.inputs[0], node.op->full_name());
  const Tensor* outer = rw.constant(node.inputs[1]);
  if (inner == nullptr || outer == nullptr || !number_out(rw, node)) return false;
  const Tensor* nested = rw.constant(inner->inputs[1]);
  if (nested == nullptr || !rw.single_use(node.inputs[0])) return false;
  Tensor merged = evaluate_constant(node.op->full_name(), {*nested, *outer});
  if (!merges_well(*nested, *outer, merged)) return false;
  const ValueId x = inner->inputs[0];
  rw.replace(node.op->full_name(), {x, rw.add_constant(node.name + "/merged", std::move(merged))});
  return true;
}

/// Sum, Max, Min and Mean of one; of more: a chain of binary nodes.
bool variadic_to_binary(Rewriter& rw, const Node& node) {
  const bool sum = node.op->name == "Sum";
  if (node.inputs.size() == 1) return rw.bypass(node.inputs[0]);
  if (node.inputs.size() == 2 && !sum) return false;
  const std::string binary = sum ? "Add" : node.op->name;
  ValueId running = node.inputs[0];
  for (std::size_t i = 1; i + 1 < node.inputs.size(); ++i)
    running = rw.add(binary, {running, node.inputs[i]});
  rw.replace(binary, {running, node.inputs.back()});
  return true;
}
bool mean_of_one(Rewriter& rw, const Node& node) {
  return node.inputs.size() == 1 && rw.bypass(node.inputs[0]);
}

bool pow_to_mul(Rewriter& rw, const Node& node) {
  const std::optional<double> exponent = scalar_constant(rw, node.inputs[1]);
  const ValueId x = node.inputs[0];
  if (!exponent || !number_out(rw, node) || !same_shape(rw.type(x), rw.type(node.outputs[0])))
    return false;
  if (*exponent == 1) return rw.bypass(x);
  if (*exponent == 2) {
    rw.replace("Mul", {x, x});
    return true;
  }
  if (*exponent == 3) {
    rw.replace("Mul", {rw.add("Mul", {x, x}), x});
    return true;
  }
  return false;
}

/// f(f(x)) is f(x).
bool idempotent(Rewriter& rw, const Node& node) {
  return rw.producer(node.inputs[0], node.op->full_name()) != nullptr && rw.bypass(node.inputs[0]);
}

/// f(f(x)) is x.
bool involution(Rewriter& rw, const Node& node) {
  const Node* inner = rw.producer(node.inputs[0], node.op->full_name());
  return inner != nullptr && rw.bypass(inner->inputs[0]);
}

/// Abs of what is never negative.
bool abs_of_nonnegative(Rewriter& rw, const Node& node) {
  for (const char* op : {"Relu", "Sqrt", "Exp", "Sigmoid"}) {
    if (rw.producer(node.inputs[0], op) != nullptr) return rw.bypass(node.inputs[0]);
  }
  return false;
}

/// Bounds of a clipping node; infinite where absent. Nothing when a bound is no constant.
struct Bounds {
  double low = -INFINITY;
  double high = INFINITY;
};
std::optional<Bounds> bounds_of(const Rewriter& rw, const Node& node) {
  Bounds bounds;
  if (node.op->full_name() == "Relu") return Bounds{0, INFINITY};
  if (node.op->full_name() != "Clip") return std::nullopt;
  for (std::size_t i : {1, 2}) {
    if (!node.has_input(i)) continue;
    const std::optional<double> bound = scalar_constant(rw, node.inputs[i]);
    if (!bound || std::isnan(*bound)) return std::nullopt;
    (i == 1 ? bounds.low : bounds.high) = *bound;
  }
  return bounds;
}

ValueId scalar_like(Rewriter& rw, const Node& node, double value) {
  const DType dtype = dtype_out(rw, node);
  Tensor tensor(dtype, Shape{});
  store_f64(dtype, tensor.mutable_data(), 0, value);
  return rw.add_constant(node.name + "/bound", std::move(tensor));
}

void replace_by_clip(Rewriter& rw, const Node& node, ValueId x, Bounds bounds) {
  if (bounds.low == 0 && bounds.high == INFINITY) return rw.replace("Relu", {x});
  const ValueId low = std::isinf(bounds.low) ? kNoValue : scalar_like(rw, node, bounds.low);
  const ValueId high = std::isinf(bounds.high) ? kNoValue : scalar_like(rw, node, bounds.high);
  std::vector<ValueId> inputs{x, low, high};
  while (inputs.back() == kNoValue) inputs.pop_back();
  rw.replace("Clip", std::move(inputs));
}

/// Relu and Clip after Relu or Clip: one Clip. Clip without bounds goes.
bool merge_clips(Rewriter& rw, const Node& node) {
  const std::optional<Bounds> outer = bounds_of(rw, node);
  if (!outer || !float_out(rw, node)) return false;
  if (std::isinf(outer->low) && std::isinf(outer->high)) return rw.bypass(node.inputs[0]);
  const Node* inner = rw.producer(node.inputs[0]);
  const std::optional<Bounds> first = inner == nullptr ? std::nullopt : bounds_of(rw, *inner);
  if (!first || first->low > first->high || outer->low > outer->high) return false;
  const auto clamp = [&](double x) { return std::min(std::max(x, outer->low), outer->high); };
  replace_by_clip(rw, node, inner->inputs[0], {clamp(first->low), clamp(first->high)});
  return true;
}

/// Clip(x, 0) is Relu(x).
bool clip_to_relu(Rewriter& rw, const Node& node) {
  const std::optional<Bounds> bounds = bounds_of(rw, node);
  if (!bounds || !float_out(rw, node) || bounds->low != 0 || bounds->high != INFINITY) return false;
  rw.replace("Relu", {node.inputs[0]});
  return true;
}

/// Max and Min with the infinity that decides nothing; Max with zero is Relu. Other bounds are no
/// Clip: Max and Min keep a NaN, Clip need not.
bool bound_decided(Rewriter& rw, const Node& node) {
  if (node.inputs.size() != 2 || !float_out(rw, node)) return false;
  const std::optional<double> bound = scalar_constant(rw, node.inputs[1]);
  const ValueId x = node.inputs[0];
  if (!bound || !same_shape(rw.type(x), rw.type(node.outputs[0]))) return false;
  const bool lower = node.op->name == "Max";
  if (std::isinf(*bound)) return (*bound < 0) == lower && rw.bypass(x);
  if (!lower || *bound != 0) return false;
  rw.replace("Relu", {x});
  return true;
}

/// Where with a uniform condition.
bool where_decided(Rewriter& rw, const Node& node) {
  const Tensor* condition = rw.constant(node.inputs[0]);
  if (condition == nullptr || condition->dtype() != DType::Bool || condition->numel() == 0)
    return false;
  const bool first = load_u64(DType::Bool, condition->data(), 0) != 0;
  for (std::int64_t i = 1; i < condition->numel(); ++i) {
    if ((load_u64(DType::Bool, condition->data(), i) != 0) != first) return false;
  }
  const ValueId chosen = node.inputs[first ? 1 : 2];
  return same_shape(rw.type(chosen), rw.type(node.outputs[0])) && rw.bypass(chosen);
}

/// x + (-y) and x - (-y).
bool add_of_neg(Rewriter& rw, const Node& node) {
  const Node* inner = rw.producer(node.inputs[1], "Neg");
  if (inner == nullptr) return false;
  rw.replace(node.op->name == "Add" ? "Sub" : "Add", {node.inputs[0], inner->inputs[0]});
  return true;
}

constexpr std::array kRules{
    Rule{"add_constant_to_right", "Add", constant_to_right},
    Rule{"mul_constant_to_right", "Mul", constant_to_right},
    Rule{"max_constant_to_right", "Max", constant_to_right},
    Rule{"min_constant_to_right", "Min", constant_to_right},
    Rule{"add_zero", "Add", neutral_zero},
    Rule{"sub_zero", "Sub", neutral_zero},
    Rule{"mul_one", "Mul", neutral_one},
    Rule{"div_one", "Div", neutral_one},
    Rule{"add_of_neg", "Add", add_of_neg},
    Rule{"sub_of_neg", "Sub", add_of_neg},
    Rule{"sub_to_add", "Sub", sub_to_add},
    Rule{"div_to_mul", "Div", div_to_mul},
    Rule{"pow_to_mul", "Pow", pow_to_mul},
    Rule{"merge_added_constants", "Add", merge_constants},
    Rule{"merge_multiplied_constants", "Mul", merge_constants},
    Rule{"sum_to_add", "Sum", variadic_to_binary},
    Rule{"max_to_binary", "Max", variadic_to_binary},
    Rule{"min_to_binary", "Min", variadic_to_binary},
    Rule{"mean_of_one", "Mean", mean_of_one},
    Rule{"relu_idempotent", "Relu", idempotent},
    Rule{"abs_idempotent", "Abs", idempotent},
    Rule{"ceil_idempotent", "Ceil", idempotent},
    Rule{"floor_idempotent", "Floor", idempotent},
    Rule{"round_idempotent", "Round", idempotent},
    Rule{"sign_idempotent", "Sign", idempotent},
    Rule{"not_twice", "Not", involution},
    Rule{"neg_twice", "Neg", involution},
    Rule{"abs_of_nonnegative", "Abs", abs_of_nonnegative},
    Rule{"clip_to_relu", "Clip", clip_to_relu},
    Rule{"merge_clip", "Clip", merge_clips},
    Rule{"merge_relu", "Relu", merge_clips},
    Rule{"max_bound", "Max", bound_decided},
    Rule{"min_bound", "Min", bound_decided},
    Rule{"where_decided", "Where", where_decided},
};

}  // namespace

bool simplify_arithmetic(Graph& graph) { return rewrite(graph, kRules); }

}  // namespace naru
