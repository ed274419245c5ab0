// Element-wise kernels over regions of any layout.
#include "backends/npu_sim/activation.h"
#include "backends/npu_sim/region.h"

namespace npu {
namespace {

Work streamed(const Call& call, std::int64_t count, std::int64_t operands) {
  return {call.type(), 0, count, count_of({operands, count, size_of(call.type())}), 0};
}

Work unary(Call& call) {
  const Region x = region_of(call, 'x', nullptr, nullptr);
  const Region y = region_of(call, 'y', nullptr, "pitch");
  std::vector<float> values = gather(call, "X", call.type(), x);
  apply({call.integer("code", 0, kFunctions - 1), call.real("alpha"), call.real("beta")}, values);
  scatter(call, "Y", call.type(), y, values);
  return streamed(call, x.count(), 2);
}

Work binary(Call& call) {
  const std::int64_t code = call.integer("code", 0, kBinaries - 1);
  std::vector<float> values = gather(call, "A", call.type(), region_of(call, 'a', nullptr, nullptr));
  const std::vector<float> other = gather(call, "B", call.type(), region_of(call, 'b', nullptr, nullptr));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = combine(code, values[i], other[i]);
  apply({call.integer("activation", 0, kFunctions - 1), call.real("alpha"), call.real("beta")}, values);
  scatter(call, "Y", call.type(), region_of(call, 'y', nullptr, "pitch"), values);
  return streamed(call, static_cast<std::int64_t>(values.size()), 3);
}

}  // namespace

void add_elementwise_kernels(std::vector<Kernel>& table) {
  add_float_kernels(table, "npu.unary",
                    region_parameters({{"X", Role::Input}, {"Y", Role::Output}}, "xy",
                                      {{"pitch", Role::Int}, {"code", Role::Int}, {"alpha", Role::Float}, {"beta", Role::Float}}),
                    unary);
  add_float_kernels(table, "npu.binary",
                    region_parameters({{"A", Role::Input}, {"B", Role::Input}, {"Y", Role::Output}}, "aby",
                                      {{"pitch", Role::Int},
                                       {"code", Role::Int},
                                       {"activation", Role::Int},
                                       {"alpha", Role::Float},
                                       {"beta", Role::Float}}),
                    binary);
}

}  // namespace npu
