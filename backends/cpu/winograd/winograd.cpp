// WinogradConvolution: slabs of tiles are transformed, then multiplied block by block while they are in the cache.
#include "backends/cpu/winograd/winograd.h"

#include <algorithm>
#include <array>

#include "backends/cpu/parallel.h"
#include "backends/cpu/winograd/instances.h"
#include "graph/checked.h"

namespace naru::cpu {
namespace {

constexpr std::int64_t kBlockTiles = 48;            // at most, share one pass over a panel of filters
constexpr std::int64_t kChunkPanels = 4;            // whose products stay in L2 until they are transformed back
constexpr std::int64_t kSlabBytes = 4 << 20;        // of transformed input, about the L3 of a core
constexpr double kFlopsPerByte = 10;                // that a core does while it reads one from memory
constexpr double kTransformFlops = 6;               // time of moving one transformed value, in products

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

/// At least `floats`, such that things that far apart do not meet in one set of the L1 cache.
std::int64_t spread(std::int64_t floats) {
  constexpr std::int64_t kPage = 1024, kLine = 16;
  return ceil_div(floats - kLine, kPage) * kPage + kLine;
}

}  // namespace

std::span<const WinogradLoops* const> all_winograd_loops() {
#if NARU_CPU_AVX2
  static constexpr std::array<const WinogradLoops*, 2> kAll = {&avx512_winograd::kLoops, &avx2_winograd::kLoops};
  return kAll;
#else
  return {};
#endif
}

const WinogradLoops* winograd_loops() {
  static const WinogradLoops* const best = [] {
    const auto all = all_winograd_loops();
    const auto found = std::find_if(all.begin(), all.end(), [](const WinogradLoops* loops) { return loops->present(); });
    return found == all.end() ? nullptr : *found;
  }();
  return best;
}

WinogradConvolution::WinogradConvolution(const WinogradSizes& sizes, const WinogradLoops& loops, int threads)
    : sizes_(sizes), loops_(&loops), threads_(threads) {
  tile_rows_ = ceil_div(sizes.out_height, kWinogradOutput);
  tile_columns_ = ceil_div(sizes.out_width, kWinogradOutput);
  tiles_ = checked_mul(checked_mul(tile_rows_, tile_columns_), sizes.batch);
  input_row_ = sizes.channels + loops.lanes;
  const std::int64_t tile_bytes = kWinogradPlanes * input_row_ * std::int64_t{sizeof(float)};
  slab_tiles_ = std::min(tiles_, std::max(kSlabBytes / tile_bytes / kBlockTiles, std::int64_t{threads}) * kBlockTiles);
  input_plane_ = spread(slab_tiles_ * input_row_);
}

bool WinogradConvolution::pays() const {
  const double pairs = static_cast<double>(sizes_.channels * sizes_.filters);
  const double outputs = static_cast<double>(sizes_.batch * sizes_.out_height * sizes_.out_width);
  const double tiles = static_cast<double>(tiles_);
  const double direct = pairs * 9 * (2 * outputs + kFlopsPerByte * sizeof(float));
  const double products = pairs * kWinogradPlanes * (2 * tiles + kFlopsPerByte * sizeof(float));
  const double transforms = tiles * kWinogradPlanes * kTransformFlops * static_cast<double>(sizes_.channels + sizes_.filters);
  return products + transforms < 0.9 * direct;
}

/// What one run over one slab shares.
struct WinogradConvolution::Run {
  const WinogradConvolution& self;
  const float* x;
  const float* packed;
  const float* bias;
  float* y;
  const float* zeros;  // a pixel outside of x
  float* input;     // transformed
  float* products;  // of all threads
  const RowChain& chain;
  const std::byte* const* operands;

  struct Tile {
    std::int64_t image, row, column;  // of the first output
  };
  Tile tile_at(std::int64_t index) const {
    const std::int64_t per_image = self.tile_rows_ * self.tile_columns_;
    const std::int64_t within = index % per_image;
    return {index / per_image, within / self.tile_columns_ * kWinogradOutput, within % self.tile_columns_ * kWinogradOutput};
  }

  void transform_in(std::int64_t index, float* to) const {
    const WinogradSizes& s = self.sizes_;
    const Tile tile = tile_at(index);
    const float* pixels[kWinogradPlanes];
    for (int i = 0; i < kWinogradInput; ++i) {
      const std::int64_t row = tile.row - s.pad_top + i;
      for (int j = 0; j < kWinogradInput; ++j) {
        const std::int64_t column = tile.column - s.pad_left + j;
        const bool inside = row >= 0 && row < s.height && column >= 0 && column < s.width;
        pixels[i * kWinogradInput + j] =
            inside ? x + ((tile.image * s.height + row) * s.width + column) * s.channels : zeros;
      }
    }
    self.loops_->transform_input(pixels, s.channels, to, self.input_plane_);
  }

