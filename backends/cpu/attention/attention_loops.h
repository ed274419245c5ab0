// Inner loops of attention: reading cached rows into tiles, the softmax that runs along with them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "backends/cpu/linear/tiles.h"
#include "naru/dtype.h"

namespace naru::cpu {

struct AttentionLoops {
  /// Rows of keys (f32, f16 or bf16; null gives zeros) side by side: out[size][kTileRows].
  void (*transpose)(DType dtype, const std::byte* const* rows, std::int64_t size, float* out);
  /// One row of values, spread over tiles: 16 elements to each of out, out + stride, ...
  void (*spread)(DType dtype, const std::byte* row, std::int64_t size, float* out, std::int64_t stride);
  /// Scores of one row of keys for some queries, which lie kPanelDepth floats apart, to out, out +
  /// stride, ...: straight from the cache, for few queries.
  void (*score)(DType dtype, const std::byte* key, std::int64_t size, const float* q, std::int64_t queries, float* out,
                std::int64_t stride);
  /// Adds p[query] times one row of values to the queries' sums: 16 elements of each query, then the
  /// next 16, `stride` floats on. Weights lie kPanelDepth floats apart.
  void (*add)(DType dtype, const std::byte* row, std::int64_t size, const float* p, std::int64_t queries, float* y,
              std::int64_t stride);
  /// Scores of a row, in `groups` parts of 16 that lie `stride` floats apart, become p = exp(score -
  /// max), contiguous. Updates the running maximum and sum; returns what earlier sums are worth now.
  float (*softmax)(const float* scores, std::int64_t groups, std::int64_t stride, float* p, float* max, float* sum);
};

const AttentionLoops& attention_loops();

}  // namespace naru::cpu
