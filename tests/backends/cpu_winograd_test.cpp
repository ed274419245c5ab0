// 3x3 convolutions of the cpu that go through Winograd's algorithm, and each instruction set's loops.
#include <gtest/gtest.h>

#include <cmath>

#include "backends/cpu/winograd/winograd.h"
#include "backends/registry.h"
#include "tests/backends/compare.h"

namespace naru {
namespace {

using test::Case;
using Ints = std::vector<std::int64_t>;
using cpu::WinogradConvolution;
using cpu::WinogradLoops;
using cpu::WinogradSizes;

struct Problem {
  WinogradSizes sizes;
  bool bias = true;
};

/// The largest difference from sums in f64, in units of the sum of absolute products.
double largest_error(const Problem& problem, const WinogradLoops& loops) {
  const WinogradSizes& s = problem.sizes;
  test::Random random(7);
  const Tensor x = random.tensor(DType::F32, {s.batch, s.height, s.width, s.channels}, 0, 2);
  const Tensor w = random.tensor(DType::F32, {s.filters, s.channels, 3, 3});
  const Tensor bias = random.tensor(DType::F32, {s.filters});
  const float* const inputs = x.as<float>().data();
  const float* const weights = w.as<float>().data();
  Tensor y(DType::F32, {s.batch, s.out_height, s.out_width, s.filters});

  const WinogradConvolution convolution(s, loops, 64);
  Tensor packed(DType::F32, {convolution.packing().packed_bytes() / 4}), scratch(DType::F32, {convolution.scratch_bytes() / 4});
  const auto floats = [](Tensor& tensor) { return reinterpret_cast<float*>(tensor.mutable_data()); };
  convolution.packing().pack(weights, floats(packed));
  convolution.run(inputs, floats(packed), problem.bias ? bias.as<float>().data() : nullptr, floats(y), floats(scratch), {}, nullptr);

  double worst = 0;
  for (std::int64_t i = 0; i < y.numel(); ++i) {
    const std::int64_t f = i % s.filters, column = i / s.filters % s.out_width;
    const std::int64_t row = i / s.filters / s.out_width % s.out_height, image = i / s.filters / s.out_width / s.out_height;
    double sum = problem.bias ? bias.as<float>()[static_cast<std::size_t>(f)] : 0, size = std::abs(sum);
    for (std::int64_t k = 0; k < 9; ++k) {
      const std::int64_t r = row - s.pad_top + k / 3, c = column - s.pad_left + k % 3;
      if (r < 0 || r >= s.height || c < 0 || c >= s.width) continue;
      for (std::int64_t channel = 0; channel < s.channels; ++channel) {
        const double product = double{inputs[((image * s.height + r) * s.width + c) * s.channels + channel]} *
                               weights[(f * s.channels + channel) * 9 + k];
        sum += product;
        size += std::abs(product);
      }
    }
    worst = std::max(worst, std::abs(y.as<float>()[static_cast<std::size_t>(i)] - sum) / size);
  }
  return worst;
}

TEST(CpuWinograd, EveryInstructionSet) {
  const std::vector<Problem> problems = {
      {{1, 16, 8, 8, 16, 8, 8, 1, 1}},            // whole tiles
      {{2, 32, 13, 9, 48, 13, 9, 1, 1}, false},   // tiles and panels that are not full
      {{1, 16, 7, 5, 80, 5, 3, 0, 0}},            // no padding
      {{1, 16, 6, 6, 16, 8, 8, 2, 2}},            // padding on all sides
      {{1, 16, 5, 6, 16, 6, 5, 2, 0}},            // and on some
      {{3, 64, 1, 1, 32, 1, 1, 1, 1}},            // a pixel
      {{1, 512, 20, 50, 16, 20, 50, 1, 1}},       // several slabs
  };
  for (const WinogradLoops* loops : cpu::all_winograd_loops()) {
    if (!loops->present()) continue;
    for (const Problem& problem : problems) {
      SCOPED_TRACE(std::string(loops->name) + ", channels " + std::to_string(problem.sizes.channels));
      EXPECT_LT(largest_error(problem, *loops), 2e-6);
    }
  }
}

TEST(CpuWinograd, ChainsBehindIt) {
  if (cpu::winograd_loops() == nullptr) GTEST_SKIP() << "no loops for this machine";
  const std::unique_ptr<Device> device = open_device("cpu", {.threads = 2});
  for (const Shape& other : {Shape{1, 64, 30, 30}, Shape{64, 1, 1}, Shape{1, 1, 30, 30}, Shape{}, Shape{1, 64, 30, 1}}) {
    SCOPED_TRACE(to_string(other));
    Case test;
    const ValueId x = test.input({1, 64, 30, 30});
    const ValueId y = test.add("naru.FusedConv", {x, test.constant({64, 64, 3, 3}, -0.05, 0.05), test.constant({64}), test.input(other)},
                               {{"pads", Ints{1, 1, 1, 1}},
                                {"post_ops", std::vector<std::string>{"Add", "Relu"}},
                                {"post_args", std::vector<float>(4, 0.0f)}});
    test.output(test.add("Neg", {y}));
    const std::string steps = test::expect_like_reference(*device, test);
    // The last shape is neither rows nor columns of channels.
    EXPECT_EQ(steps.find("winograd") != std::string::npos, other != Shape({1, 64, 30, 1})) << steps;
  }
}

TEST(CpuWinograd, NotWhereItWouldBeSlower) {
  const std::unique_ptr<Device> device = open_device("cpu", {.threads = 2});
  Case test;
  // One tile: four times the filters to read for a quarter of few products.
  test.output(test.add("Conv", {test.input({1, 64, 4, 4}), test.constant({64, 64, 3, 3})}, {{"pads", Ints{1, 1, 1, 1}}}));
  EXPECT_EQ(test::expect_like_reference(*device, test).find("winograd"), std::string::npos);
}

}  // namespace
}  // namespace naru
