// LaunchList: the launches of a sequence with their parameters in the form that the driver takes.
#pragma once

#include <span>
#include <vector>

#include "backends/cuda/context.h"
#include "backends/generated/kernel_device.h"

namespace naru::cuda {

class LaunchList {
 public:
  LaunchList(const ContextPtr& context, std::span<const kernel::Launch* const> launches,
             std::span<const generated::BuiltKernel> built);
  LaunchList(LaunchList&&) = default;  // parameters are known by address: never copied

  /// Sets the addresses of all operands; returns the launches that got others than before.
  std::vector<std::size_t> set_operands(std::span<const generated::Location> operands);

  std::size_t size() const { return nodes_.size(); }
  /// Parameters point into this object.
  const KernelNode& operator[](std::size_t launch) const { return nodes_[launch]; }

 private:
  void add(const kernel::Launch& launch, FunctionHandle function);

  std::vector<KernelNode> nodes_;
  std::vector<std::size_t> operand_counts_;        // by launch
  std::vector<std::vector<std::uint64_t>> slots_;  // by launch: one per parameter, of at most 8 bytes
  std::vector<std::vector<void*>> parameters_;     // by launch: the addresses of its slots
};

}  // namespace naru::cuda
