// The table of kernels and the checks of their arguments.
#include "backends/npu_sim/kernel.h"

#include <algorithm>

namespace npu {

std::span<const Kernel> kernels() {
  static const std::vector<Kernel> table = [] {
    std::vector<Kernel> rows;
    add_product_kernels(rows);
    add_window_kernels(rows);
    add_elementwise_kernels(rows);
    add_softmax_kernels(rows);
    add_attention_kernels(rows);
    add_movement_kernels(rows);
    return rows;
  }();
  return table;
}

const Kernel* find_kernel(std::string_view name) {
  const std::span<const Kernel> all = kernels();
  const auto found = std::find_if(all.begin(), all.end(), [&](const Kernel& kernel) { return kernel.name == name; });
  return found == all.end() ? nullptr : &*found;
}

void add_float_kernels(std::vector<Kernel>& table, const char* name, const std::vector<Parameter>& parameters, Work (*run)(Call&)) {
  for (const Type type : {Type::F32, Type::F16, Type::BF16}) {
    table.push_back({std::string(name) + "." + name_of(type), type, parameters, run});
  }
}

std::size_t Call::index_of(std::string_view name) const {
  const auto found = std::find_if(kernel_.parameters.begin(), kernel_.parameters.end(), [&](const Parameter& p) { return p.name == name; });
  if (found == kernel_.parameters.end()) throw BadArguments(kernel_.name + ": has no parameter " + std::string(name));
  return static_cast<std::size_t>(found - kernel_.parameters.begin());
}

std::int64_t Call::integer(std::string_view name, std::int64_t low, std::int64_t high) const {
  const std::int64_t value = std::get<std::int32_t>(arguments_[index_of(name)]);
  if (value < low || value > high) {
    throw BadArguments(kernel_.name + ": " + std::string(name) + " is " + std::to_string(value) + ", expected " + std::to_string(low) +
                       " to " + std::to_string(high));
  }
  return value;
}

float Call::real(std::string_view name) const { return std::get<float>(arguments_[index_of(name)]); }

std::span<std::byte> Call::bytes(std::string_view name, Type type, std::int64_t count) const {
  const std::span<std::byte> all = memory(name);
  const std::int64_t needed = count_of({count, size_of(type)});
  if (needed > static_cast<std::int64_t>(all.size())) {
    throw BadArguments(kernel_.name + ": " + std::string(name) + " has " + std::to_string(all.size()) + " bytes, expected " +
                       std::to_string(needed));
  }
  return all.first(static_cast<std::size_t>(needed));
}

std::vector<float> Call::read(std::string_view name, Type type, std::int64_t count) const {
  const std::span<const std::byte> from = bytes(name, type, count);
  std::vector<float> values(static_cast<std::size_t>(count));
  decode(type, from.data(), values);
  return values;
}

void Call::write(std::string_view name, Type type, std::span<const float> values) const {
  encode(type, values, bytes(name, type, static_cast<std::int64_t>(values.size())).data());
}

std::int64_t count_of(std::initializer_list<std::int64_t> factors) {
  constexpr std::int64_t kMost = INT64_C(1) << 40;
  std::int64_t product = 1;
  for (const std::int64_t factor : factors) {
    if (__builtin_mul_overflow(product, factor, &product) || product < 0 || product > kMost) {
      throw BadArguments("the sizes exceed any memory");
    }
  }
  return product;
}

}  // namespace npu
