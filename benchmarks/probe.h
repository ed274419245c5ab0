// Probes of what this machine can do at most, measured beside every comparison.
#pragma once

#include <string>

namespace naru::bench {

/// Peak f32 multiply-add rate of `threads` cores in GFLOP/s, with the widest vectors the CPU has.
double peak_fma_gflops(int threads);

/// Peak rate of `threads` cores in GOP/s (products and additions) of multiplying u8 by s8 and adding
/// up in 32 bits, without loss, with the instructions of vector_isa().
double peak_u8s8_gops(int threads);

/// Read bandwidth of `threads` cores in GB/s over a working set far larger than the caches.
double read_bandwidth_gbs(int threads);

/// The vector instruction set that peak_fma_gflops() used: "avx512f", "avx2" or "baseline".
std::string vector_isa();

}  // namespace naru::bench
