// The cpu backend against the interpreter: every kernel, odd shapes, layouts kept across nodes.
#include <gtest/gtest.h>

#include <limits>
#include <thread>

#include "backends/registry.h"
#include "graph/infer.h"
#include "naru/error.h"
#include "tests/backends/compare.h"

namespace naru::test {
namespace {

Device& cpu() {
  static const std::unique_ptr<Device> device = open_device("cpu", {.threads = 2, .streams = 2});
  return *device;
}

std::string check(Case& test, Tolerance tolerance = {}) { return expect_like_reference(cpu(), test, tolerance); }

using Ints = std::vector<std::int64_t>;

// Element-wise

TEST(CpuElementwise, UnaryOperators) {
  struct Row {
    const char* op;
    double low = -4;
    double high = 4;
    Attributes attributes = {};
  };
  const std::vector<Row> rows = {
      {"Abs"}, {"Neg"}, {"Relu"}, {"LeakyRelu", -4, 4, {{"alpha", 0.2f}}}, {"Elu", -6, 6, {{"alpha", 0.7f}}},
      {"Selu"}, {"Celu", -4, 4, {{"alpha", 1.5f}}}, {"ThresholdedRelu", -2, 2, {{"alpha", 0.3f}}},
      {"HardSigmoid", -6, 6, {{"alpha", 0.2f}, {"beta", 0.4f}}}, {"HardSwish", -5, 5}, {"Sigmoid", -30, 30},
      {"Tanh", -12, 12}, {"Exp", -20, 20}, {"Log", 1e-6, 100}, {"Sqrt", 0, 50}, {"Reciprocal", 0.1, 9},
      {"Floor"}, {"Ceil"}, {"Round"}, {"Sign"}, {"Erf"}, {"Softplus", -30, 30}, {"Softsign"}, {"Mish", -30, 30},
      {"Gelu"}, {"Gelu", -5, 5, {{"approximate", std::string("tanh")}}}, {"Swish", -8, 8, {{"alpha", 1.3f}}},
      {"Sin"}, {"Cos"}, {"Tan", -1, 1}, {"Asin", -1, 1}, {"Acos", -1, 1}, {"Atan"}, {"Sinh"}, {"Cosh"}, {"Asinh"},
      {"Acosh", 1, 9}, {"Atanh", -0.9, 0.9}};
  for (const Row& row : rows) {
    SCOPED_TRACE(row.op);
    Case test;
    test.output(test.add(row.op, {test.input({7, 331}, row.low, row.high)}, row.attributes));
    const std::string steps = check(test, {1e-6, 2e-6});
    EXPECT_NE(steps.find("element-wise"), std::string::npos) << steps;
  }
}

TEST(CpuElementwise, SpecialValuesStayWhatTheyAre) {
  const float inf = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> values = {nan, inf, -inf, 0.0f, -0.0f, 1e-42f, -1e-42f, 3e38f, -3e38f, 1e-38f, 88.7f, -103.5f, 89.5f};
  for (const char* op : {"Relu", "Exp", "Log", "Tanh", "Sigmoid", "Erf", "Softplus", "Abs", "Sqrt", "Mish", "HardSigmoid", "Sign"}) {
    SCOPED_TRACE(op);
    Case test;
    const Shape shape{static_cast<std::int64_t>(values.size())};
    test.feeds.push_back(Tensor::from<float>(shape, std::span<const float>(values)));
    test.output(test.add(op, {test.graph.add_input("x", Type::tensor(DType::F32, shape))}));
    check(test, {1e-42, 3e-6});
  }
}

TEST(CpuElementwise, BinaryOperatorsBroadcast) {
  const std::vector<std::pair<Shape, Shape>> shapes = {
      {{}, {}},          {{5}, {}},         {{}, {3, 4}},         {{2, 3, 5, 7}, {3, 1, 1}},
      {{4, 1}, {1, 6}},  {{1, 9}, {5, 1}},  {{3, 1, 5}, {2, 1}},  {{2, 3000}, {3000}},
      {{2, 3000}, {2, 1}}, {{6, 1, 8}, {7, 8}}, {{1, 1, 1, 1}, {3, 2}}, {{2, 64, 9, 9}, {2, 64, 1, 1}},
      {{1, 0, 4}, {3, 1, 4}}};
  for (const char* op : {"Add", "Sub", "Mul", "Div", "Max", "Min", "Pow"}) {
    for (const auto& [a, b] : shapes) {
      SCOPED_TRACE(std::string(op) + to_string(a) + to_string(b));
      Case test;
      test.output(test.add(op, {test.input(a, 0.5, 3), test.input(b, 0.5, 3)}));
      check(test, {1e-6, 3e-6});
    }
  }
  Case prelu;
  prelu.output(prelu.add("PRelu", {prelu.input({2, 5, 3, 3}), prelu.constant({5, 1, 1})}));
  check(prelu);
}

TEST(CpuElementwise, VariadicOperators) {
  for (const char* op : {"Sum", "Mean", "Max", "Min"}) {
    for (const std::size_t count : {std::size_t{1}, std::size_t{2}, std::size_t{5}}) {
      Case test;
      std::vector<ValueId> inputs;
      for (std::size_t i = 0; i < count; ++i) inputs.push_back(test.input(i % 2 == 0 ? Shape{3, 70} : Shape{70}));
      test.output(test.add(op, inputs));
      check(test);
    }
  }
}

TEST(CpuElementwise, SameOperandTwiceAndInPlaceChains) {
  Case test;
  const ValueId x = test.input({3, 50});
  ValueId y = test.add("Exp", {x});
  y = test.add("Mul", {y, y});
  const ValueId view = test.add("Unsqueeze", {y, test.ints({0})});
  ValueId z = test.add("Add", {y, view});  // a view of its own operand in another shape
  z = test.add("Relu", {z});
  test.output(z);
  test.output(y);
  check(test);
}

TEST(CpuElementwise, HalfTypes) {
  for (const DType dtype : {DType::F16, DType::BF16}) {
    const double ulp = dtype == DType::F16 ? 1e-3 : 8e-3;
    for (const char* op : {"Add", "Mul", "Max"}) {
      Case test;
      test.output(test.add(op, {test.input({5, 77}, -2, 2, dtype), test.input({77}, -2, 2, dtype)}));
      check(test, {1e-6, ulp});
    }
    Case test;
    test.output(test.add("Tanh", {test.input({1031}, -2, 2, dtype)}));
    check(test, {1e-6, ulp});
  }
}

TEST(CpuElementwise, ClipWithConstantBounds) {
  Case test;
  const ValueId x = test.input({100}, -3, 3);
  test.output(test.add("Clip", {x, test.graph.add_constant("low", Tensor::scalar(-1.0f)), test.graph.add_constant("high", Tensor::scalar(0.5f))}));
  test.output(test.add("Clip", {x, kNoValue, test.graph.add_constant("high2", Tensor::scalar(1.5f))}));
  check(test);
}

// Convolution

struct ConvCase {
  Shape x;
  Shape w;
  Attributes attributes = {};
  bool bias = true;
};

std::vector<ConvCase> conv_cases() {
  return {
      {{1, 3, 32, 30}, {16, 3, 3, 3}, {{"pads", Ints{1, 1, 1, 1}}}},
      {{2, 16, 9, 7}, {24, 16, 1, 1}},
      {{1, 16, 15, 15}, {16, 1, 5, 5}, {{"group", std::int64_t{16}}, {"pads", Ints{2, 2, 2, 2}}, {"strides", Ints{2, 2}}}},
      {{1, 12, 8, 8}, {12, 1, 3, 3}, {{"group", std::int64_t{12}}, {"pads", Ints{1, 1, 1, 1}}}},
      {{1, 20, 6, 6}, {30, 10, 3, 3}, {{"group", std::int64_t{2}}}},
      {{1, 8, 13, 17}, {7, 8, 3, 2}, {{"pads", Ints{0, 1, 2, 0}}, {"strides", Ints{2, 3}}, {"dilations", Ints{2, 1}}}},
      {{1, 5, 11, 11}, {6, 5, 3, 3}, {{"auto_pad", std::string("SAME_UPPER")}, {"strides", Ints{2, 2}}}, false},
      {{1, 5, 12, 12}, {6, 5, 4, 4}, {{"auto_pad", std::string("SAME_LOWER")}, {"strides", Ints{3, 3}}}},
      {{3, 6, 40}, {10, 6, 5}, {{"pads", Ints{4, 0}}, {"dilations", Ints{2}}}},
      {{1, 1, 64}, {8, 1, 16}, {{"strides", Ints{8}}}, false},
      {{1, 4, 5, 6, 7}, {8, 4, 3, 3, 3}, {{"pads", Ints{1, 1, 1, 1, 1, 1}}}},
      {{1, 16, 8, 8}, {16, 16, 1, 1}, {{"strides", Ints{2, 2}}}},
      {{1, 64, 1, 1}, {10, 64, 1, 1}},
  };
}

TEST(CpuConv, ShapesAndAttributes) {
  for (const ConvCase& row : conv_cases()) {
    SCOPED_TRACE(to_string(row.x) + to_string(row.w));
    Case test;
    std::vector<ValueId> inputs = {test.input(row.x), test.constant(row.w)};
    if (row.bias) inputs.push_back(test.constant({row.w[0]}));
    test.output(test.add("Conv", inputs, row.attributes));
    const std::string steps = check(test);
    EXPECT_NE(steps.find("convolution"), std::string::npos) << steps;
  }
}

TEST(CpuConv, WeightsThatAreComputed) {
  Case test;
  test.output(test.add("Conv", {test.input({1, 8, 9, 9}), test.input({16, 8, 3, 3}), test.input({16})}));
  check(test);
}

TEST(CpuConv, Transposed) {
  const std::vector<ConvCase> rows = {
      {{1, 8, 10, 10}, {8, 16, 2, 2}, {{"strides", Ints{2, 2}}}},
      {{1, 6, 5, 7}, {6, 4, 3, 3}, {{"strides", Ints{2, 2}}, {"pads", Ints{1, 1, 1, 1}}, {"output_padding", Ints{1, 1}}}},
      {{2, 6, 5, 7}, {6, 5, 3, 4}, {{"strides", Ints{2, 3}}, {"pads", Ints{0, 1, 1, 2}}, {"dilations", Ints{2, 1}}}},
      {{1, 8, 6, 6}, {8, 2, 3, 3}, {{"group", std::int64_t{4}}, {"strides", Ints{2, 2}}}},
      {{1, 3, 6, 6}, {3, 2, 3, 3}, {{"strides", Ints{3, 3}}, {"output_shape", Ints{19, 20}}, {"auto_pad", std::string("SAME_UPPER")}}},
      {{1, 3, 6, 6}, {3, 2, 3, 3}, {{"strides", Ints{3, 3}}, {"output_shape", Ints{17, 16}}}},
      {{1, 4, 9}, {4, 3, 5}, {{"strides", Ints{2}}}},
      {{1, 3, 4, 4, 4}, {3, 2, 2, 2, 2}, {{"strides", Ints{2, 2, 2}}}},
  };
  for (const ConvCase& row : rows) {
    SCOPED_TRACE(to_string(row.x) + to_string(row.w));
    Case test;
    const auto group = row.attributes.find("group");
    const std::int64_t groups = group == row.attributes.end() ? 1 : std::get<std::int64_t>(group->second);
    test.output(test.add("ConvTranspose", {test.input(row.x), test.constant(row.w), test.constant({row.w[1] * groups})}, row.attributes));
    const std::string steps = check(test);
    EXPECT_NE(steps.find("convolution"), std::string::npos) << steps;
  }
}

TEST(CpuConv, LayoutsFlowThroughABlock) {
  for (const std::int64_t channels : {std::int64_t{16}, std::int64_t{20}}) {
    Case test;
    const ValueId x = test.input({2, 3, 33, 35});
    const auto conv = [&](ValueId value, std::int64_t in, std::int64_t out, std::int64_t k, std::int64_t stride) {
      return test.add("Conv", {value, test.constant({out, in, k, k}, -0.3, 0.3), test.constant({out})},
                      {{"pads", Ints{k / 2, k / 2, k / 2, k / 2}}, {"strides", Ints{stride, stride}}});
    };
    const auto batch = [&](ValueId value, std::int64_t c) {
      return test.add("BatchNormalization", {value, test.constant({c}), test.constant({c}), test.constant({c}), test.constant({c}, 0.5, 2)});
    };
    ValueId y = test.add("Relu", {batch(conv(x, 3, channels, 3, 2), channels)});
    y = test.add("MaxPool", {y}, {{"kernel_shape", Ints{3, 3}}, {"strides", Ints{2, 2}}, {"pads", Ints{1, 1, 1, 1}}});
    const ValueId skip = y;
    y = batch(conv(y, channels, channels, 1, 1), channels);
    y = test.add("Add", {y, skip});
    y = test.add("HardSwish", {y});
    const ValueId gate = test.add("HardSigmoid", {conv(test.add("GlobalAveragePool", {y}), channels, channels, 1, 1)});
    y = test.add("Mul", {y, gate});
    y = test.add("Sub", {y, test.constant({1, channels, 1, 1})});
    y = test.add("Mul", {test.constant({9, 9}), y});
    test.output(y);
    y = test.add("Flatten", {test.add("GlobalAveragePool", {y})});
    y = test.add("Gemm", {y, test.constant({10, channels}), test.constant({10})}, {{"transB", std::int64_t{1}}});
    test.output(test.add("Softmax", {y}));
    const std::string steps = check(test);
    EXPECT_NE(steps.find("x8"), std::string::npos) << steps;
  }
}

// Pooling

TEST(CpuPool, WindowsAndPadding) {
  struct Row {
    Shape x;
    Attributes attributes;
  };
  const std::vector<Row> rows = {
      {{1, 8, 9, 9}, {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}}},
      {{1, 5, 9, 10}, {{"kernel_shape", Ints{3, 3}}, {"strides", Ints{2, 2}}, {"pads", Ints{1, 1, 1, 1}}}},
      {{1, 8, 9, 10}, {{"kernel_shape", Ints{3, 3}}, {"strides", Ints{2, 2}}, {"ceil_mode", std::int64_t{1}}}},
      {{2, 3, 9, 10}, {{"kernel_shape", Ints{2, 3}}, {"strides", Ints{1, 2}}, {"auto_pad", std::string("SAME_UPPER")}}},
      {{2, 3, 30}, {{"kernel_shape", Ints{4}}, {"strides", Ints{3}}}},
      {{1, 2, 5, 6, 7}, {{"kernel_shape", Ints{2, 2, 2}}}},
      {{1, 4, 12, 12}, {{"kernel_shape", Ints{3, 3}}, {"dilations", Ints{2, 2}}}},
  };
  for (const Row& row : rows) {
    for (const char* op : {"MaxPool", "AveragePool"}) {
      for (const std::int64_t include : {std::int64_t{0}, std::int64_t{1}}) {
        if (include == 1 && std::string(op) == "MaxPool") continue;
        SCOPED_TRACE(std::string(op) + to_string(row.x));
        Case test;
        Attributes attributes = row.attributes;
        if (include == 1) attributes["count_include_pad"] = include;
        test.output(test.add(op, {test.input(row.x)}, attributes));
        check(test);
      }
    }
  }
}

TEST(CpuPool, Global) {
  for (const Shape& shape : {Shape{2, 3, 7, 5}, Shape{1, 16, 40, 40}, Shape{3, 4}, Shape{1, 2, 3, 4, 5}}) {
    for (const char* op : {"GlobalAveragePool", "GlobalMaxPool"}) {
      Case test;
      test.output(test.add(op, {test.input(shape)}));
      check(test);
    }
  }
}

TEST(CpuPool, LocalResponse) {
  for (const std::int64_t size : {std::int64_t{5}, std::int64_t{3}}) {
    Case test;
    test.output(test.add("LRN", {test.input({1, 12, 6, 5}, -2, 2)}, {{"size", size}, {"alpha", 0.3f}, {"beta", 0.75f}, {"bias", 1.5f}}));
    check(test);
  }
}

// Matrix products

TEST(CpuMatMul, ShapesThatBroadcast) {
  const std::vector<std::pair<Shape, Shape>> shapes = {
      {{4, 5}, {5, 6}},          {{5}, {5}},          {{5}, {5, 3}},       {{3, 5}, {5}},
      {{2, 7, 4, 5}, {5, 6}},    {{2, 3, 4, 5}, {2, 3, 5, 6}},             {{2, 1, 4, 5}, {3, 5, 6}},
      {{4, 5}, {2, 5, 6}},       {{1, 64}, {64, 100}}, {{3, 1, 2, 33}, {1, 4, 33, 2}}, {{6, 4, 5}, {1, 5, 1}}};
  for (const auto& [a, b] : shapes) {
    for (const bool constant : {false, true}) {
      SCOPED_TRACE(to_string(a) + to_string(b));
      Case test;
      test.output(test.add("MatMul", {test.input(a), constant ? test.constant(b) : test.input(b)}));
      const std::string steps = check(test);
      EXPECT_NE(steps.find("matmul"), std::string::npos) << steps;
    }
  }
}

TEST(CpuMatMul, Gemm) {
  for (const std::int64_t ta : {std::int64_t{0}, std::int64_t{1}}) {
    for (const std::int64_t tb : {std::int64_t{0}, std::int64_t{1}}) {
      for (const Shape& c : {Shape{6}, Shape{4, 6}, Shape{4, 1}, Shape{}, Shape{1, 6}}) {
        SCOPED_TRACE(to_string(c));
        Case test;
        test.output(test.add("Gemm", {test.input(ta != 0 ? Shape{5, 4} : Shape{4, 5}), test.constant(tb != 0 ? Shape{6, 5} : Shape{5, 6}), test.constant(c)},
                             {{"transA", ta}, {"transB", tb}, {"alpha", 0.5f}, {"beta", 2.0f}}));
        check(test);
      }
    }
  }
  Case plain;
  plain.output(plain.add("Gemm", {plain.input({4, 5}), plain.input({5, 6})}));
  check(plain);
}

// Rows

TEST(CpuRows, Softmax) {
  for (const char* op : {"Softmax", "LogSoftmax"}) {
    for (const std::int64_t axis : {std::int64_t{-1}, std::int64_t{0}, std::int64_t{1}}) {
      for (const Shape& shape : {Shape{3, 5, 7}, Shape{2, 1000}, Shape{1, 18, 9, 9}}) {
        Case test;
        test.output(test.add(op, {test.input(shape, -20, 20)}, {{"axis", axis}}));
        check(test);
      }
    }
  }
}

TEST(CpuRows, LayerNormalization) {
  for (const std::int64_t axis : {std::int64_t{-1}, std::int64_t{1}}) {
    Case test;
    const Shape shape{3, 5, 33};
    const Shape tail = axis == -1 ? Shape{33} : Shape{5, 33};
    test.output(test.add("LayerNormalization", {test.input(shape, 3, 5), test.constant(tail), test.constant(tail)}, {{"axis", axis}}));
    check(test);
  }
  Case all;
  const auto outputs = all.add_multi("LayerNormalization", {all.input({4, 20}), all.constant({20})}, 3);
  for (const ValueId id : outputs) all.output(id);
  check(all);
}

// The device

TEST(CpuDevice, OperatorsWithoutAKernelRunByTheirMeaning) {
  Case test;
  const ValueId x = test.input({3, 4}, -5, 5, DType::I64);
  test.output(test.add("Add", {x, x}));
  test.output(test.add("Greater", {x, test.constant({4}, -5, 5, DType::I64)}));
  check(test);
}

TEST(CpuDevice, OutputsThatAreInputsConstantsOrTwice) {
  Case test;
  const ValueId x = test.input({3, 4});
  const ValueId y = test.add("Relu", {x});
  const ValueId flat = test.add("Flatten", {y});
  for (const ValueId id : {x, test.constant({5}), y, y, flat, test.add("Identity", {x})}) test.output(id);
  check(test);
}

TEST(CpuDevice, EmptyTensors) {
  Case test;
  const ValueId x = test.input({0, 4});
  test.output(test.add("Relu", {test.add("MatMul", {x, test.constant({4, 3})})}));
  test.output(test.add("MatMul", {test.input({2, 0}), test.constant({0, 3})}));
  check(test);
}

TEST(CpuDevice, SupportSaysTierAndKernel) {
  Case test;
  const ValueId x = test.input({1, 3, 8, 8});
  ValueId y = test.add("Conv", {x, test.constant({4, 3, 3, 3})});
  y = test.add("Relu", {y});
  test.add("Add", {test.input({2}, 0, 1, DType::I64), test.input({2}, 0, 1, DType::I64)});
  const std::vector<Verdict> verdicts = cpu().support(test.graph);
  ASSERT_EQ(verdicts.size(), 3U);
  EXPECT_EQ(verdicts[0].tier, Tier::Native);
  EXPECT_EQ(verdicts[0].reason, "oneDNN convolution");
  EXPECT_GT(verdicts[0].seconds, 0);
  EXPECT_EQ(verdicts[1].tier, Tier::Native);
  EXPECT_EQ(verdicts[2].tier, Tier::Generic);
  EXPECT_NE(verdicts[2].reason.find("i64"), std::string::npos);
}

TEST(CpuDevice, SupportTakesUnknownTypes) {
  Graph graph;
  const ValueId x = graph.add_input("x", Type{});
  graph.outputs = graph.add_node("Conv", {x, graph.add_input("w", Type::tensor(DType::F32))}).outputs;
  EXPECT_EQ(cpu().support(graph)[0].tier, Tier::Native);
}

TEST(CpuDevice, PackedWeightsAreSharedByExecutables) {
  Case test;
  test.output(test.add("Conv", {test.input({1, 16, 8, 8}), test.constant({16, 16, 3, 3})}));
  const auto graph = std::make_shared<const Graph>(test.graph);
  const auto first = cpu().compile(graph);
  const auto second = cpu().compile(graph);
  EXPECT_GT(first->memory().weights_bytes, 0);
  EXPECT_EQ(first->memory().weights_bytes, second->memory().weights_bytes);
}

TEST(CpuDevice, RunsSideBySide) {
  Case test;
  ValueId y = test.input({64, 64});
  for (int i = 0; i < 4; ++i) y = test.add("Tanh", {test.add("MatMul", {y, test.constant({64, 64}, -0.2, 0.2)})});
  test.output(y);
  const auto graph = std::make_shared<const Graph>(test.graph);
  const auto executable = cpu().compile(graph);
  const Tensor expected = run_on(cpu(), executable, *graph, test.feeds)[0];
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) expect_close(run_on(cpu(), executable, *graph, test.feeds)[0], expected, {0, 0});
    });
  }
}

TEST(CpuDevice, RejectsWrongViews) {
  Case test;
  test.output(test.add("Relu", {test.input({4})}));
  const auto graph = std::make_shared<const Graph>(test.graph);
  Submission submission;
  submission.executable = cpu().compile(graph);
  EXPECT_THROW(cpu().submit(submission)->wait(), Error);
  const auto buffer = cpu().allocate(16);
  submission.inputs = {{buffer.get(), 4, 16}};
  submission.outputs = {{buffer.get(), 0, 16}};
  EXPECT_THROW(cpu().submit(submission)->wait(), Error);
}

}  // namespace
}  // namespace naru::test
