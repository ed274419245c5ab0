// Reductions over rows of lanes: the inner loops of reductions, pooling, softmax, normalisation.
#pragma once

#include <cstdint>

namespace naru::cpu {

enum class Reduce : std::uint8_t { Sum, Max, Min, SumSquares, SumAbs, Prod };
inline constexpr int kReduceCount = 6;

/// y[lane] = scale * reduce over `rows` of x[row * lanes + lane]; scale only counts for sums.
/// Sums run in blocks of rows, so that their error grows with the number of blocks and the length of
/// one, not with the count.
using ReduceLoop = void (*)(const float* x, std::int64_t rows, std::int64_t lanes, float* y, float scale);
ReduceLoop reduce_loop(Reduce kind);

/// As ReduceLoop for the first `count` of `lanes` lanes.
using StridedReduceLoop = void (*)(const float* x, std::int64_t rows, std::int64_t lanes, std::int64_t count,
                                   float* y, float scale);
StridedReduceLoop strided_reduce(Reduce kind);

/// Inner loops over one contiguous row.
struct RowLoops {
  /// y = exp(x - max(x)) / sum; in place allowed.
  void (*softmax)(const float* x, float* y, std::int64_t count);
  /// y = x - max(x) - log(sum(exp(x - max(x)))).
  void (*log_softmax)(const float* x, float* y, std::int64_t count);
  /// y = (x - mean) / sqrt(variance + epsilon); returns mean and 1 / deviation.
  void (*normalize)(const float* x, float* y, std::int64_t count, float epsilon, float* mean,
                    float* inverse_deviation);
  /// y = x / sqrt(mean(x * x) + epsilon).
  void (*rms_normalize)(const float* x, float* y, std::int64_t count, float epsilon);
};
const RowLoops& row_loops();

}  // namespace naru::cpu
