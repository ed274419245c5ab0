// Probes: register-only multiply-add chains and a streaming sum.
#include "benchmarks/probe.h"

#include <immintrin.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

namespace naru::bench {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

volatile float sink = 0;

// Twelve independent chains cover latency times throughput of two multiply-add ports.
constexpr int kChains = 12;

__attribute__((target("avx512f"))) double fma_avx512(std::int64_t rounds) {
  __m512 sum[kChains];
  for (auto& s : sum) s = _mm512_set1_ps(1.0f);
  const __m512 factor = _mm512_set1_ps(0.999f), term = _mm512_set1_ps(0.001f);
  for (std::int64_t i = 0; i < rounds; ++i) {
    for (auto& s : sum) s = _mm512_fmadd_ps(s, factor, term);
  }
  float total = 0;
  for (const auto& s : sum) total += _mm512_reduce_add_ps(s);
  sink = total;
  return static_cast<double>(rounds) * kChains * 16 * 2;
}

__attribute__((target("avx2,fma"))) double fma_avx2(std::int64_t rounds) {
  __m256 sum[kChains];
  for (auto& s : sum) s = _mm256_set1_ps(1.0f);
  const __m256 factor = _mm256_set1_ps(0.999f), term = _mm256_set1_ps(0.001f);
  for (std::int64_t i = 0; i < rounds; ++i) {
    for (auto& s : sum) s = _mm256_fmadd_ps(s, factor, term);
  }
  float lanes[8] = {}, total = 0;
  for (const auto& s : sum) {
    _mm256_storeu_ps(lanes, s);
    for (const float lane : lanes) total += lane;
  }
  sink = total;
  return static_cast<double>(rounds) * kChains * 8 * 2;
}

double fma_baseline(std::int64_t rounds) {
  float sum[kChains * 4];
  std::fill(std::begin(sum), std::end(sum), 1.0f);
  for (std::int64_t i = 0; i < rounds; ++i) {
    for (float& s : sum) s = s * 0.999f + 0.001f;
  }
  sink = sum[0];
  return static_cast<double>(rounds) * kChains * 4 * 2;
}

// Eight sums and their operands fit the 16 registers of AVX2.
constexpr int kDotChains = 8;

/// The empty statement hides that the operands never change.
template <typename Vector>
inline void hide(Vector& value) {
  asm volatile("" : "+x"(value));
}

__attribute__((target("avx512f,avx512bw,avx512vnni"))) double dot_vnni(std::int64_t rounds) {
  __m512i sum[kDotChains] = {};
  const __m512i a = _mm512_set1_epi8(3), b = _mm512_set1_epi8(-5);
  for (std::int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 8
    for (auto& s : sum) s = _mm512_dpbusd_epi32(s, a, b);
  }
  std::int64_t total = 0;
  for (const auto& s : sum) total += _mm512_reduce_add_epi32(s);
  sink = static_cast<float>(total);
  return static_cast<double>(rounds) * kDotChains * 64 * 2;
}

__attribute__((target("avx2"))) double dot_avx2(std::int64_t rounds) {
  __m256i sum[kDotChains] = {};
  __m256i a = _mm256_set1_epi8(3);
  const __m256i b = _mm256_set1_epi8(-5), ones = _mm256_set1_epi16(1);
  for (std::int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 8
    for (auto& s : sum) {
      hide(a);
      s = _mm256_add_epi32(s, _mm256_madd_epi16(_mm256_maddubs_epi16(a, b), ones));
    }
  }
  float total = 0;
  for (const auto& s : sum) total += static_cast<float>(_mm256_extract_epi32(s, 0));
  sink = total;
  return static_cast<double>(rounds) * kDotChains * 32 * 2;
}

double dot_baseline(std::int64_t rounds) {
  std::int32_t sum[kDotChains] = {};
  for (std::int64_t i = 0; i < rounds; ++i) {
    for (int c = 0; c < kDotChains; ++c) sum[c] += static_cast<std::uint8_t>(i + c) * static_cast<std::int8_t>(i);
  }
  sink = static_cast<float>(sum[0]);
  return static_cast<double>(rounds) * kDotChains * 2;
}

/// Runs `body` on all threads at once and returns the summed result over the common wall time.
double rate(int threads, const std::function<double(int)>& body) {
  std::vector<std::thread> workers;
  std::vector<double> work(static_cast<std::size_t>(threads), 0);
  std::atomic<int> ready = 0;
  std::atomic<bool> go = false;
  for (int t = 0; t < threads; ++t) {
    workers.emplace_back([&, t] {
      ready.fetch_add(1);
      while (!go.load()) std::this_thread::yield();
      work[static_cast<std::size_t>(t)] = body(t);
    });
  }
  while (ready.load() < threads) std::this_thread::yield();
  const Clock::time_point start = Clock::now();
  go.store(true);
  for (std::thread& worker : workers) worker.join();
  const double seconds = seconds_since(start);
  double total = 0;
  for (const double w : work) total += w;
  return total / seconds;
}

double best_of(int repeats, const std::function<double()>& measure) {
  double best = 0;
  for (int i = 0; i < repeats; ++i) best = std::max(best, measure());
  return best;
}

}  // namespace

std::string vector_isa() {
  if (__builtin_cpu_supports("avx512f")) return "avx512f";
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return "avx2";
  return "baseline";
}

double peak_fma_gflops(int threads) {
  constexpr std::int64_t kRounds = 4'000'000;
  const std::string isa = vector_isa();
  return best_of(3, [&] {
    return rate(threads, [&](int) {
             if (isa == "avx512f") return fma_avx512(kRounds);
             return isa == "avx2" ? fma_avx2(kRounds) : fma_baseline(kRounds);
           }) * 1e-9;
  });
}

double peak_u8s8_gops(int threads) {
  constexpr std::int64_t kRounds = 6'000'000;
  const bool vnni = __builtin_cpu_supports("avx512vnni") != 0;
  const bool avx2 = vector_isa() != "baseline";
  return best_of(3, [&] {
    return rate(threads, [&](int) {
             if (vnni) return dot_vnni(kRounds);
             return avx2 ? dot_avx2(kRounds) : dot_baseline(kRounds);
           }) * 1e-9;
  });
}

double read_bandwidth_gbs(int threads) {
  constexpr std::size_t kWords = std::size_t{32} << 20;  // 256 MiB a thread
  std::vector<std::vector<std::uint64_t>> data(static_cast<std::size_t>(threads));
  for (auto& d : data) d.assign(kWords, 1);
  return best_of(3, [&] {
    return rate(threads, [&](int t) {
             const std::vector<std::uint64_t>& words = data[static_cast<std::size_t>(t)];
             std::uint64_t sums[8] = {};
             for (std::size_t i = 0; i < kWords; i += 8) {
               for (std::size_t lane = 0; lane < 8; ++lane) sums[lane] += words[i + lane];
             }
             sink = static_cast<float>(sums[0] + sums[1] + sums[2] + sums[3] + sums[4] + sums[5] + sums[6] + sums[7]);
             return static_cast<double>(kWords) * 8;
           }) * 1e-9;
  });
}

}  // namespace naru::bench
