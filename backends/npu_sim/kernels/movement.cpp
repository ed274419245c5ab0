// Copies between regions, layouts and element types.
#include "backends/npu_sim/region.h"

namespace npu {
namespace {

Work copy(Call& call) {
  const auto from_type = static_cast<Type>(call.integer("from_type", 0, kTypes - 1));
  const auto to_type = static_cast<Type>(call.integer("to_type", 0, kTypes - 1));
  const Region from = region_of(call, 'x', "x_offset", nullptr);
  const Region to = region_of(call, 'y', "y_offset", "pitch");
  if (from_type == to_type) {
    copy_bits(call, "X", from, "Y", to, to_type);
  } else {
    scatter(call, "Y", to_type, to, gather(call, "X", from_type, from));
  }
  return {to_type, 0, 0, count_of({from.count(), size_of(from_type) + size_of(to_type)}), 0};
}

}  // namespace

void add_movement_kernels(std::vector<Kernel>& table) {
  table.push_back({"npu.copy", Type::F32,
                   region_parameters({{"X", Role::Input}, {"Y", Role::Output}}, "xy",
                                     {{"x_offset", Role::Int}, {"y_offset", Role::Int}, {"pitch", Role::Int}, {"from_type", Role::Int}, {"to_type", Role::Int}}),
                   copy});
}

}  // namespace npu
