// The cpu backend against the interpreter: every kernel, odd shapes, layouts kept across nodes.
#include <gtest/gtest.h>

#include <limits>
#include <thread>

#include "backends/registry.h"
#include "graph/infer.h"
#include "graph/onnx_dtype.h"
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

// Data movement

TEST(CpuMovement, Transpose) {
  const std::vector<std::pair<Shape, Ints>> rows = {
      {{3, 5}, {1, 0}}, {{2, 3, 4, 5}, {0, 2, 3, 1}}, {{2, 3, 4, 5}, {3, 2, 1, 0}}, {{1, 70, 90}, {2, 1, 0}},
      {{2, 1, 40}, {1, 0, 2}}, {{2, 3, 4, 5, 6}, {0, 3, 1, 4, 2}}, {{7}, {0}}};
  for (const auto& [shape, perm] : rows) {
    for (const DType dtype : {DType::F32, DType::I64, DType::U8, DType::F16}) {
      Case test;
      test.output(test.add("Transpose", {test.input(shape, -9, 9, dtype)}, {{"perm", perm}}));
      const std::string steps = check(test, {0, 0});
      EXPECT_EQ(steps.find("reference"), std::string::npos) << steps;
    }
  }
}

TEST(CpuMovement, TransposeOutOfChannelBlocks) {
  for (const std::int64_t channels : {std::int64_t{16}, std::int64_t{12}}) {
    Case test;
    ValueId y = test.add("Conv", {test.input({2, 8, 9, 7}), test.constant({channels, 8, 3, 3})});
    y = test.add("Relu", {y});
    test.output(test.add("Relu", {test.add("Transpose", {y}, {{"perm", Ints{0, 2, 3, 1}}})}));
    test.output(test.add("Transpose", {y}, {{"perm", Ints{3, 1, 0, 2}}}));
    check(test);
  }
}

TEST(CpuMovement, Slices) {
  struct Row {
    Ints starts, ends, axes, steps;
  };
  for (const Row& row : std::vector<Row>{{{1}, {3}, {0}, {1}}, {{1, -3}, {1000, -1}, {0, 2}, {1, 1}}, {{-1}, {-1000}, {1}, {-1}},
                                         {{0, 5}, {5, 0}, {0, 2}, {2, -2}}, {{2}, {2}, {1}, {1}}, {{1}, {2}, {0}, {1}}}) {
    Case test;
    const ValueId x = test.input({4, 5, 7});
    const ValueId y = test.add("Slice", {x, test.ints(row.starts), test.ints(row.ends), test.ints(row.axes), test.ints(row.steps)});
    test.output(y);
    test.output(test.add("Neg", {y}));
    test.output(test.add("Slice", {test.add("Abs", {x}), test.ints(row.starts), test.ints(row.ends), test.ints(row.axes), test.ints(row.steps)}));
    check(test, {0, 0});
  }
}

TEST(CpuMovement, SliceAndConcatInChannelBlocks) {
  for (const std::int64_t batch : {std::int64_t{1}, std::int64_t{2}}) {
    Case test;
    const ValueId x = test.input({batch, 8, 9, 7});
    const ValueId a = test.add("Conv", {x, test.constant({16, 8, 1, 1})});
    const ValueId b = test.add("Conv", {x, test.constant({24, 8, 1, 1})});
    const ValueId joined = test.add("Concat", {a, b}, {{"axis", std::int64_t{1}}});
    const ValueId low = test.add("Slice", {joined, test.ints({8}), test.ints({32}), test.ints({1})});
    const ValueId odd = test.add("Slice", {joined, test.ints({3}), test.ints({20}), test.ints({1})});
    const ValueId rows = test.add("Slice", {joined, test.ints({1, 2}), test.ints({8, 7}), test.ints({2, 3}), test.ints({2, 1})});
    test.output(test.add("Relu", {low}));
    test.output(test.add("Relu", {odd}));
    test.output(test.add("Relu", {rows}));
    test.output(test.add("Relu", {a}));
    test.output(test.add("Concat", {test.add("Abs", {joined}), test.add("Conv", {joined, test.constant({40, 40, 1, 1})})}, {{"axis", std::int64_t{2}}}));
    check(test);
  }
}

