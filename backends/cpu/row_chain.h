// RowChain: element-wise steps on rows of a result while they are in the cache.
#pragma once

#include <vector>

#include "backends/cpu/elementwise.h"

namespace naru::cpu {

/// Element-wise steps on rows of a result [rows, columns], in place.
class RowChain {
 public:
  /// How an operand broadcasts to the result: elements from row to row and from column to column.
  struct Access {
    std::int64_t row_stride = 0;
    std::int64_t column_stride = 0;  ///< 1, or 0 for one value per row
  };
  RowChain() = default;
  /// `step.operand` of a binary step indexes `operands`.
  RowChain(std::vector<EwStep> steps, std::vector<Access> operands);

  bool empty() const { return steps_.empty(); }
  /// Elements [first, first + count) of row `row`, which stand at `y`.
  void apply(float* y, std::int64_t row, std::int64_t first, std::int64_t count,
             const std::byte* const* operands) const;

 private:
  std::vector<EwStep> steps_;
  std::vector<EwLoop> loops_;
  std::vector<Access> operands_;
};

}  // namespace naru::cpu
