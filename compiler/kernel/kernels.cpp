// The table of operators, built once from the files of ops/.
#include <algorithm>

#include "compiler/kernel/lowering.h"

namespace naru::kernel {

const std::vector<KernelEntry>& kernel_table() {
  static const std::vector<KernelEntry> all = [] {
    std::vector<KernelEntry> entries;
    add_movement_kernels(entries);
    add_elementwise_kernels(entries);
    add_reduce_kernels(entries);
    add_normalize_kernels(entries);
    add_matmul_kernels(entries);
    add_block_kernels(entries);
    add_convolution_kernels(entries);
    add_pool_kernels(entries);
    add_gather_kernels(entries);
    add_generate_kernels(entries);
    add_attention_kernels(entries);
    add_paged_attention_kernels(entries);
    add_sample_kernels(entries);
    add_loss_kernels(entries);
    add_linear_kernels(entries);
    add_quantize_kernels(entries);
    add_recurrent_kernels(entries);
    add_signal_kernels(entries);
    add_tf_idf_kernels(entries);
    std::stable_sort(entries.begin(), entries.end(),
                     [](const KernelEntry& a, const KernelEntry& b) { return a.op < b.op; });
    return entries;
  }();
  return all;
}

const KernelEntry* find_kernel(const NodeView& view, const Target& target, std::string& reason) {
  const std::vector<KernelEntry>& table = kernel_table();
  const std::string op = view.full_name();
  auto entry = std::lower_bound(table.begin(), table.end(), op,
                                [](const KernelEntry& row, std::string_view name) { return row.op < name; });
  reason.clear();
  for (; entry != table.end() && entry->op == op; ++entry) {
    const std::string why = entry->refuses(view, target);
    if (why.empty()) return &*entry;
    reason += fmt::format("{}{}: {}", reason.empty() ? "" : "; ", entry->kernel, why);
  }
  if (reason.empty()) reason = "no kernel for " + op;
  return nullptr;
}

}  // namespace naru::kernel
