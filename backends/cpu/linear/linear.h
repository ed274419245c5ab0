// LinearKernel: y = x w' for packed weights, over threads, with a chain of element-wise steps behind.
#pragma once

#include <vector>

#include "backends/cpu/row_chain.h"
#include "backends/cpu/linear/tiles.h"

namespace naru::cpu {

class LinearKernel {
 public:
  /// `exact`: f32 arithmetic on the values of the weights; else, and for block formats only,
  /// integers on quantised activations.
  LinearKernel(const TileFormat& format, bool exact, std::int64_t rows, std::int64_t depth,
               std::int64_t columns, const TileLoops& loops = tile_loops());

  TileKind kind() const { return kind_; }
  /// Bytes that quantise() fills.
  std::int64_t activation_bytes() const;
  /// Arranges x, [rows, depth], for multiply(); unless exact, rounded to 8 bits.
  void quantise(const float* x, std::byte* activations) const;
  /// `activations`: what quantise() made. y: [rows, columns].
  void multiply(const std::byte* packed, const std::byte* activations, float* y, const RowChain& chain,
                const std::byte* const* operands) const;

 private:
  Activations view(const std::byte* activations, std::int64_t panel) const;
  void quantise_row(const float* x, std::int64_t row, std::byte* activations) const;
  void multiply_group(const std::byte* packed, const std::byte* activations, std::int64_t row, std::int64_t count,
                      float* y, std::int64_t columns) const;

  const TileLoops* loops_;
  TileKind kind_;
  DecodeLoop decode_;
  DirectLoop direct_;          // or null
  std::int64_t unit_bytes_;    // of a packed unit of unit_blocks_ blocks
  std::int64_t unit_blocks_;
  std::int64_t group_bytes_;
  std::int64_t rows_;
  std::int64_t depth_;
  std::int64_t columns_;
  std::int64_t blocks_;        // per row, padded to whole units
  std::int64_t panel_bytes_;   // of a panel of activations
};

}  // namespace naru::cpu
