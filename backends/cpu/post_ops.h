// Chains of element-wise steps as oneDNN post-ops.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "backends/cpu/chain.h"

namespace naru::cpu {

/// A primitive that a chain follows. Operands of the chain are node inputs, by step.operand.
struct ChainedPrimitive {
  std::string kernel;
  Layout output;                        ///< what the primitive writes: the node's output, perhaps
                                        ///< with leading dimensions joined
  std::vector<EwStep> steps;
  std::vector<Rep> inputs;              ///< memory that the primitive reads; the output must not lie there
  bool channels_last = false;           ///< per-channel operands follow the last axis, not axis 1
  /// Makes the descriptor for an output descriptor and attributes; empty when not implemented.
  std::function<dnnl::primitive_desc(const dnnl::memory::desc& output, const dnnl::primitive_attr&)> make;
  /// The arguments of the descriptor finally chosen, but the output's and post-ops'.
  std::function<std::vector<Argument>(const dnnl::primitive_desc&)> bind;
  std::vector<Layout> preferred = {};   ///< output layouts to ask for, in order, instead of any
};

/// Emits the primitive with as many steps as post-ops as its fast implementation takes, the rest as
/// an element-wise chain over its output. False, with nothing emitted, when oneDNN has none.
bool emit_with_chain(Lowering& lowering, const ChainedPrimitive& chained);

}  // namespace naru::cpu
