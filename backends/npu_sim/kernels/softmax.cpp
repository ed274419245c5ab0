// Kernels along one axis of dense [outer, length, inner]: softmax and reductions.
#include <algorithm>
#include <cmath>

#include "backends/npu_sim/kernel.h"

namespace npu {
namespace {

struct Axis {
  std::int64_t outer, length, inner;

  explicit Axis(const Call& call) : outer(call.integer("outer", 1)), length(call.integer("length", 1)), inner(call.integer("inner", 1)) {}
  std::int64_t count() const { return count_of({outer, length, inner}); }
};

/// Calls body(first, step) for each line along the axis.
template <typename Body>
void for_each_line(const Axis& axis, Body body) {
  for (std::int64_t o = 0; o < axis.outer; ++o) {
    for (std::int64_t i = 0; i < axis.inner; ++i) body(o * axis.length * axis.inner + i, axis.inner);
  }
}

Work softmax(Call& call) {
  const Axis axis(call);
  std::vector<float> values = call.read("X", call.type(), axis.count());
  for_each_line(axis, [&](std::int64_t first, std::int64_t step) {
    float* line = values.data() + first;
    float most = line[0];
    for (std::int64_t i = 1; i < axis.length; ++i) most = std::max(most, line[i * step]);
    float sum = 0;
    for (std::int64_t i = 0; i < axis.length; ++i) sum += line[i * step] = std::exp(line[i * step] - most);
    for (std::int64_t i = 0; i < axis.length; ++i) line[i * step] /= sum;
  });
  call.write("Y", call.type(), values);
  return {call.type(), 0, 4 * axis.count(), 2 * axis.count() * size_of(call.type()), 0};
}

Work mean(Call& call) {
  const Axis axis(call);
  const std::vector<float> values = call.read("X", call.type(), axis.count());
  std::vector<float> means;
  for_each_line(axis, [&](std::int64_t first, std::int64_t step) {
    double sum = 0;
    for (std::int64_t i = 0; i < axis.length; ++i) sum += values[static_cast<std::size_t>(first + i * step)];
    means.push_back(static_cast<float>(sum / static_cast<double>(axis.length)));
  });
  call.write("Y", call.type(), means);
  return {call.type(), 0, axis.count(), axis.count() * size_of(call.type()), 0};
}

}  // namespace

void add_softmax_kernels(std::vector<Kernel>& table) {
  const std::vector<Parameter> parameters = {
      {"X", Role::Input}, {"Y", Role::Output}, {"outer", Role::Int}, {"length", Role::Int}, {"inner", Role::Int}};
  add_float_kernels(table, "npu.softmax", parameters, softmax);
  add_float_kernels(table, "npu.mean", parameters, mean);
}

}  // namespace npu