TEST(CpuMovement, ConcatOfConcatsAndOfItself) {
  Case test;
  const ValueId x = test.input({1, 8, 5, 5});
  ValueId joined = test.add("Conv", {x, test.constant({8, 8, 1, 1})});
  for (int i = 0; i < 3; ++i) {
    ValueId part = test.add("Relu", {joined});
    part = test.add("Conv", {part, test.constant({8, 8 * (i + 1), 1, 1})});
    joined = test.add("Concat", {joined, part}, {{"axis", std::int64_t{1}}});
  }
  joined = test.add("Relu", {joined});
  test.output(test.add("Concat", {joined, joined, x, test.constant({1, 3, 5, 5})}, {{"axis", std::int64_t{1}}}));
  ValueId y = test.add("Exp", {test.input({3, 2})});
  ValueId z = test.add("Concat", {y, y}, {{"axis", std::int64_t{0}}});
  test.output(test.add("Neg", {y}));
  test.output(test.add("Neg", {z}));
  check(test);
}

TEST(CpuMovement, SplitSharesMemory) {
  Case test;
  const ValueId x = test.add("Exp", {test.input({6, 4})});
  const auto parts = test.add_multi("Split", {x, test.ints({1, 3, 2})}, 3, {{"axis", std::int64_t{0}}});
  for (const ValueId part : parts) test.output(test.add("Neg", {part}));
  test.output(test.add("Add", {x, x}));
  const auto columns = test.add_multi("Split", {x}, 2, {{"axis", std::int64_t{-1}}, {"num_outputs", std::int64_t{2}}});
  for (const ValueId part : columns) test.output(part);
  check(test);
}

TEST(CpuMovement, ExpandAndTile) {
  for (const auto& [from, to] : std::vector<std::pair<Shape, Ints>>{{{3, 1}, {2, 3, 4}}, {{1}, {5, 6}}, {{}, {2, 2}}, {{2, 3}, {1, 1}}}) {
    Case test;
    test.output(test.add("Expand", {test.input(from), test.ints(to)}));
    check(test, {0, 0});
  }
  Case tile;
  tile.output(tile.add("Tile", {tile.input({2, 3, 4}, -9, 9, DType::I32), tile.ints({2, 1, 3})}));
  check(tile, {0, 0});
}

TEST(CpuMovement, Pad) {
  for (const char* mode : {"constant", "reflect", "edge", "wrap"}) {
    for (const Ints& pads : std::vector<Ints>{{0, 2, 1, 3}, {1, 0, 0, 2}, {-1, 1, 2, -2}}) {
      SCOPED_TRACE(mode);
      Case test;
      test.output(test.add("Pad", {test.input({4, 6}), test.ints(pads)}, {{"mode", std::string(mode)}}));
      check(test, {0, 0});
    }
  }
  Case value;
  value.output(value.add("Pad", {value.input({1, 2, 3, 4}), value.ints({1, 2, 1, 2}), value.graph.add_constant("v", Tensor::scalar(2.5f)), value.ints({2, 3})}));
  check(value, {0, 0});
}

TEST(CpuMovement, Gather) {
  for (const std::int64_t axis : {std::int64_t{0}, std::int64_t{1}, std::int64_t{-1}}) {
    for (const DType type : {DType::I64, DType::I32}) {
      Case test;
      test.output(test.add("Gather", {test.input({4, 5, 4}), test.input({3, 2}, -4, 3, type)}, {{"axis", axis}}));
      check(test, {0, 0});
    }
  }
  Case bad;
  const ValueId index = bad.graph.add_constant("i", Tensor::from<std::int64_t>({1}, {7}));
  bad.output(bad.add("Gather", {bad.input({4}), index}));
  const auto graph = std::make_shared<const Graph>(bad.graph);
  EXPECT_THROW(run_on(cpu(), cpu().compile(graph), *graph, bad.feeds), Error);
}

TEST(CpuMovement, DepthAndSpace) {
  for (const char* mode : {"DCR", "CRD"}) {
    Case test;
    test.output(test.add("DepthToSpace", {test.input({2, 12, 3, 5})}, {{"blocksize", std::int64_t{2}}, {"mode", std::string(mode)}}));
    check(test, {0, 0});
  }
  Case back;
  back.output(back.add("SpaceToDepth", {back.input({2, 3, 4, 6})}, {{"blocksize", std::int64_t{2}}}));
  check(back, {0, 0});
}

// Reductions

