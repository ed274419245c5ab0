// The ordered table of kernels: for each operator, what can run it, first yes wins.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "backends/cpu/lowering.h"

namespace naru::cpu {

struct KernelEntry {
  std::string_view op;      ///< full name of the operator
  std::string_view kernel;  ///< what runs it, for reports
  /// Why the kernel cannot run this node, or empty. Unknown types count as the best possible.
  std::string (*refuses)(const NodeView&);
  /// Emits the steps of the current node; false, with nothing emitted, when it cannot after all.
  bool (*lower)(Lowering&);
};

/// The entries for an operator, in order.
std::span<const KernelEntry> kernels_for(std::string_view op);

/// Emits the current node by its operator's reference meaning.
void lower_generic(Lowering& lowering);
/// Why even the reference meaning cannot run on this device, or empty.
std::string refuses_generic(const NodeView& view);

/// True for operators that only rename their input's elements (Reshape and the like).
bool is_view(const Node& node);

// Each file of kernels/ appends its entries.
void add_view_kernels(std::vector<KernelEntry>& table);
void add_winograd_kernels(std::vector<KernelEntry>& table);
void add_convolution_kernels(std::vector<KernelEntry>& table);
void add_linear_kernels(std::vector<KernelEntry>& table);
void add_matmul_kernels(std::vector<KernelEntry>& table);
void add_integer_kernels(std::vector<KernelEntry>& table);
void add_quantise_kernels(std::vector<KernelEntry>& table);
void add_attention_kernels(std::vector<KernelEntry>& table);
void add_rotary_kernels(std::vector<KernelEntry>& table);
void add_dequantize_kernels(std::vector<KernelEntry>& table);
void add_pool_kernels(std::vector<KernelEntry>& table);
void add_local_response_kernels(std::vector<KernelEntry>& table);
void add_elementwise_kernels(std::vector<KernelEntry>& table);
void add_normalize_kernels(std::vector<KernelEntry>& table);
void add_softmax_kernels(std::vector<KernelEntry>& table);
void add_movement_kernels(std::vector<KernelEntry>& table);
void add_cast_kernels(std::vector<KernelEntry>& table);
void add_reduce_kernels(std::vector<KernelEntry>& table);
void add_resize_kernels(std::vector<KernelEntry>& table);
void add_recurrent_kernels(std::vector<KernelEntry>& table);

}  // namespace naru::cpu
