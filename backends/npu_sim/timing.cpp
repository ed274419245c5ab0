// The cycle, bandwidth and energy model.
#include "backends/npu_sim/timing.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace npu {
namespace {

struct Rate {
  double macs_per_cycle;
  double pj_per_mac;
};

Rate rate_of(const Chip& chip, Type type) {
  switch (type) {
    case Type::F16:
    case Type::BF16: return {chip.macs_per_cycle_16, chip.pj_per_mac_16};
    case Type::I8:
    case Type::U8: return {chip.macs_per_cycle_i8, chip.pj_per_mac_i8};
    default: return {chip.macs_per_cycle_f32, chip.pj_per_mac_f32};
  }
}

double blocks(double count, double size) { return std::ceil(count / size); }

}  // namespace

Cost cost_of(const Chip& chip, const Work& work) {
  const Rate rate = rate_of(chip, work.type);
  const auto macs = static_cast<double>(work.macs);
  const auto vector_ops = static_cast<double>(work.vector_ops);
  const auto ddr_bytes = static_cast<double>(work.ddr_bytes);
  const auto host_bytes = static_cast<double>(work.host_bytes);
  const double compute_s = (macs / rate.macs_per_cycle + vector_ops / chip.vector_ops_per_cycle) / chip.clock_hz;
  const double memory_s = ddr_bytes / chip.ddr_bytes_per_s + host_bytes / chip.host_bytes_per_s;
  const double seconds = chip.launch_s + std::max(compute_s, memory_s);
  // What DMA brings is written to and read from on-chip memory once each.
  const double picojoules = macs * rate.pj_per_mac + vector_ops * chip.pj_per_vector_op +
                            (ddr_bytes + host_bytes) * chip.pj_per_ddr_byte + 2 * ddr_bytes * chip.pj_per_on_chip_byte +
                            seconds * chip.idle_watts * 1e12;
  return {std::llround(seconds * 1e9), std::llround(picojoules)};
}

Work work_of(const Chip& chip, const Product& product) {
  constexpr double kDepth = 64;      // of the tiles of A and B
  constexpr double kAccumulator = 4;  // bytes of an element of C on the chip
  const double element = size_of(product.type);
  const auto rows = static_cast<double>(product.rows);
  const auto columns = static_cast<double>(product.columns);
  const auto depth = static_cast<double>(product.depth);
  const double tile_depth = std::min(kDepth, depth);
  double least = std::numeric_limits<double>::infinity();
  for (double width = static_cast<double>(chip.channel_block);; width *= 2) {
    const double rest = static_cast<double>(chip.on_chip_bytes) - 2 * element * tile_depth * width;
    const double height = std::floor(rest / (2 * element * tile_depth + kAccumulator * width));
    if (height < 1) break;
    const double a_bytes = element * rows * depth / static_cast<double>(product.overlap) * blocks(columns, width);
    const double b_bytes = element * depth * columns * blocks(rows, height);
    least = std::min(least, a_bytes + b_bytes);
    if (width >= columns) break;
  }
  Work work;
  work.type = product.type;
  work.macs = product.count * product.rows * product.columns * product.depth;
  work.vector_ops = product.count * product.rows * product.columns;  // bias and activation
  work.ddr_bytes = std::llround(static_cast<double>(product.count) * (least + element * rows * columns));
  return work;
}

}  // namespace npu
