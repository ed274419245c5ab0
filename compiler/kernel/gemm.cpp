// Gemm: packing of panels and the block kernel.
#include "compiler/kernel/gemm.h"

#include <algorithm>

#include "compiler/kernel/walk.h"

namespace naru::kernel {
namespace {

/// A block of results in registers, and where it goes.
struct ResultBlock {
  const Gemm& gemm;
  Buffer y;
  Array spill;  ///< for blocks at the border, rows x columns
  std::vector<Variable> sums;
  std::vector<Expr> batch;
  Expr base, row, column, rows, columns, row_stride;

  Expr finished(Call& call, Expr value, const Expr& at_row, const Expr& at_column) const {
    if (gemm.epilogue) value = gemm.epilogue(call, std::move(value), batch, at_row, at_column);
    return cast(value, y.element);
  }

  void store_vectors(Call& call) const {
    for (std::int32_t r = 0; r < gemm.tile.rows; ++r) {
      const Expr at_row = call.let(row + r);
      call.when(at_row < rows, [&] {
        const Expr line = call.let(base + at_row * row_stride);
        for (std::int32_t v = 0; v < gemm.tile.vectors; ++v) {
          const Expr n = call.let(column + v * gemm.tile.lanes);
          call.store(y, line + n, finished(call, sums[static_cast<std::size_t>(r * gemm.tile.vectors + v)], at_row, n));
        }
      });
    }
  }

  void store_elements(Call& call) const {
    const std::int32_t width = gemm.tile.columns();
    for (std::size_t i = 0; i < sums.size(); ++i) call.store(spill, static_cast<int>(i) * gemm.tile.lanes, sums[i]);
    call.loop(gemm.tile.rows, [&](const Expr& r) {
      const Expr at_row = call.let(row + r);
      call.when(at_row < rows, [&] {
        const Expr line = call.let(base + at_row * row_stride);
        call.loop(width, [&](const Expr& j) {
          const Expr n = call.let(column + j);
          call.when(n < columns, [&] { call.store(y, line + n, finished(call, call.load(spill, r * width + j), at_row, n)); });
        });
      });
    });
  }

