// Chains: element-wise operators as expressions, alone and as the epilogue of other kernels.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "compiler/kernel/lowering.h"

namespace naru::kernel {

/// What an element-wise operator computes from; all operands have one type where the operator says so.
struct ElementArgs {
  Call& call;
  std::vector<Expr> x;
  Expr alpha;
  Expr beta;

  const Expr& operator[](std::size_t i) const { return x[i]; }
  Expr number(double value) const { return kernel::number(x[0], value); }
  Expr let(const Expr& value) const { return call.let(value); }
};

using ElementFunction = Expr (*)(ElementArgs&);

/// An element-wise operator: its expression, and the float attributes that are alpha and beta.
struct ElementOp {
  std::string_view op;
  ElementFunction function;
  const char* alpha = nullptr;
  const char* beta = nullptr;
};

/// The operators whose one output element depends on one element of each input.
std::span<const ElementOp> element_ops();
const ElementOp* find_element_op(std::string_view op);

/// Applies one operator.
Expr apply_element(Call& call, std::string_view op, std::vector<Expr> operands, double alpha = 0, double beta = 0);

/// The chain of post-ops of a fused node, whose operands are read while the output is written.
class Chain {
 public:
  /// Binds the operands; `output` is the shape of the fused node's result. Dimensions from `merge_from`
  /// on are walked as one.
  Chain(Lowering& lowering, Call& call, const Shape& output, std::int64_t merge_from);
  /// True when every operand has the output's dimensions from `merge_from` on, or repeats over all of them.
  static bool merges(const Lowering& lowering, const Shape& output, std::int64_t merge_from);
  /// The value after the chain at coordinates `at` of the output, outermost first. A vector holds
  /// elements side by side along the last dimension.
  Expr apply(Call& call, Expr value, const std::vector<Expr>& at) const;
  /// True when the operands can be read as vectors.
  bool takes_vectors() const;
  bool empty() const { return steps_.empty(); }

 private:
  struct Step {
    std::string_view op;
    double alpha = 0;
    double beta = 0;
    std::optional<Buffer> operand;
    std::vector<Expr> strides;  // of the operand; literal 0 repeats
  };
  std::vector<Step> steps_;
};

}  // namespace naru::kernel