TEST(CpuReduce, AllAxes) {
  for (const char* op : {"ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceSumSquare", "ReduceL1", "ReduceL2"}) {
    for (const Ints& axes : std::vector<Ints>{{}, {0}, {1}, {-1}, {0, 2}, {1, 3}, {2, 3}, {0, 1, 2, 3}}) {
      for (const std::int64_t keep : {std::int64_t{0}, std::int64_t{1}}) {
        SCOPED_TRACE(op);
        Case test;
        std::vector<ValueId> inputs = {test.input({3, 4, 5, 6}, 0.5, 1.2)};
        if (!axes.empty()) inputs.push_back(test.ints(axes));
        test.output(test.add(op, inputs, {{"keepdims", keep}}));
        const std::string steps = check(test);
        EXPECT_EQ(steps.find("reference"), std::string::npos) << steps;
      }
    }
  }
}

TEST(CpuReduce, LongSumsStayExact) {
  Case test;
  const ValueId x = test.input({3, 100003}, 0, 1);
  test.output(test.add("ReduceSum", {x, test.ints({1})}));
  test.output(test.add("ReduceMean", {test.add("Transpose", {x}), test.ints({0})}));
  check(test, {0, 1e-6});
}

TEST(CpuReduce, SpatialAxesInChannelBlocks) {
  for (const std::int64_t channels : {std::int64_t{16}, std::int64_t{12}}) {
    for (const std::int64_t keep : {std::int64_t{0}, std::int64_t{1}}) {
      Case test;
      const ValueId y = test.add("Conv", {test.input({2, 8, 9, 70}), test.constant({channels, 8, 3, 3})});
      test.output(test.add("Relu", {test.add("ReduceMean", {y, test.ints({2, 3})}, {{"keepdims", keep}})}));
      check(test);
    }
  }
}

TEST(CpuReduce, Arg) {
  for (const char* op : {"ArgMax", "ArgMin"}) {
    for (const std::int64_t last : {std::int64_t{0}, std::int64_t{1}}) {
      Case test;
      const ValueId x = test.add("Round", {test.input({3, 7, 4}, -3, 3)});
      for (const std::int64_t axis : {std::int64_t{0}, std::int64_t{1}, std::int64_t{-1}}) {
        test.output(test.add(op, {x}, {{"axis", axis}, {"keepdims", axis & 1}, {"select_last_index", last}}));
      }
      check(test, {0, 0});
    }
  }
}

// Resize

TEST(CpuResize, ModesAndCoordinates) {
  for (const char* mode : {"nearest", "linear", "cubic"}) {
    for (const char* coordinates : {"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric"}) {
      for (const auto& scales : std::vector<std::vector<float>>{{1, 1, 2, 2}, {1, 1, 0.6f, 1.7f}, {1, 1, 3, 1}, {1, 2, 1, 1}}) {
        SCOPED_TRACE(std::string(mode) + coordinates);
        Case test;
        const ValueId given = test.graph.add_constant("scales", Tensor::from<float>({4}, std::span<const float>(scales)));
        test.output(test.add("Resize", {test.input({2, 3, 7, 5}), kNoValue, given},
                             {{"mode", std::string(mode)}, {"coordinate_transformation_mode", std::string(coordinates)}}));
        check(test);
      }
    }
  }
}

