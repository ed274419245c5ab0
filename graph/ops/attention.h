// The arithmetic that attention operators share: heads, scores, softmax.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "graph/op_def.h"

namespace naru {

/// Wide values of shape [batch, heads, length, size].
struct HeadTensor {
  std::int64_t batch = 1;
  std::int64_t heads = 1;
  std::int64_t length = 1;
  std::int64_t size = 1;
  std::vector<double> values;

  /// [length, size] of head `i`, counted over batch and heads.
  const double* head(std::int64_t i) const { return values.data() + i * length * size; }
};

/// Swaps the middle axes of values[outer, a, b, inner].
std::vector<double> swap_middle(const std::vector<double>& values, std::int64_t outer,
                                std::int64_t a, std::int64_t b, std::int64_t inner);

/// Softmax in place.
void softmax_row(double* row, std::int64_t count);

/// The attribute `scale`, or 1/sqrt(head_size).
double attention_scale(const Node& node, std::int64_t head_size);

/// Requires the attribute softmax_precision, when present, to name a float type. References compute
/// in double anyway.
void expect_softmax_precision(const InferContext& ctx);

/// softmax-weighted sums of `v`: scores of each head are scale * q k^T; `modify` makes weights of the
/// scores [queries, keys] of one head. Heads of q share those of k and v in equal runs.
std::vector<double> attend(
    const HeadTensor& q, const HeadTensor& k, const HeadTensor& v, double scale,
    const std::function<void(std::int64_t batch, std::int64_t head, std::vector<double>& scores)>&
        modify);

}  // namespace naru
