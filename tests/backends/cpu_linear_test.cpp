// Kernels of linear layers: every format and instruction set against the values of the weights.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "backends/cpu/linear/linear.h"
#include "graph/block/block_format.h"
#include "graph/scalar.h"

namespace naru::cpu {

/// The loops of VNNI machines with every instruction spelled out; see emulated_vnni.cpp.
extern const TileLoops kEmulatedVnni;

namespace {

/// All that this machine can run.
std::vector<const TileLoops*> runnable_loops() {
  std::vector<const TileLoops*> result = {&kEmulatedVnni};
  for (const TileLoops* loops : all_tile_loops()) {
    if (loops->present()) result.push_back(loops);
  }
  return result;
}

/// Where the f16 numbers of a block stand; the rest may be any bytes.
std::vector<int> f16_offsets(DType dtype) {
  switch (dtype) {
    case DType::Q4_1: case DType::Q5_1: case DType::Q4_K: case DType::Q5_K: return {0, 2};
    case DType::Q2_K: return {80, 82};
    case DType::Q3_K: return {108};
    case DType::Q6_K: return {208};
    case DType::MXFP4: return {};
    default: return {0};
  }
}

void put16(std::byte* at, std::uint16_t bits) { std::memcpy(at, &bits, 2); }

Tensor random_weight(const TileFormat& format, std::int64_t rows, std::int64_t depth, std::mt19937& random) {
  Tensor weight(format.dtype, Shape{rows, depth});
  std::uniform_real_distribution<float> value(-1, 1);
  if (format.is_float()) {
    for (std::int64_t i = 0; i < weight.numel(); ++i) store_f64(format.dtype, weight.mutable_data(), i, value(random));
    return weight;
  }
  for (std::int64_t i = 0; i < weight.size_bytes(); ++i) weight.mutable_data()[i] = static_cast<std::byte>(random());
  for (std::int64_t at = 0; at < weight.size_bytes(); at += format.block_bytes) {
    std::byte* block = weight.mutable_data() + at;
    for (int offset : f16_offsets(format.dtype)) put16(block + offset, f32_to_f16(value(random) * 0.1f));
    if (format.scale == TileFormat::Scale::E8M0) block[0] = static_cast<std::byte>(120 + random() % 10);
  }
  return weight;
}

std::vector<float> random_values(std::int64_t count, std::mt19937& random) {
  std::normal_distribution<float> value(0, 1);
  std::vector<float> values;
  for (std::int64_t i = 0; i < count; ++i) values.push_back(value(random));
  return values;
}

/// The arithmetic that the integer kernels state: x rounded to 127ths of the largest of 32.
std::vector<double> rounded(const std::vector<float>& x) {
  std::vector<double> result;
  for (std::size_t b = 0; b < x.size(); b += 32) {
    float largest = 0;
    for (std::size_t i = b; i < b + 32; ++i) largest = std::max(largest, std::fabs(x[i]));
    const float scale = largest / 127;
    for (std::size_t i = b; i < b + 32; ++i) {
      result.push_back(largest == 0 ? 0 : static_cast<double>(scale) * std::nearbyint(x[i] * (127 / largest)));
    }
  }
  return result;
}

struct Sums {
  std::vector<double> values;
  std::vector<double> sizes;  // of the terms, for tolerances
};

Sums multiply(const Tensor& weight, const std::vector<double>& x, std::int64_t rows) {
  const Tensor values = dequantize(weight);
  const std::int64_t columns = weight.shape()[0];
  const std::int64_t depth = weight.shape()[1];
  const auto w = values.as<float>();
  Sums sums;
  for (std::int64_t t = 0; t < rows; ++t) {
    for (std::int64_t n = 0; n < columns; ++n) {
      double sum = 0;
      double size = 0;
      for (std::int64_t k = 0; k < depth; ++k) {
        const double term = x[static_cast<std::size_t>(t * depth + k)] * w[static_cast<std::size_t>(n * depth + k)];
        sum += term;
        size += std::fabs(term);
      }
      sums.values.push_back(sum);
      sums.sizes.push_back(size);
    }
  }
  return sums;
}

std::vector<float> run(const TileFormat& format, const Tensor& weight, const std::vector<float>& x, std::int64_t rows,
                       bool exact, const TileLoops& loops, const RowChain& chain = {},
                       const std::byte* const* operands = nullptr) {
  const std::int64_t columns = weight.shape()[0];
  const std::int64_t depth = weight.shape()[1];
  Tensor packed(DType::U8, Shape{packed_tile_bytes(format, columns, depth)});
  pack_tiles(format, weight, packed.mutable_data());
  const LinearKernel kernel(format, exact, rows, depth, columns, loops);
  Tensor activations(DType::U8, Shape{kernel.activation_bytes()});
  kernel.quantise(x.data(), activations.mutable_data());
  std::vector<float> y(static_cast<std::size_t>(rows * columns) + 16, -77.0f);
  kernel.multiply(packed.data(), activations.data(), y.data(), chain, operands);
  for (std::size_t i = static_cast<std::size_t>(rows * columns); i < y.size(); ++i) EXPECT_EQ(y[i], -77.0f);
  return y;
}

struct Case {
  std::int64_t rows;
  std::int64_t columns;
  std::int64_t depth;
};

TEST(CpuLinear, EveryFormatAndInstructionSetComputesWhatItStates) {
  std::mt19937 random(7);
  for (const TileLoops* loops : runnable_loops()) {
    for (const TileFormat& format : tile_formats()) {
      for (const Case& c : {Case{1, 48, 512}, Case{2, 33, 768}, Case{7, 16, 256}, Case{150, 21, 256}}) {
        const Tensor weight = random_weight(format, c.columns, c.depth, random);
        const std::vector<float> x = random_values(c.rows * c.depth, random);
        for (const bool exact : {false, true}) {
          if (!exact && format.is_float()) continue;
          SCOPED_TRACE(std::string(loops->name) + " " + std::string(to_string(format.dtype)) + (exact ? " exact " : " ") +
                       std::to_string(c.rows));
          const std::vector<float> y = run(format, weight, x, c.rows, exact, *loops);
          const Sums sums = multiply(weight, exact ? std::vector<double>(x.begin(), x.end()) : rounded(x), c.rows);
          // Only the f32 sums over blocks round; mins and products may cancel.
          for (std::size_t i = 0; i < sums.values.size(); ++i) {
            ASSERT_NEAR(y[i], sums.values[i], 4e-6 * sums.sizes[i] + 1e-5) << "element " << i;
          }
        }
      }
    }
  }
}

TEST(CpuLinear, DepthsThatEndWithinABlock) {
  std::mt19937 random(8);
  for (const TileLoops* loops : runnable_loops()) {
    for (const DType dtype : {DType::F16, DType::BF16, DType::F32}) {
      const TileFormat& format = *find_tile_format(dtype);
      const Tensor weight = random_weight(format, 20, 301, random);
      const std::vector<float> x = random_values(3 * 301, random);
      const std::vector<float> y = run(format, weight, x, 3, true, *loops);
      const Sums sums = multiply(weight, {x.begin(), x.end()}, 3);
      for (std::size_t i = 0; i < sums.values.size(); ++i) ASSERT_NEAR(y[i], sums.values[i], 4e-6 * sums.sizes[i]);
    }
  }
  const Tensor q8 = random_weight(*find_tile_format(DType::Q8_0), 16, 96, random);
  const std::vector<float> x = random_values(96, random);
  const std::vector<float> y = run(*find_tile_format(DType::Q8_0), q8, x, 1, false, tile_loops());
  const Sums sums = multiply(q8, rounded(x), 1);
  for (std::size_t i = 0; i < sums.values.size(); ++i) ASSERT_NEAR(y[i], sums.values[i], 4e-6 * sums.sizes[i]);
}

TEST(CpuLinear, ErrorOfQuantisedActivationsIsSmall) {
  std::mt19937 random(9);
  const std::int64_t depth = 2048;
  Tensor values(DType::F32, Shape{64, depth});
  for (float& v : values.as_mutable<float>()) v = std::normal_distribution<float>(0, 0.02f)(random);
  const Tensor weight = quantize(values, DType::Q8_0);
  const std::vector<float> x = random_values(depth, random);
  const std::vector<float> y = run(*find_tile_format(DType::Q8_0), weight, x, 1, false, tile_loops());
  const Sums sums = multiply(weight, {x.begin(), x.end()}, 1);
  double error = 0;
  double size = 0;
  for (std::size_t i = 0; i < sums.values.size(); ++i) {
    error += std::pow(y[i] - sums.values[i], 2);
    size += std::pow(sums.values[i], 2);
  }
  EXPECT_LT(std::sqrt(error / size), 0.01);
  EXPECT_GT(error, 0);
}

TEST(CpuLinear, ValuesThatAreNotFiniteShow) {
  std::mt19937 random(10);
  const TileFormat& format = *find_tile_format(DType::Q4_0);
  const Tensor weight = random_weight(format, 16, 64, random);
  for (const float bad : {std::nanf(""), INFINITY, -INFINITY}) {
    for (const TileLoops* loops : runnable_loops()) {
      std::vector<float> x = random_values(64, random);
      x[40] = bad;
      const std::vector<float> y = run(format, weight, x, 1, false, *loops);
      for (int n = 0; n < 16; ++n) EXPECT_FALSE(std::isfinite(y[static_cast<std::size_t>(n)]));
    }
  }
}

TEST(CpuLinear, ChainFollowsTheProduct) {
  std::mt19937 random(11);
  const TileFormat& format = *find_tile_format(DType::Q4_1);
  const std::int64_t rows = 5;
  const std::int64_t columns = 300;
  const Tensor weight = random_weight(format, columns, 64, random);
  const std::vector<float> x = random_values(rows * 64, random);
  const std::vector<float> bias = random_values(columns, random);
  const std::vector<float> residual = random_values(rows * columns, random);
  const std::vector<float> per_row = random_values(rows, random);
  const std::vector<float> plain = run(format, weight, x, rows, false, tile_loops());
  const RowChain chain({{Ew::Add, 0, 0, 0}, {Ew::Relu}, {Ew::Mul, 0, 0, 2}, {Ew::Add, 0, 0, 1}},
                       {{0, 1}, {columns, 1}, {1, 0}});
  const std::byte* operands[] = {reinterpret_cast<const std::byte*>(bias.data()),
                                 reinterpret_cast<const std::byte*>(residual.data()),
                                 reinterpret_cast<const std::byte*>(per_row.data())};
  const std::vector<float> y = run(format, weight, x, rows, false, tile_loops(), chain, operands);
  for (std::int64_t t = 0; t < rows; ++t) {
    for (std::int64_t n = 0; n < columns; ++n) {
      const auto i = static_cast<std::size_t>(t * columns + n);
      const float expected = std::max(plain[i] + bias[static_cast<std::size_t>(n)], 0.0f) * per_row[static_cast<std::size_t>(t)] + residual[i];
      ASSERT_NEAR(y[i], expected, 1e-5 * (1 + std::fabs(expected)));
    }
  }
}

}  // namespace
}  // namespace naru::cpu
