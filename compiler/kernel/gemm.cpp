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

namespace {

/// Panels that stay in a cache while all rows pass by: the left operand is then read once for each such
/// group and not for each panel.
std::int64_t panels_together(const Gemm& gemm, std::int64_t panels) {
  constexpr std::int64_t kCacheBytes = 256 << 10;
  const std::int64_t bytes = std::max<std::int64_t>(gemm.depth * gemm.tile.columns() * 4, 1);
  return std::min(std::clamp<std::int64_t>(kCacheBytes / bytes, 1, 8), panels);
}

/// The kernel of one block: its sums over the depth, then the epilogue.
class BlockKernel {
 public:
  BlockKernel(Call& call, const Gemm& gemm)
      : call_(call), gemm_(gemm), a_(call.read(gemm.a)), b_(call.read(gemm.panels)), y_(call.write(gemm.y)),
        spill_(call.array(Element::F32, gemm.tile.rows * gemm.tile.columns(), false)) {
    if (gemm.bind) gemm.bind(call);
    rows_ = call.size(gemm.rows);
    columns_ = call.size(gemm.columns);
    depth_ = call.size(gemm.depth);
    const std::int64_t panels = panel_count(gemm.columns, gemm.tile);
    const std::int64_t together = panels_together(gemm, panels);
    panels_ = call.size(panels);
    const Expr group = call.size(together);
    std::vector<std::int64_t> extents = gemm.batch;
    extents.insert(extents.end(), {(panels + together - 1) / together, (gemm.rows + gemm.tile.rows - 1) / gemm.tile.rows, together});
    const std::vector<Expr> at = call.points(extents);
    batch_.assign(at.begin(), at.end() - 3);
    row_ = call.let(at[at.size() - 2] * gemm.tile.rows);
    panel_ = call.let(at[at.size() - 3] * group + at.back());
  }

  void emit() {
    call_.when(panel_ < panels_, [&] {
      sum_products();
      const Expr y_base = call_.let(dot(call_, batch_, gemm_.y_place.batch));
      ResultBlock{gemm_, y_, spill_, sums_, batch_, y_base, row_, call_.let(panel_ * gemm_.tile.columns()), rows_, columns_,
                  call_.size(gemm_.y_place.row)}
          .store(call_);
    });
  }

 private:
  void sum_products() {
    const GemmTile& tile = gemm_.tile;
    const std::int32_t width = tile.columns();
    const Expr a_row = call_.size(gemm_.a_place.row);
    const Expr a_column = gemm_.a_place.column == 1 ? Expr(1) : call_.size(gemm_.a_place.column);
    const Expr a_base = call_.let(dot(call_, batch_, gemm_.a_place.batch));
    const Expr b_base = call_.let((dot(call_, batch_, gemm_.b_matrix) * panels_ + panel_) * depth_ * width);
    std::vector<Expr> lines;
    for (std::int32_t r = 0; r < tile.rows; ++r) lines.push_back(call_.let(a_base + min(row_ + r, rows_ - 1) * a_row));
    const Expr zero = splat(literal(Element::F32, 0), tile.lanes);
    for (std::int32_t i = 0; i < tile.rows * tile.vectors; ++i) sums_.push_back(call_.var(zero));
    call_.loop(depth_, [&](const Expr& k) {
      std::vector<Expr> vectors;
      for (std::int32_t v = 0; v < tile.vectors; ++v) {
        vectors.push_back(call_.load(b_, b_base + k * width + v * tile.lanes, tile.lanes));
      }
      const Expr step = call_.let(k * a_column);
      for (std::int32_t r = 0; r < tile.rows; ++r) {
        const Expr element = cast(call_.load(a_, lines[static_cast<std::size_t>(r)] + step), Element::F32);
        const Expr factor = call_.let(splat(element, tile.lanes));
        for (std::int32_t v = 0; v < tile.vectors; ++v) {
          const Variable& sum = sums_[static_cast<std::size_t>(r * tile.vectors + v)];
          call_.set(sum, apply(Op::Fma, {factor, vectors[static_cast<std::size_t>(v)], sum}));
        }
      }
    });
  }

  Call& call_;
  const Gemm& gemm_;
  Buffer a_, b_, y_;
  Array spill_;
  Expr rows_, columns_, depth_, panels_, row_, panel_;
  std::vector<Expr> batch_;
  std::vector<Variable> sums_;
};

}  // namespace

void emit_gemm(Lowering& lowering, const char* name, const Gemm& gemm, std::string note) {
  const GemmTile& tile = gemm.tile;
  Call call(lowering, fmt::format("{}_{}x{}x{}", name, tile.rows, tile.vectors, tile.lanes));
  call.limit_group(1);
  BlockKernel(call, gemm).emit();
  call.launch(std::move(note));
}

}  // namespace naru::kernel
