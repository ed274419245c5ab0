// Emitting element-wise chains: by the element-wise kernels, and behind convolution and matmul.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "backends/cpu/elementwise.h"
#include "backends/cpu/lowering.h"
#include "backends/cpu/row_chain.h"

namespace naru::cpu {

/// An operand of a chain, in a layout that the chain can walk.
struct ChainOperand {
  Rep rep;
  EwAccess access;
};

/// Input `i` broadcast to `output`, converted where its layout does not fit.
ChainOperand chain_operand(Lowering& lowering, std::size_t i, const Layout& output);
/// A value that has the output's own layout.
ChainOperand chain_operand(const Rep& rep);

/// Emits `steps` over `operands` into `output`, which may be the memory of one of them.
void emit_chain(Lowering& lowering, std::string kernel, std::vector<EwStep> steps,
                const std::vector<ChainOperand>& operands, const Rep& output);

/// A chain and what a step has to hand it: the operands, in their order.
struct BoundRowChain {
  RowChain chain;
  std::vector<Operand> operands;
};

/// `steps`, whose operands are inputs of the current node, as a chain over the rows of `output`: a row-major
/// matrix whose columns are the last dimension, or, channels-last, the channels. nullopt, with nothing
/// emitted, for operands that broadcast in other ways than by rows and columns.
std::optional<BoundRowChain> bind_row_chain(Lowering& lowering, std::vector<EwStep> steps, const Layout& output);

/// True for the element types that chains compute in f32.
bool is_chain_type(DType dtype);

}  // namespace naru::cpu
