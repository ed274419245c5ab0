// LinearKernel: splits columns over threads; decodes panels; multiplies them with blocks of rows.
#include "backends/cpu/linear/linear.h"

#include <algorithm>
#include <cstring>

#include "backends/cpu/parallel.h"
#include "graph/checked.h"

namespace naru::cpu {
namespace {

constexpr std::int64_t kChunkRows = 128;     // their sums stay in L1 beside a panel
constexpr std::int64_t kUnitGroups = 8;      // columns of a unit of work when there are many rows
constexpr std::int64_t kUnitBytes = 64 << 10;  // weights of a unit of work when there are few

}  // namespace

LinearKernel::LinearKernel(const TileFormat& format, bool exact, std::int64_t rows, std::int64_t depth,
                           std::int64_t columns, const TileLoops& loops)
    : loops_(&loops), rows_(rows), depth_(depth), columns_(columns) {
  const auto index = static_cast<std::size_t>(&format - tile_formats().data());
  kind_ = exact ? TileKind::F32 : loops.kinds[index];
  decode_ = exact ? loops.decode_f32[index] : loops.decode[index];
  direct_ = exact || rows != 1 ? nullptr : loops.direct[index];
  unit_blocks_ = format.depth() / kTileDepth;
  unit_bytes_ = format.packed_bytes();
  group_bytes_ = packed_group_bytes(format, depth);
  blocks_ = group_bytes_ / unit_bytes_ * unit_blocks_;
  panel_bytes_ = checked_mul(rows, kPanelDepth * code_bytes(kind_) +
                                       kPanelBlocks * (1 + sums_per_block(kind_)) * std::int64_t{sizeof(float)});
}

std::int64_t LinearKernel::activation_bytes() const {
  return checked_mul((blocks_ + kPanelBlocks - 1) / kPanelBlocks, panel_bytes_);
}

Activations LinearKernel::view(const std::byte* activations, std::int64_t panel) const {
  Activations view;
  view.codes = activations + panel * panel_bytes_;
  view.scale = reinterpret_cast<const float*>(view.codes + rows_ * kPanelDepth * code_bytes(kind_));
  view.sums = view.scale + rows_ * kPanelBlocks;
  return view;
}

void LinearKernel::quantise_row(const float* x, std::int64_t row, std::byte* activations) const {
  const QuantiseLoop loop = loops_->quantise[static_cast<std::size_t>(kind_)];
  const std::int64_t row_bytes = kPanelDepth * code_bytes(kind_);
  for (std::int64_t panel = 0; panel * kPanelDepth < depth_; ++panel) {
    const Activations to = view(activations, panel);
    const std::int64_t depths = std::min<std::int64_t>(kPanelDepth, depth_ - panel * kPanelDepth);
    const float* from = x + panel * kPanelDepth;
    alignas(64) float padded[kPanelDepth];
    if (depths % kTileDepth != 0) {
      std::fill(std::copy_n(from, depths, padded), std::end(padded), 0.0f);
      from = padded;
    }
    loop(from, (depths + kTileDepth - 1) / kTileDepth, const_cast<std::byte*>(to.codes) + row * row_bytes,
         const_cast<float*>(to.scale) + row * kPanelBlocks,
         const_cast<float*>(to.sums) + row * kPanelBlocks * sums_per_block(kind_));
  }
}

void LinearKernel::quantise(const float* x, std::byte* activations) const {
  parallel_ranges(rows_, static_cast<double>(depth_) * 0.3, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) quantise_row(x + row * depth_, row, activations);
  });
}

/// One group of columns times rows [row, row + count); y: the first of them, `columns` of it are real.
void LinearKernel::multiply_group(const std::byte* packed, const std::byte* activations, std::int64_t row,
                                  std::int64_t count, float* y, std::int64_t columns) const {
  alignas(64) float sums[kChunkRows * 2 * kTileRows];
  const std::int64_t width = floats_per_row(kind_);
  std::fill_n(sums, count * width, 0.0f);
  const auto& dots = loops_->dot[static_cast<std::size_t>(kind_)];
  std::int64_t most = kMaxDotRows;
  while (dots[static_cast<std::size_t>(most - 1)] == nullptr) --most;
  Panel panel;
  for (std::int64_t first = 0; first < blocks_; first += kPanelBlocks) {
    const std::int64_t blocks = std::min<std::int64_t>(kPanelBlocks, blocks_ - first);
    const std::byte* units = packed + first / unit_blocks_ * unit_bytes_;
    const Activations x = view(activations, first / kPanelBlocks);
    if (direct_ != nullptr) {
      direct_(units, blocks, x, sums);
      continue;
    }
    decode_(units, blocks, panel);
    for (std::int64_t t = 0; t < count;) {
      const std::int64_t many = std::min(most, count - t);
      dots[static_cast<std::size_t>(many - 1)](panel, blocks, x, row + t, sums + t * width);
      t += many;
    }
  }
  for (std::int64_t t = 0; t < count; ++t) {
    if (columns == kTileRows) {
      loops_->finish(kind_, sums + t * width, y + t * columns_);
      continue;
    }
    float last[kTileRows];
    loops_->finish(kind_, sums + t * width, last);
    std::copy_n(last, columns, y + t * columns_);
  }
}

void LinearKernel::multiply(const std::byte* packed, const std::byte* activations, float* y,
                            const RowChain& chain, const std::byte* const* operands) const {
  const std::int64_t groups = tile_groups(columns_);
  const std::int64_t grain = rows_ >= kChunkRows / 4
                                 ? kUnitGroups
                                 : std::max<std::int64_t>(kUnitBytes / group_bytes_, 1);
  const double cost = static_cast<double>(group_bytes_) * 0.1 + static_cast<double>(rows_ * depth_) * 0.15;
  parallel_claims(groups, grain, cost, [&](std::int64_t begin, std::int64_t end, int) {
    const std::int64_t first = begin * kTileRows;
    const std::int64_t last = std::min(end * kTileRows, columns_);
    for (std::int64_t row = 0; row < rows_; row += kChunkRows) {
      const std::int64_t count = std::min(kChunkRows, rows_ - row);
      for (std::int64_t group = begin; group < end; ++group) {
        const std::int64_t column = group * kTileRows;
        multiply_group(packed + group * group_bytes_, activations, row, count, y + row * columns_ + column,
                       std::min<std::int64_t>(kTileRows, columns_ - column));
      }
      for (std::int64_t t = row; !chain.empty() && t < row + count; ++t) {
        chain.apply(y + t * columns_ + first, t, first, last - first, operands);
      }
    }
  });
}

}  // namespace naru::cpu
