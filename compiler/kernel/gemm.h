// Gemm: the register-blocked matrix product that MatMul, Gemm and convolutions are made of.
//
// B lies in panels of as many columns as a block has, [matrix][panel][k][column], zero-padded: each
// step of the depth then reads whole vectors, whatever B's shape. One item computes one block of
// rows x columns in registers.
#pragma once

#include <functional>

#include "compiler/kernel/lowering.h"

namespace naru::kernel {

/// A block of the result: `rows` rows of `vectors` vectors.
struct GemmTile {
  std::int32_t rows = 6;
  std::int32_t vectors = 2;
  std::int32_t lanes = 8;
  std::int32_t columns() const { return vectors * lanes; }
};

/// The block for products of this many rows.
GemmTile gemm_tile(const Target& target, std::int64_t rows);

/// Where a matrix of a stack stands: strides in elements by batch dimension, row and column.
struct MatrixPlace {
  std::vector<std::int64_t> batch;
  std::int64_t row = 0;
  std::int64_t column = 1;
};

struct Gemm {
  std::vector<std::int64_t> batch;  ///< extents of the stack
  std::int64_t rows = 1;
  std::int64_t columns = 1;
  std::int64_t depth = 1;
  GemmTile tile;
  Rep a;
  MatrixPlace a_place;
  Rep panels;                             ///< f32, as pack_panels() makes them
  std::vector<std::int64_t> b_matrix;     ///< stride in matrices by batch dimension
  Rep y;
  MatrixPlace y_place;                    ///< columns lie side by side
  /// What becomes of an element before it is stored; batch coordinates, row and column. A vector holds
  /// elements of a row side by side: only where `vector_epilogue` says so.
  std::function<Expr(Call&, Expr value, const std::vector<Expr>& batch, Expr row, Expr column)> epilogue;
  bool vector_epilogue = true;
  /// Binds what the epilogue reads, before the grid is made.
  std::function<void(Call&)> bind;
};

std::int64_t panel_count(std::int64_t columns, const GemmTile& tile);

/// Panels of `matrices` matrices that lie `matrix_stride` apart in `b`. Constant ones are made once.
Rep pack_panels(Lowering& lowering, const Rep& b, std::int64_t matrices, std::int64_t matrix_stride,
                const MatrixPlace& place, std::int64_t depth, std::int64_t columns, const GemmTile& tile);

void emit_gemm(Lowering& lowering, const char* name, const Gemm& gemm, std::string note);

}  // namespace naru::kernel