  void store(Call& call) const {
    const bool vectors = gemm.vector_epilogue && (y.element == Element::F32 || gemm.tile.lanes == 1);
    if (!vectors) return store_elements(call);
    call.when(column <= columns - gemm.tile.columns(), [&] { store_vectors(call); }, [&] { store_elements(call); });
  }
};

}  // namespace

GemmTile gemm_tile(const Target& target, std::int64_t rows) {
  GemmTile tile;
  tile.lanes = target.vector_lanes;
  tile.vectors = 2;
  // Accumulators, the vectors of B and one broadcast of A share the registers.
  const std::int32_t most = std::max((target.vector_registers - tile.vectors - 1) / tile.vectors, 1);
  if (rows <= most) {
    tile.rows = static_cast<std::int32_t>(rows);
    return tile;
  }
  // The block height that wastes the fewest rows; the higher at a tie.
  tile.rows = most;
  const auto padded = [&](std::int32_t height) { return (rows + height - 1) / height * height; };
  for (std::int32_t height = most - 1; height >= std::max(most - 2, 1); --height) {
    if (padded(height) * 100 < padded(tile.rows) * 90) tile.rows = height;
  }
  return tile;
}

std::int64_t panel_count(std::int64_t columns, const GemmTile& tile) {
  return (columns + tile.columns() - 1) / tile.columns();
}

Rep pack_panels(Lowering& lowering, const Rep& b, std::int64_t matrices, std::int64_t matrix_stride,
                const MatrixPlace& place, std::int64_t depth, std::int64_t columns, const GemmTile& tile) {
  const std::int64_t panels = panel_count(columns, tile);
  const Rep packed = lowering.prepared(DType::F32, Shape{matrices, panels, depth, tile.columns()}, {b});
  const bool side_by_side = place.column == 1;
  const std::int32_t width = tile.columns();
  Call call(lowering, fmt::format("pack_panels_{}x{}", tile.vectors, tile.lanes));
  call.limit_group(16);
  const Buffer x = call.read(b);
  const Buffer y = call.write(packed);
  const Expr matrix = call.size(matrix_stride);
  const Expr row = call.size(place.row);
  const Expr column = side_by_side ? Expr(1) : call.size(place.column);
  const Expr count = call.size(columns);
  const std::vector<std::int64_t> extents = {matrices, panels, depth};
  const std::vector<Expr> shape = sizes(call, extents);
  const auto at = call.points(shape, extents);
  const Expr first = call.let(at[1] * width);
  const Expr from = call.let(at[0] * matrix + at[2] * row);
  const Expr to = call.let(ravel(at, shape) * width);
  const auto by_element = [&] {
    call.loop(width, [&](const Expr& j) {
      const Expr n = call.let(first + j);
      const Expr value = cast(call.load(x, from + call.let(min(n, count - 1)) * column), Element::F32);
      call.store(y, to + j, select(n < count, value, literal(Element::F32, 0)));
    });
  };
  const auto by_vector = [&] {
    for (std::int32_t v = 0; v < tile.vectors; ++v) {
      call.store(y, to + v * tile.lanes, call.load(x, from + first + v * tile.lanes, tile.lanes));
    }
  };
  if (side_by_side && x.element == Element::F32) {
    call.when(first <= count - width, by_vector, by_element);
  } else {
    by_element();
  }
  call.launch_prepared(naru::to_string(b.shape) + " -> " + naru::to_string(packed.shape));
  return packed;
}

void emit_gemm(Lowering& lowering, const char* name, const Gemm& gemm, std::string note) {
  const GemmTile& tile = gemm.tile;
  const std::int32_t width = tile.columns();
  Call call(lowering, fmt::format("{}_{}x{}x{}", name, tile.rows, tile.vectors, tile.lanes));
  call.limit_group(1);
  const Buffer a = call.read(gemm.a);
  const Buffer b = call.read(gemm.panels);
  const Buffer y = call.write(gemm.y);
  const Array block = call.array(Element::F32, tile.rows * width, false);
  if (gemm.bind) gemm.bind(call);
  const Expr rows = call.size(gemm.rows);
  const Expr columns = call.size(gemm.columns);
  const Expr depth = call.size(gemm.depth);
  const std::int64_t panels = panel_count(gemm.columns, tile);
  const std::int64_t blocks = (gemm.rows + tile.rows - 1) / tile.rows;
  std::vector<std::int64_t> extents = gemm.batch;
  extents.insert(extents.end(), {panels, blocks});
  std::vector<Expr> at = call.points(extents);
  const Expr row = call.let(at.back() * tile.rows);
  const Expr panel = at[at.size() - 2];
  const std::vector<Expr> batch(at.begin(), at.end() - 2);

  const Expr a_row = call.size(gemm.a_place.row);
  const Expr a_column = gemm.a_place.column == 1 ? Expr(1) : call.size(gemm.a_place.column);
  const Expr a_base = call.let(dot(call, batch, gemm.a_place.batch));
  const Expr b_base = call.let((dot(call, batch, gemm.b_matrix) * call.size(panels) + panel) * depth * width);
  std::vector<Expr> lines;
  for (std::int32_t r = 0; r < tile.rows; ++r) lines.push_back(call.let(a_base + min(row + r, rows - 1) * a_row));
  std::vector<Variable> sums;
  const Expr zero = splat(literal(Element::F32, 0), tile.lanes);
  for (std::int32_t i = 0; i < tile.rows * tile.vectors; ++i) sums.push_back(call.var(zero));
  call.loop(depth, [&](const Expr& k) {
    std::vector<Expr> vectors;
    for (std::int32_t v = 0; v < tile.vectors; ++v) {
      vectors.push_back(call.load(b, b_base + k * width + v * tile.lanes, tile.lanes));
    }
    const Expr step = call.let(k * a_column);
    for (std::int32_t r = 0; r < tile.rows; ++r) {
      const Expr factor = call.let(splat(cast(call.load(a, lines[static_cast<std::size_t>(r)] + step), Element::F32), tile.lanes));
      for (std::int32_t v = 0; v < tile.vectors; ++v) {
        const Variable& sum = sums[static_cast<std::size_t>(r * tile.vectors + v)];
        call.set(sum, apply(Op::Fma, {factor, vectors[static_cast<std::size_t>(v)], sum}));
      }
    }
  });
  const Expr y_base = call.let(dot(call, batch, gemm.y_place.batch));
  ResultBlock{gemm, y, block, sums, batch, y_base, row, call.let(panel * width), rows, columns, call.size(gemm.y_place.row)}.store(call);
  call.launch(std::move(note));
}

}  // namespace naru::kernel
