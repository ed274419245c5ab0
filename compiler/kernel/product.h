// Product: the matrix product of a node, whichever operator it is, and what follows each of its elements.
#pragma once

#include <optional>
#include <vector>

#include "compiler/kernel/chain.h"
#include "compiler/kernel/gemm.h"

namespace naru::kernel {

/// One matrix product of the current node, with 1-dimensional operands made matrices.
struct Product {
  Shape a_batch, b_batch, batch;
  std::int64_t rows = 1, columns = 1, depth = 1;
  MatrixPlace a, b;         ///< strides of one matrix; batch strides by dimension of `batch`
  double alpha = 1;
  double beta = 1;
  bool has_addend = false;
};

Product product_of(const Lowering& lowering);

/// Strides by dimension of `batch` of a stack whose matrices have `matrix` elements.
std::vector<std::int64_t> batch_strides(const Shape& own, const Shape& batch, std::int64_t matrix);

/// alpha * value + beta * C, then the chain of post-ops.
class Epilogue {
 public:
  Epilogue(Lowering& lowering, const Product& product) : lowering_(lowering), product_(product) {}

  /// Binds the operands, before the grid is made.
  void bind(Call& call);
  /// True when the addend and the chain's operands can be read as vectors along a row.
  bool takes_vectors() const;
  Expr operator()(Call& call, Expr value, const std::vector<Expr>& batch, const Expr& row, const Expr& column) const;

 private:
  Shape with_matrix(const Shape& y) const;
  std::vector<Expr> coordinates(Call& call, const std::vector<Expr>& batch, const Expr& row, const Expr& column) const;

  Lowering& lowering_;
  const Product& product_;
  Shape shape_, whole_;
  std::vector<Expr> extents_;
  Buffer addend_;
  std::vector<Expr> addend_strides_;
  std::optional<Chain> chain_;
};

}  // namespace naru::kernel
