// The table of kernels, built once from the files of kernels/.
#include "backends/cpu/kernels.h"

#include <algorithm>

namespace naru::cpu {
namespace {

/// All entries, those of one operator side by side in their order.
const std::vector<KernelEntry>& table() {
  static const std::vector<KernelEntry> all = [] {
    std::vector<KernelEntry> entries;
    add_view_kernels(entries);
    add_winograd_kernels(entries);
    add_convolution_kernels(entries);
    add_linear_kernels(entries);
    add_matmul_kernels(entries);
    add_integer_kernels(entries);
    add_quantise_kernels(entries);
    add_attention_kernels(entries);
    add_rotary_kernels(entries);
    add_dequantize_kernels(entries);
    add_pool_kernels(entries);
    add_local_response_kernels(entries);
    add_elementwise_kernels(entries);
    add_normalize_kernels(entries);
    add_softmax_kernels(entries);
    add_movement_kernels(entries);
    add_cast_kernels(entries);
    add_reduce_kernels(entries);
    add_resize_kernels(entries);
    add_recurrent_kernels(entries);
    std::stable_sort(entries.begin(), entries.end(),
                     [](const KernelEntry& a, const KernelEntry& b) { return a.op < b.op; });
    return entries;
  }();
  return all;
}

struct ByOp {
  bool operator()(const KernelEntry& a, std::string_view b) const { return a.op < b; }
  bool operator()(std::string_view a, const KernelEntry& b) const { return a < b.op; }
};

}  // namespace

std::span<const KernelEntry> kernels_for(std::string_view op) {
  const auto [first, last] = std::equal_range(table().begin(), table().end(), op, ByOp{});
  return {first, last};
}

}  // namespace naru::cpu
