// RowChain: the loop over steps, and how operands become rows and columns.
#include "backends/cpu/row_chain.h"

#include <algorithm>

#include "backends/cpu/chain.h"

namespace naru::cpu {

RowChain::RowChain(std::vector<EwStep> steps, std::vector<Access> operands)
    : steps_(std::move(steps)), operands_(std::move(operands)) {
  for (const EwStep& step : steps_) loops_.push_back(ew_loop(step.op));
}

void RowChain::apply(float* y, std::int64_t row, std::int64_t first, std::int64_t count,
                     const std::byte* const* operands) const {
  constexpr std::int64_t kTile = 256;
  alignas(64) float spread[kTile];
  for (std::int64_t done = 0; done < count; done += kTile) {
    const std::int64_t width = std::min(kTile, count - done);
    for (std::size_t s = 0; s < steps_.size(); ++s) {
      const EwStep& step = steps_[s];
      const float* b = nullptr;
      if (is_binary(step.op)) {
        const auto index = static_cast<std::size_t>(step.operand);
        const Access& access = operands_[index];
        b = reinterpret_cast<const float*>(operands[index]) + row * access.row_stride +
            (first + done) * access.column_stride;
        if (access.column_stride == 0) {
          std::fill_n(spread, width, *b);
          b = spread;
        }
      }
      loops_[s](y + done, y + done, b, width, step.alpha, step.beta);
    }
  }
}

namespace {

/// How an operand of `shape` broadcasts to rows of `output`; nullopt for patterns beyond rows and columns.
std::optional<RowChain::Access> access_of(const Shape& shape, const Layout& output) {
  const std::int64_t axis = output.is_plain() ? output.shape.rank() - 1 : 1;
  const std::int64_t columns = output.shape[axis];
  const std::int64_t rows = output.shape.numel() / columns;
  const Shape whole = with_rank(shape, output.shape.rank());
  const std::int64_t own = whole[axis];
  const std::int64_t leading = whole.numel() / own;
  if ((own != columns && own != 1) || (leading != rows && leading != 1)) return std::nullopt;
  // A whole matrix has to lie as the output does, and only a value of its shape can be brought there.
  if (!output.is_plain() && own != 1 && leading != 1 && shape != output.shape) return std::nullopt;
  return RowChain::Access{leading == 1 ? 0 : own, own == 1 && columns != 1 ? 0 : 1};
}

/// Input `i` as rows: one value per row or column lies alike in every layout.
Rep operand_of(Lowering& lowering, std::size_t i, const Layout& output) {
  return lowering.shape(i) == output.shape ? lowering.as(i, output) : lowering.plain(i);
}

}  // namespace

std::optional<BoundRowChain> bind_row_chain(Lowering& lowering, std::vector<EwStep> steps, const Layout& output) {
  std::vector<RowChain::Access> accesses;
  for (const EwStep& step : steps) {
    if (!is_binary(step.op)) continue;
    const std::optional<RowChain::Access> access = access_of(lowering.shape(static_cast<std::size_t>(step.operand)), output);
    if (!access) return std::nullopt;
    accesses.push_back(*access);
  }
  BoundRowChain bound;
  for (EwStep& step : steps) {
    if (!is_binary(step.op)) continue;
    bound.operands.push_back(Lowering::reads(operand_of(lowering, static_cast<std::size_t>(step.operand), output)));
    step.operand = static_cast<std::int32_t>(bound.operands.size() - 1);
  }
  bound.chain = RowChain(std::move(steps), std::move(accesses));
  return bound;
}

}  // namespace naru::cpu
