// The built-in kernels of the simulated NPU, through a device profile, against the interpreter.
#include <gtest/gtest.h>

#include <algorithm>

#include "naru/error.h"
#include "tests/backends/compare.h"
#include "tests/npu/environment.h"

namespace naru::npu_testing {
namespace {

using test::Case;
using test::Tolerance;
using Ints = std::vector<std::int64_t>;

/// One rounding of results of the type, which sums in another order may move by one more.
Tolerance tolerance_of(DType dtype) {
  if (dtype == DType::F16) return {2e-3, 2e-3};
  if (dtype == DType::BF16) return {1.6e-2, 1.6e-2};
  return {1e-5, 1e-4};
}

class Kernels : public testing::TestWithParam<DType> {
 protected:
  ValueId input(const Shape& shape, double low = -1, double high = 1) { return test_.input(shape, low, high, GetParam()); }
  ValueId constant(const Shape& shape) { return test_.constant(shape, -1, 1, GetParam()); }
  void output(ValueId id) { test_.output(id); }

  /// Runs the case wholly on the NPU.
  std::string check() {
    const std::unique_ptr<Device> device = open_npu();
    for (const Verdict& verdict : device->support(test_.graph)) EXPECT_EQ(verdict.tier, Tier::Native) << verdict.reason;
    return expect_like_reference(*device, test_, tolerance_of(GetParam()));
  }
  Case test_;
};

TEST_P(Kernels, Convolutions) {
  const ValueId x = input({2, 5, 9, 11});
  output(test_.add("Conv", {x, constant({7, 5, 3, 2}), constant({7})}, {{"pads", Ints{1, 0, 2, 1}}, {"strides", Ints{2, 1}}}));
  output(test_.add("Conv", {x, constant({40, 5, 1, 1})}));
  output(test_.add("Conv", {x, constant({5, 1, 3, 3})}, {{"group", std::int64_t{5}}, {"dilations", Ints{2, 2}}, {"auto_pad", std::string("SAME_UPPER")}}));
  output(test_.add("Conv", {input({1, 6, 5, 5}), constant({9, 2, 3, 3})}, {{"group", std::int64_t{3}}}));
  output(test_.add("Conv", {input({3, 4, 17}), constant({6, 4, 5}), constant({6})}, {{"strides", Ints{2}}}));
  check();
}

TEST_P(Kernels, ChainsBehindConvolutionsAndProducts) {
  const ValueId x = input({1, 3, 6, 6});
  const ValueId w = constant({8, 3, 3, 3}), residual = input({1, 8, 4, 4}), scale = constant({1, 8, 1, 1});
  output(test_.add("naru.FusedConv", {x, w, constant({8}), residual, scale},
                   {{"post_ops", std::vector<std::string>{"Add", "Relu", "Mul", "HardSwish"}}, {"post_args", std::vector<float>(8, 0)}}));
  output(test_.add("naru.FusedMatMul", {input({2, 3, 5}), constant({7, 5}), constant({7}), input({2, 3, 7})},
                   {{"transB", std::int64_t{1}}, {"alpha", 0.5f}, {"post_ops", std::vector<std::string>{"Clip", "Mul"}},
                    {"post_args", std::vector<float>{-0.25f, 0.75f, 0, 0}}}));
  output(test_.add("naru.FusedElementwise", {input({2, 40, 3, 3}), constant({40, 1, 1})},
                   {{"post_ops", std::vector<std::string>{"Sigmoid", "Mul", "Tanh"}}, {"post_args", std::vector<float>(6, 0)}}));
  const std::string steps = check();
  EXPECT_EQ(steps.find("npu.unary"), steps.rfind("npu.unary")) << steps;  // functions run inside the kernel before them
}

TEST_P(Kernels, Products) {
  output(test_.add("MatMul", {input({5, 33}), constant({33, 18})}));
  output(test_.add("MatMul", {input({2, 3, 4, 5}), input({2, 3, 5, 6})}));
  output(test_.add("MatMul", {input({3, 4, 5}), input({1, 5, 2})}));
  output(test_.add("naru.FusedMatMul", {input({3, 5, 4}), input({3, 5, 2})}, {{"transA", std::int64_t{1}}}));
  check();
}

TEST_P(Kernels, Pools) {
  const ValueId x = input({2, 35, 9, 8});
  output(test_.add("MaxPool", {x}, {{"kernel_shape", Ints{3, 2}}, {"strides", Ints{2, 2}}, {"pads", Ints{1, 0, 1, 1}}}));
  output(test_.add("AveragePool", {x}, {{"kernel_shape", Ints{3, 3}}, {"pads", Ints{1, 1, 1, 1}}}));
  output(test_.add("AveragePool", {x}, {{"kernel_shape", Ints{2, 3}}, {"pads", Ints{0, 1, 1, 1}}, {"count_include_pad", std::int64_t{1}}}));
  output(test_.add("GlobalAveragePool", {x}));
  output(test_.add("GlobalMaxPool", {x}));
  output(test_.add("GlobalMaxPool", {input({2, 5, 7})}));
  check();
}

TEST_P(Kernels, FunctionsOfOneNumber) {
  const ValueId x = input({3, 4, 5, 6}, -3, 3);
  for (const char* op : {"Relu", "LeakyRelu", "Sigmoid", "Tanh", "HardSigmoid", "HardSwish", "Gelu", "Exp", "Neg", "Abs", "Erf", "Elu", "Softplus", "Mish"}) {
    output(test_.add(op, {x}));
  }
  const ValueId positive = input({2, 7}, 0.5, 4);
  for (const char* op : {"Sqrt", "Reciprocal", "Log"}) output(test_.add(op, {positive}));
  output(test_.add("Relu", {input({1, 2, 1, 2, 1, 3})}));  // more axes than a region has
  check();
}

TEST_P(Kernels, FunctionsOfTwoNumbers) {
  const ValueId a = input({2, 3, 4, 5});
  for (const char* op : {"Add", "Sub", "Mul", "Max", "Min"}) {
    output(test_.add(op, {a, input({3, 1, 5})}));
    output(test_.add(op, {input({5}), a}));
  }
  output(test_.add("Div", {a, input({2, 3, 4, 5}, 1, 2)}));
  output(test_.add("PRelu", {a, input({3, 1, 1})}));
  check();
}

TEST_P(Kernels, AxesMovementsAndAttention) {
  const ValueId x = input({2, 6, 4, 3});
  output(test_.add("Softmax", {x}, {{"axis", std::int64_t{1}}}));
  output(test_.add("ReduceMean", {x, test_.ints({-1})}));
  output(test_.add("ReduceMean", {x, test_.ints({1, 2})}, {{"keepdims", std::int64_t{0}}}));
  output(test_.add("Transpose", {x}, {{"perm", Ints{2, 0, 3, 1}}}));
  output(test_.add("Concat", {x, input({2, 35, 4, 3}), x}, {{"axis", std::int64_t{1}}}));
  output(test_.add("Concat", {test_.add("MaxPool", {x}, {{"kernel_shape", Ints{1, 1}}}), test_.add("Conv", {x, constant({3, 6, 1, 1})})}, {{"axis", std::int64_t{1}}}));
  output(test_.add("Reshape", {x, test_.ints({12, -1})}));
  output(test_.add("Attention", {input({2, 4, 5, 8}), input({2, 2, 7, 8}), input({2, 2, 7, 6})}));
  output(test_.add("Attention", {input({1, 2, 5, 8}), input({1, 2, 5, 8}), input({1, 2, 5, 8})}, {{"is_causal", std::int64_t{1}}, {"scale", 0.3f}}));
  output(x);
  check();
}

TEST_P(Kernels, Networks) {
  if (GetParam() != DType::F32) GTEST_SKIP() << "the network is f32";
  test_ = test::network();
  check();
}

INSTANTIATE_TEST_SUITE_P(Types, Kernels, testing::Values(DType::F32, DType::F16, DType::BF16),
                         [](const auto& p) { return std::string(to_string(p.param)); });

TEST(Npu, MultipliesIntegersExactly) {
  const std::unique_ptr<Device> device = open_npu();
  Case test;
  const ValueId a = test.input({2, 3, 40}, 0, 255, DType::U8), b = test.constant({40, 18}, -128, 127, DType::I8);
  const ValueId a_zero = test.constant({}, 100, 140, DType::U8), b_zero = test.constant({}, -9, 9, DType::I8);
  test.output(test.add("MatMulInteger", {a, b, a_zero, b_zero}));
  test.output(test.add("ConvInteger", {test.input({1, 3, 7, 7}, 0, 255, DType::U8), test.constant({8, 3, 3, 3}, -128, 127, DType::I8), a_zero},
                       {{"pads", Ints{1, 1, 1, 1}}}));
  for (const Verdict& verdict : device->support(test.graph)) EXPECT_EQ(verdict.tier, Tier::Native) << verdict.reason;
  expect_like_reference(*device, test, {0, 0});
}

TEST(Npu, SaysWhatItIsAndWhatNodesCost) {
  const std::unique_ptr<Device> device = open_npu();
  EXPECT_EQ(device->info().name, "Naru simulated NPU");
  EXPECT_FALSE(device->info().automatic);
  EXPECT_TRUE(device->dispensable());
  const auto& features = device->info().features;
  EXPECT_NE(std::find(features.begin(), features.end(), "kernel npu.matmul.bf16"), features.end());
  Case test;
  const ValueId x = test.input({1, 64, 64, 64});
  const ValueId y = test.add("Conv", {x, test.constant({64, 64, 3, 3})});
  const ValueId doubles = test.add("Relu", {test.input({4}, -1, 1, DType::F64)});
  test.output(y);
  test.output(doubles);
  test.output(test.add("CumSum", {x, test.ints({1})}));
  const std::vector<Verdict> verdicts = device->support(test.graph);
  EXPECT_EQ(verdicts[0].reason, "T1 npu.conv2d.f32");
  EXPECT_NEAR(verdicts[0].seconds, 5e-6 + 62.0 * 62 * 64 * 64 * 9 / 256e9, 1e-5);
  EXPECT_EQ(verdicts[1].tier, Tier::None);
  EXPECT_NE(verdicts[1].reason.find("element type f64"), std::string::npos) << verdicts[1].reason;
  EXPECT_EQ(verdicts[2].tier, Tier::None);
}

TEST(Npu, ProfilesInSimulatedTime) {
  const std::unique_ptr<Device> device = open_npu();
  Case test;
  test.output(test.add("Softmax", {test.input({1, 8})}));
  const auto graph = std::make_shared<const Graph>(test.graph);
  const auto executable = device->compile(graph);
  const std::unique_ptr<Buffer> in = device->allocate(32), out = device->allocate(32);
  device->write({in.get(), 0, 32}, test.feeds[0].data());
  std::vector<NodeSpan> spans;
  device->submit({executable, {{in.get(), 0, 32}}, {{out.get(), 0, 32}}, {}, &spans})->wait();
  ASSERT_EQ(spans.size(), 1u);
  EXPECT_EQ(spans[0].kernel, "npu.softmax.f32");
  EXPECT_NEAR(static_cast<double>(spans[0].end_ns - spans[0].start_ns), 5000, 100);
}

TEST(Npu, IndicesAreDigitsAlone) {
  for (const char* id : {"opencl:0abc", "opencl:+0", "opencl: 0", "opencl:", "opencl:99"}) {
    EXPECT_THROW(open_device(id), Error) << id;
    EXPECT_THROW(open_compiler(id), Error) << id;
  }
  EXPECT_THROW(open_compiler("opencl:0"), Error);  // it has no compiler
}

}  // namespace
}  // namespace naru::npu_testing
