// LaunchList: grids, scalars and addresses.
#include "backends/cuda/launch_list.h"

#include <algorithm>
#include <cstring>

#include "backends/cuda/memory.h"

namespace naru::cuda {
namespace {

/// A parameter of any type at the start of its slot.
template <typename T>
std::uint64_t slot_of(T value) {
  std::uint64_t slot = 0;
  std::memcpy(&slot, &value, sizeof(value));
  return slot;
}

std::uint64_t scalar_slot(kernel::Element element, kernel::ScalarValue value) {
  switch (element) {
    case kernel::Element::F32: return slot_of(static_cast<float>(value.real));
    case kernel::Element::F64: return slot_of(value.real);
    default: return slot_of(static_cast<std::int32_t>(value.integer));
  }
}

/// More than the driver takes in the second and third dimension are folded into both.
void set_grid(const kernel::Grid& grid, KernelNode& node) {
  constexpr std::int64_t kMostGroups = 65535;
  std::int64_t groups[3];
  for (std::size_t d = 0; d < 3; ++d) {
    groups[d] = grid.items[d] / grid.group[d];
    node.block[d] = static_cast<unsigned>(grid.group[d]);
  }
  if (groups[1] > kMostGroups || groups[2] > kMostGroups) {
    const std::int64_t all = groups[1] * groups[2];
    groups[1] = std::min(all, kMostGroups);
    groups[2] = (all + groups[1] - 1) / groups[1];
  }
  for (std::size_t d = 0; d < 3; ++d) node.grid[d] = static_cast<unsigned>(groups[d]);
}

}  // namespace

LaunchList::LaunchList(const ContextPtr& context, std::span<const kernel::Launch* const> launches,
                       std::span<const generated::BuiltKernel> built) {
  for (std::size_t i = 0; i < launches.size(); ++i) {
    FunctionHandle function = nullptr;
    const ModuleHandle module = static_cast<const Module*>(built[i].program.get())->get();
    context->check(api().ModuleGetFunction(&function, module, built[i].symbol.c_str()), "finding a kernel");
    add(*launches[i], function);
  }
}

/// Parameters: per buffer an address and an offset in elements, which is 0 as addresses hold it; then
/// scalars; then the groups of the second and third dimension before they were folded.
void LaunchList::add(const kernel::Launch& launch, FunctionHandle function) {
  KernelNode node{};
  node.function = function;
  set_grid(launch.grid, node);
  std::vector<std::uint64_t> slots(2 * launch.operands.size(), 0);
  for (std::size_t i = 0; i < launch.arguments.size(); ++i) {
    slots.push_back(scalar_slot(launch.kernel->scalars[i].element, launch.arguments[i]));
  }
  for (const std::size_t d : {1, 2}) slots.push_back(slot_of(static_cast<std::uint32_t>(launch.grid.items[d] / launch.grid.group[d])));
  slots_.push_back(std::move(slots));
  parameters_.emplace_back();
  for (std::uint64_t& slot : slots_.back()) parameters_.back().push_back(&slot);
  node.parameters = parameters_.back().data();
  nodes_.push_back(node);
  operand_counts_.push_back(launch.operands.size());
}

std::vector<std::size_t> LaunchList::set_operands(std::span<const generated::Location> operands) {
  std::vector<std::size_t> changed;
  std::size_t next = 0;
  for (std::size_t launch = 0; launch < nodes_.size(); ++launch) {
    bool same = true;
    for (std::size_t o = 0; o < operand_counts_[launch]; ++o) {
      const DevicePointer address = address_of(operands[next++]);
      same = same && slots_[launch][2 * o] == address;
      slots_[launch][2 * o] = address;
    }
    if (!same) changed.push_back(launch);
  }
  return changed;
}

}  // namespace naru::cuda