TEST(CpuResize, RoundingAndSizesInChannelBlocks) {
  for (const char* rounding : {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"}) {
    for (const char* mode : {"nearest", "linear"}) {
      Case test;
      const ValueId y = test.add("Conv", {test.input({2, 8, 9, 7}), test.constant({12, 8, 3, 3})});
      test.output(test.add("Relu", {test.add("Resize", {y, kNoValue, kNoValue, test.ints({2, 12, 17, 9})},
                                             {{"mode", std::string(mode)}, {"nearest_mode", std::string(rounding)}})}));
      check(test);
    }
  }
}

// Recurrent layers

TEST(CpuRecurrent, Lstm) {
  for (const char* direction : {"forward", "reverse", "bidirectional"}) {
    for (const bool full : {false, true}) {
      SCOPED_TRACE(direction);
      Case test;
      const std::int64_t d = std::string(direction) == "bidirectional" ? 2 : 1;
      const std::int64_t hidden = 13;
      std::vector<ValueId> inputs = {test.input({6, 3, 10}), test.constant({d, 4 * hidden, 10}), test.constant({d, 4 * hidden, hidden})};
      if (full) {
        inputs.push_back(test.constant({d, 8 * hidden}));
        inputs.push_back(kNoValue);
        inputs.push_back(test.input({d, 3, hidden}));
        inputs.push_back(test.input({d, 3, hidden}));
      }
      for (const ValueId id : test.add_multi("LSTM", inputs, 3, {{"direction", std::string(direction)}, {"hidden_size", hidden}})) test.output(id);
      const std::string steps = check(test);
      EXPECT_EQ(steps.find("reference"), std::string::npos) << steps;
    }
  }
}

// Fused nodes

/// A chain of post-ops with the shapes of its operands.
struct Chain {
  std::vector<std::string> ops;
  std::vector<float> args;
  std::vector<Shape> operands;
};

std::vector<Chain> chains(std::int64_t channels, const Shape& output) {
  Shape per_channel{1, channels, 1, 1};
  Shape per_picture = output;
  per_picture[1] = 1;
  return {
      {{"Relu"}, {0, 0}, {}},
      {{"Add", "Relu"}, {0, 0, 0, 0}, {output}},
      {{"Mul", "Add", "HardSwish"}, {0, 0, 0, 0, 0, 0}, {per_channel, per_channel}},
      {{"HardSigmoid", "Mul"}, {0.2f, 0.5f, 0, 0}, {output}},
      {{"Clip", "Sub", "LeakyRelu"}, {-0.5f, 0.5f, 0, 0, 0.1f, 0}, {Shape{}}},
      {{"Add", "Erf", "Div"}, {0, 0, 0, 0, 0, 0}, {per_picture, Shape{1}}},
      {{"Gelu", "Max", "Sigmoid"}, {1, 0, 0, 0, 0, 0}, {Shape{channels, 1, 1}}},
      {{"Tanh", "Min", "Add", "Swish"}, {0, 0, 0, 0, 0, 0, 1, 0}, {per_channel, output}},
      {{"PRelu", "Mish", "Softplus"}, {0, 0, 0, 0, 0, 0}, {per_channel}},
  };
}

TEST(CpuFused, Convolution) {
  for (const std::int64_t channels : {std::int64_t{16}, std::int64_t{12}}) {
    for (const bool transposed : {false, true}) {
      const Shape output{2, channels, transposed ? 14 : 7, transposed ? 16 : 8};
      for (const Chain& chain : chains(channels, output)) {
        for (const bool computed : {false, true}) {
          SCOPED_TRACE(chain.ops.back() + (transposed ? " transposed" : "") + (computed ? " computed" : ""));
          Case test;
          const ValueId x = test.input({2, 8, 7, 8});
          std::vector<ValueId> inputs = {x};
          if (transposed) {
            inputs.push_back(test.constant({8, channels, 2, 2}));
          } else {
            inputs.push_back(test.constant({channels, 8, 1, 1}));
          }
          inputs.push_back(test.constant({channels}));
          for (const Shape& shape : chain.operands) {
            ValueId operand = test.input(shape, 0.5, 1.5);
            if (computed && shape == output && !transposed) {
              // Made by a convolution: in channel blocks, dead afterwards.
              operand = test.add("Abs", {test.add("Conv", {x, test.constant({channels, 8, 1, 1})})});
            } else if (computed) {
              operand = test.add("Abs", {operand});
            }
            inputs.push_back(operand);
          }
          Attributes attributes = {{"post_ops", chain.ops}, {"post_args", chain.args}};
          if (transposed) attributes["strides"] = Ints{2, 2};
          const ValueId y = test.add(transposed ? "naru.FusedConvTranspose" : "naru.FusedConv", inputs, attributes);
          test.output(test.add("Neg", {y}));
          const std::string steps = check(test);
          EXPECT_EQ(steps.find("reference"), std::string::npos) << steps;
        }
      }
    }
  }
}

TEST(CpuFused, ResidualOfTheConvolutionsOwnInput) {
  Case test;
  ValueId x = test.add("Relu", {test.add("Conv", {test.input({1, 8, 9, 9}), test.constant({16, 8, 3, 3})})});
  for (int i = 0; i < 3; ++i) {
    x = test.add("naru.FusedConv", {x, test.constant({16, 16, 1, 1}), kNoValue, x},
                 {{"post_ops", std::vector<std::string>{"Add", "Relu"}}, {"post_args", std::vector<float>(4, 0.0f)}});
  }
  test.output(x);
  check(test);
}

TEST(CpuFused, MatMul) {
  for (const Shape& a : {Shape{5, 7}, Shape{2, 3, 5, 7}, Shape{2, 5, 7}}) {
    for (const bool constant : {true, false}) {
      for (const std::int64_t trans : {std::int64_t{0}, std::int64_t{1}}) {
        SCOPED_TRACE(to_string(a));
        Case test;
        const Shape b = trans != 0 ? Shape{6, 7} : Shape{7, 6};
        Shape output = a;
        output[a.rank() - 1] = 6;
        const std::vector<ValueId> inputs = {test.input(a), constant ? test.constant(b) : test.input(b), test.constant({6}),
                                             test.input(output), test.constant({5, 1})};
        test.output(test.add("naru.FusedMatMul", inputs,
                             {{"transB", trans}, {"alpha", 0.5f}, {"post_ops", std::vector<std::string>{"Gelu", "Add", "Mul"}},
                              {"post_args", std::vector<float>(6, 0.0f)}}));
        const std::string steps = check(test);
        EXPECT_EQ(steps.find("reference"), std::string::npos) << steps;
      }
    }
  }
}

TEST(CpuFused, Elementwise) {
  for (const std::int64_t channels : {std::int64_t{16}, std::int64_t{12}}) {
    const Shape output{2, channels, 7, 8};
    for (const Chain& chain : chains(channels, output)) {
      SCOPED_TRACE(chain.ops.back());
      Case test;
      std::vector<ValueId> inputs = {test.add("Conv", {test.input({2, 8, 7, 8}), test.constant({channels, 8, 1, 1})})};
      for (const Shape& shape : chain.operands) inputs.push_back(test.input(shape, 0.5, 1.5));
      test.output(test.add("naru.FusedElementwise", inputs, {{"post_ops", chain.ops}, {"post_args", chain.args}}));
      const std::string steps = check(test);
      EXPECT_EQ(steps.find("reference"), std::string::npos) << steps;
    }
  }
  Case widening;
  widening.output(widening.add("naru.FusedElementwise", {widening.input({3, 1}), widening.input({1, 4}), widening.input({2, 1, 1})},
                               {{"post_ops", std::vector<std::string>{"Add", "Sub"}}, {"post_args", std::vector<float>(4, 0.0f)}}));
  check(widening);
}

// Element types

TEST(CpuTypes, Casts) {
  const std::vector<DType> types = {DType::F32, DType::I64, DType::I32, DType::U8, DType::I8, DType::Bool};
  for (const DType from : types) {
    for (const DType to : types) {
      Case test;
      const double low = from == DType::F32 ? -300.7 : -100;
      const ValueId x = from == DType::U8 ? test.input({37}, 0, 250, from) : test.input({37}, low, 120.4, from);
      test.output(test.add("Cast", {x}, {{"to", onnx_code(to)}}));
      check(test, {0, 0});
    }
  }
  for (const DType half : {DType::F16, DType::BF16}) {
    Case test;
    test.output(test.add("Cast", {test.input({1001}, -9, 9)}, {{"to", onnx_code(half)}}));
    test.output(test.add("Cast", {test.input({1001}, -9, 9, half)}, {{"to", onnx_code(DType::F32)}}));
    check(test, {0, 0});
  }
}

TEST(CpuTypes, SixteenBitFloatsRunEveryKernel) {
  for (const DType dtype : {DType::F16, DType::BF16}) {
    Case test;
    ValueId y = test.add("Conv", {test.input({1, 8, 9, 9}, -1, 1, dtype), test.constant({16, 8, 3, 3}, -0.3, 0.3, dtype), test.constant({16}, -1, 1, dtype)});
    y = test.add("Relu", {y});
    y = test.add("MaxPool", {y}, {{"kernel_shape", Ints{2, 2}}});
    y = test.add("Flatten", {test.add("GlobalAveragePool", {y})});
    y = test.add("Gemm", {y, test.constant({16, 10}, -1, 1, dtype)});
    test.output(test.add("Softmax", {y}));
    const std::vector<Verdict> verdicts = cpu().support(test.graph);
    for (const Verdict& verdict : verdicts) EXPECT_EQ(verdict.tier, Tier::Native) << verdict.reason;
    const std::string steps = check(test, {dtype == DType::F16 ? 2e-3 : 2e-2, 1e-2});
    EXPECT_EQ(steps.find("reference"), std::string::npos) << steps;
  }
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