  /// Products of `count` tiles, whose input is at `in`, with the panels from `first` on.
  void multiply(const float* in, std::int64_t count, std::int64_t first, std::int64_t panels, float* out,
                std::int64_t out_plane, std::int64_t out_row) const {
    const WinogradLoops& loops = *self.loops_;
    const WinogradPacking packing = self.packing();
    for (std::int64_t plane = 0; plane < kWinogradPlanes; ++plane) {
      for (std::int64_t p = 0; p < panels; ++p) {
        const float* weights = packed + (first + p) * packing.panel_floats() + plane * packing.channels * packing.columns;
        for (std::int64_t t = 0; t < count; t += loops.max_rows) {
          loops.multiply(in + plane * self.input_plane_ + t * self.input_row_, self.input_row_, weights, packing.channels,
                         static_cast<int>(std::min<std::int64_t>(loops.max_rows, count - t)),
                         out + plane * out_plane + t * out_row + p * packing.columns, out_row);
        }
      }
    }
  }

  /// Outputs [first, first + count) of the filters of one tile, from its products at `from`.
  void transform_out(std::int64_t index, const float* from, std::int64_t plane, std::int64_t first, std::int64_t count) const {
    const WinogradSizes& s = self.sizes_;
    const Tile tile = tile_at(index);
    alignas(64) float outputs[kWinogradOutput * kWinogradOutput * kChunkPanels * kWinogradMostColumns];
    self.loops_->transform_output(from, plane, count, bias == nullptr ? nullptr : bias + first, outputs);
    for (int i = 0; i < kWinogradOutput && tile.row + i < s.out_height; ++i) {
      for (int j = 0; j < kWinogradOutput && tile.column + j < s.out_width; ++j) {
        float* values = outputs + (i * kWinogradOutput + j) * count;
        const std::int64_t pixel = (tile.image * s.out_height + tile.row + i) * s.out_width + tile.column + j;
        if (!chain.empty()) chain.apply(values, pixel, first, count, operands);
        std::copy_n(values, count, y + pixel * s.filters + first);
      }
    }
  }
};

namespace {

/// Products of one block of tiles with one chunk of panels: rows and planes, in floats.
struct ProductShape {
  std::int64_t row, plane;
  explicit ProductShape(const WinogradLoops& loops)
      : row(kChunkPanels * loops.columns()), plane(spread(kBlockTiles * row)) {}
  std::int64_t floats() const { return plane * kWinogradPlanes; }
};

}  // namespace

std::int64_t WinogradConvolution::scratch_bytes() const {
  const std::int64_t input = checked_add(input_row_, checked_mul(input_plane_, kWinogradPlanes));
  return checked_mul(checked_add(input, ProductShape(*loops_).floats() * threads_), std::int64_t{sizeof(float)});
}

void WinogradConvolution::run(const float* x, const float* packed, const float* bias, float* y, float* scratch,
                              const RowChain& chain, const std::byte* const* operands) const {
  const ProductShape shape(*loops_);
  std::fill_n(scratch, input_row_, 0.0f);
  float* const input = scratch + input_row_;
  const Run run{*this, x, packed, bias, y, scratch, input, input + input_plane_ * kWinogradPlanes, chain, operands};
  const std::int64_t chunks = ceil_div(packing().panels(), kChunkPanels);
  for (std::int64_t slab = 0; slab < tiles_; slab += slab_tiles_) {
    const std::int64_t tiles = std::min(slab_tiles_, tiles_ - slab);
    parallel_ranges(tiles, static_cast<double>(sizes_.channels) * 3, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t t = begin; t < end; ++t) run.transform_in(slab + t, run.input + t * input_row_);
    });
    const std::int64_t blocks = ceil_div(tiles, kBlockTiles);
    const std::int64_t block_tiles = ceil_div(tiles, blocks);
    const double cost = static_cast<double>(kBlockTiles * kWinogradPlanes * sizes_.channels * shape.row) / 40;
    // Blocks of one chunk follow each other, so that its filters stay in the cache.
    parallel_claims(chunks * blocks, 1, cost, [&](std::int64_t begin, std::int64_t end, int thread) {
      float* products = run.products + thread * shape.floats();
      for (std::int64_t item = begin; item < end; ++item) {
        const std::int64_t panel = item / blocks * kChunkPanels, block = item % blocks * block_tiles;
        const std::int64_t count = std::min(block_tiles, tiles - block);
        const std::int64_t panels = std::min(kChunkPanels, packing().panels() - panel);
        run.multiply(run.input + block * input_row_, count, panel, panels, products, shape.plane, shape.row);
        const std::int64_t first = panel * loops_->columns();
        const std::int64_t filters = std::min(panels * loops_->columns(), sizes_.filters - first);
        for (std::int64_t t = 0; t < count; ++t) {
          run.transform_out(slab + block + t, products + t * shape.row, shape.plane, first, filters);
        }
      }
    });
  }
}

}  // namespace naru::cpu
