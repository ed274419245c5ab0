// Post-ops: the chains of element-wise operators that Naru's fused operators apply to their
// results.
//
// naru.FusedConv, naru.FusedConvTranspose: X, W, optional B, operands; attributes of the ONNX
// operator. naru.FusedMatMul: A, B, optional C (added after alpha, broadcasts to the output),
// operands;
//   transA and transB swap the last two axes, alpha scales the product.
// naru.FusedElementwise: X, operands; the output's shape is the broadcast of all.
//
// post_ops is a chain of operator names that the running value passes through; post_args holds two
// numbers for each, alpha and beta, 0 where a name has none. A binary one combines the running
// value (left) with the next operand (right), which broadcasts to the output and has its element
// type.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graph/op_def.h"

namespace naru {

/// An operator that may stand in post_ops.
struct PostOp {
  const char* name;             ///< the ONNX operator of the same meaning
  const char* alpha = nullptr;  ///< the float attribute that alpha holds
  const char* beta = nullptr;
  bool binary = false;
};

/// All of them. Clip holds its bounds in alpha and beta (infinite where absent); Gelu's alpha is 1
/// for the tanh form.
std::span<const PostOp> post_ops();
/// The record of an operator, null when it is no post-op.
const PostOp* find_post_op(std::string_view name);

/// A step of a chain.
struct PostStep {
  const PostOp* op = nullptr;
  float alpha = 0;
  float beta = 0;
};

/// The steps of a fused node. @throws Error InvalidModel on names or counts that do not fit.
std::vector<PostStep> post_steps(const Node& node);
/// The attributes that hold these steps.
void set_post_steps(Attributes& attributes, std::span<const PostStep> steps);
/// The first input that is an operand of a step.
std::size_t first_operand(const Node& node);

/// The step that a standard node is, when it is one; `constant` gives the values of its inputs.
std::optional<PostStep> as_post_step(const Node& node,
                                     const std::function<const Tensor*(ValueId)>& constant);

}  // namespace naru
