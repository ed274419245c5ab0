// The figures that the simulated NPU is made of, in one table. No product's: sizes of a part of about 8 TOPS.
#pragma once

#include <cstdint>

namespace npu {

/// Energy per operation follows the published survey of M. Horowitz (ISSCC 2014, 45 nm), rounded and
/// halved for a newer process; memory energy is that of LPDDR, about 4 pJ a bit.
struct Chip {
  const char* name = "Naru simulated NPU";
  std::int64_t memory_bytes = INT64_C(1) << 30;      ///< DDR of the device
  std::int64_t on_chip_bytes = INT64_C(2) << 20;     ///< what tiles, twice for DMA beside compute, must fit into
  std::int64_t buffer_alignment = 64;                ///< of sub-buffers, bytes: one DMA burst
  std::int64_t channel_block = 32;                   ///< channels lie padded to multiples of this

  double clock_hz = 1e9;
  double macs_per_cycle_f32 = 256;
  double macs_per_cycle_16 = 2048;                   ///< f16 and bf16, accumulated in f32
  double macs_per_cycle_i8 = 4096;                   ///< accumulated in i32
  double vector_ops_per_cycle = 128;                 ///< element-wise work, pooling, softmax
  double ddr_bytes_per_s = 34e9;
  double host_bytes_per_s = 8e9;                     ///< the link to the host
  double launch_s = 5e-6;                            ///< of each command

  double pj_per_mac_f32 = 2.3;
  double pj_per_mac_16 = 0.8;
  double pj_per_mac_i8 = 0.12;
  double pj_per_vector_op = 1.0;
  double pj_per_ddr_byte = 32;
  double pj_per_on_chip_byte = 1.2;
  double idle_watts = 0.5;                           ///< for as long as a command takes
};

}  // namespace npu
