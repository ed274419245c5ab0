// Probes of what this machine can do at most, measured beside every comparison.
#pragma once

#include <string>

namespace naru::bench {

/// Peak f32 multiply-add rate of `threads` cores in GFLOP/s, with the widest vectors the CPU has.
double peak_fma_gflops(int threads);

/// Read bandwidth of `threads` cores in GB/s over a working set far larger than the caches.
double read_bandwidth_gbs(int threads);

/// The vector instruction set that peak_fma_gflops() used: "avx512f", "avx2" or "baseline".
std::string vector_isa();

}  // namespace naru::bench
