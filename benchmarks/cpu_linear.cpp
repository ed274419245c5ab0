// Speed of the cpu backend's linear kernels, with the machine's limits measured in the same run.
//   naru_bench_cpu_linear [--benchmark_filter=q4_0]
#include <benchmark/benchmark.h>
#include <cmath>
#include <deque>
#include <random>

#include "backends/cpu/linear/linear.h"
#include "backends/cpu/parallel.h"
#include "benchmarks/probe.h"

namespace naru::cpu {
namespace {

constexpr std::int64_t kColumns = 8192;
constexpr std::int64_t kDepth = 2048;
constexpr std::int64_t kCopies = 8;  // of the weight, together larger than the caches

struct Limits {
  double read_gbs;
  double u8s8_gops;
  double fma_gflops;
};

const Limits& limits(int threads) {
  static const Limits measured = {bench::read_bandwidth_gbs(threads), bench::peak_u8s8_gops(threads),
                                  bench::peak_fma_gflops(threads)};
  return measured;
}

/// Copies of one weight whose scales are small numbers and whose codes are random.
struct Weights {
  const TileFormat* format = nullptr;
  std::deque<Tensor> packed;
  std::int64_t bytes = 0;
};

const Weights& weights_of(const TileFormat& format) {
  static Weights weights;
  if (weights.format == &format) return weights;
  weights = {};
  weights.format = &format;
  Tensor weight(format.dtype, Shape{kColumns, kDepth});
  std::mt19937 random(1);
  // 0x28 in every second byte keeps each 16-bit float finite wherever the format puts it.
  for (std::int64_t i = 0; i < weight.size_bytes(); ++i) {
    weight.mutable_data()[i] = static_cast<std::byte>(i % 2 == 1 ? 0x28 : random() & 0x3f);
  }
  weights.bytes = weight.size_bytes();
  for (std::int64_t i = 0; i < kCopies; ++i) {
    weights.packed.emplace_back(DType::U8, Shape{packed_tile_bytes(format, kColumns, kDepth)});
    pack_tiles(format, weight, weights.packed.back().mutable_data());
  }
  return weights;
}

void multiply(benchmark::State& state, const TileFormat& format, bool exact) {
  const std::int64_t rows = state.range(0);
  const Weights& weights = weights_of(format);
  const LinearKernel kernel(format, exact, rows, kDepth, kColumns);
  const std::vector<float> x(static_cast<std::size_t>(rows * kDepth), 0.5f);
  std::vector<float> y(static_cast<std::size_t>(rows * kColumns));
  Tensor activations(DType::U8, Shape{kernel.activation_bytes()});
  std::size_t copy = 0;
  for (auto _ : state) {
    kernel.quantise(x.data(), activations.mutable_data());
    kernel.multiply(weights.packed[copy++ % kCopies].data(), activations.data(), y.data(), {}, nullptr);
    benchmark::ClobberMemory();
  }
  const auto runs = static_cast<double>(state.iterations());
  const double operations = 2.0 * static_cast<double>(rows * kColumns * kDepth) * runs;
  const Limits& limit = limits(team_threads());
  const auto rate = [](double value) { return benchmark::Counter(value, benchmark::Counter::kIsRate); };
  const double peak = kernel.kind() == TileKind::F32 ? limit.fma_gflops : limit.u8s8_gops;
  state.counters["GOP/s"] = rate(operations * 1e-9);
  state.counters["of_peak"] = rate(operations * 1e-9 / peak);
  state.counters["GB/s"] = rate(static_cast<double>(weights.bytes) * runs * 1e-9);
  state.counters["of_bandwidth"] = rate(static_cast<double>(weights.bytes) * runs * 1e-9 / limit.read_gbs);
}

void add_all() {
  for (const TileFormat& format : tile_formats()) {
    for (const bool exact : {false, true}) {
      if (format.is_float() && !exact) continue;
      const std::string name = std::string(to_string(format.dtype)) + (exact ? "/f32" : "/int8");
      benchmark::RegisterBenchmark(name.c_str(), [&format, exact](benchmark::State& state) { multiply(state, format, exact); })
          ->ArgName("rows")->Arg(1)->Arg(4)->Arg(16)->Arg(512)->UseRealTime()->Unit(benchmark::kMicrosecond);
    }
  }
}

}  // namespace
}  // namespace naru::cpu

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  const naru::cpu::Limits& limit = naru::cpu::limits(naru::cpu::team_threads());
  benchmark::AddCustomContext("read GB/s", std::to_string(limit.read_gbs));
  benchmark::AddCustomContext("u8s8 peak GOP/s", std::to_string(limit.u8s8_gops));
  benchmark::AddCustomContext("f32 peak GFLOP/s", std::to_string(limit.fma_gflops));
  naru::cpu::add_all();
  benchmark::RunSpecifiedBenchmarks();
}
