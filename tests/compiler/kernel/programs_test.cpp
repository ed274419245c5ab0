// Operators as kernels on the interpreter, against the operators' references.
#include "tests/compiler/kernel/programs.h"

#include <gtest/gtest.h>

#include "compiler/kernel/interpret.h"
#include "graph/evaluate.h"
#include "naru/error.h"

namespace naru::test {
namespace {

using Ints = std::vector<std::int64_t>;

template <typename Build>
void add(std::vector<NamedCase>& cases, std::string name, Build build) {
  cases.push_back({std::move(name), Case()});
  Case& test = cases.back().test;
  build(test);
}

void add_elementwise(std::vector<NamedCase>& cases) {
  for (const char* op : {"Abs", "Neg", "Sign", "Ceil", "Floor", "Round", "Exp", "Sqrt", "Sin", "Tanh", "Erf", "Sigmoid", "Relu",
                         "LeakyRelu", "Elu", "Selu", "Celu", "Gelu", "HardSigmoid", "HardSwish", "Mish", "Softplus", "Softsign"}) {
    add(cases, op, [&](Case& t) { t.output(t.add(op, {t.input({3, 7}, 0.1, 3)})); });
  }
  for (const char* op : {"Add", "Sub", "Mul", "Div", "Max", "Min", "Pow", "PRelu"}) {
    add(cases, op, [&](Case& t) { t.output(t.add(op, {t.input({2, 3, 5}, 0.5, 2), t.input({3, 1}, 0.5, 2)})); });
  }
  for (const DType dtype : {DType::I8, DType::U8, DType::I32, DType::I64, DType::U64, DType::F16, DType::BF16, DType::F64}) {
    add(cases, "Mul " + std::string(naru::to_string(dtype)),
        [&](Case& t) { t.output(t.add("Mul", {t.input({4, 5}, 1, 9, dtype), t.input({5}, 1, 9, dtype)})); });
    add(cases, "Div " + std::string(naru::to_string(dtype)),
        [&](Case& t) { t.output(t.add("Div", {t.input({4, 5}, 1, 90, dtype), t.input({5}, 1, 9, dtype)})); });
  }
  add(cases, "Where", [](Case& t) { t.output(t.add("Where", {t.input({3, 4}, 0, 1, DType::Bool), t.input({4}), t.input({3, 1})})); });
}

void add_movement(std::vector<NamedCase>& cases) {
  add(cases, "Transpose", [](Case& t) { t.output(t.add("Transpose", {t.input({2, 3, 4})}, {{"perm", Ints{2, 0, 1}}})); });
  add(cases, "Concat", [](Case& t) { t.output(t.add("Concat", {t.input({2, 3}), t.input({2, 5})}, {{"axis", std::int64_t{1}}})); });
  add(cases, "Slice", [](Case& t) { t.output(t.add("Slice", {t.input({4, 9}), t.ints({8}), t.ints({-10}), t.ints({1}), t.ints({-2})})); });
  add(cases, "Pad", [](Case& t) { t.output(t.add("Pad", {t.input({3, 4}), t.ints({1, -1, 2, 3})})); });
  add(cases, "Pad reflect", [](Case& t) { t.output(t.add("Pad", {t.input({3, 4}), t.ints({1, 2, 1, 2})}, {{"mode", std::string("reflect")}})); });
  add(cases, "Gather", [](Case& t) {
    const ValueId indices = t.graph.add_constant("i", Tensor::from<std::int64_t>(Shape{3}, {2, -1, 0}));
    t.output(t.add("Gather", {t.input({4, 5}), indices}));
  });
  add(cases, "ScatterElements", [](Case& t) {
    const ValueId indices = t.graph.add_constant("i", Tensor::from<std::int64_t>(Shape{2, 3}, {0, 1, 1, 2, 2, 0}));
    t.output(t.add("ScatterElements", {t.input({3, 3}), indices, t.input({2, 3})}, {{"reduction", std::string("add")}}));
  });
  add(cases, "TopK", [](Case& t) {
    for (const ValueId id : t.add_multi("TopK", {t.input({3, 8}), t.ints({3})}, 2)) t.output(id);
  });
}

void add_reductions(std::vector<NamedCase>& cases) {
  for (const char* op : {"ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceLogSumExp"}) {
    add(cases, op, [&](Case& t) { t.output(t.add(op, {t.input({3, 4, 5}, 0.5, 1.5), t.ints({0, 2})})); });
  }
  add(cases, "ReduceSum of many", [](Case& t) { t.output(t.add("ReduceSum", {t.input({2, 5000})})); });
  add(cases, "ArgMax", [](Case& t) { t.output(t.add("ArgMax", {t.input({3, 6})}, {{"axis", std::int64_t{1}}})); });
  add(cases, "Softmax", [](Case& t) { t.output(t.add("Softmax", {t.input({3, 6})})); });
  add(cases, "LogSoftmax", [](Case& t) { t.output(t.add("LogSoftmax", {t.input({3, 6, 2})}, {{"axis", std::int64_t{1}}})); });
  add(cases, "LayerNormalization", [](Case& t) { t.output(t.add("LayerNormalization", {t.input({4, 6}), t.input({6}), t.input({6})})); });
  add(cases, "BatchNormalization", [](Case& t) {
    t.output(t.add("BatchNormalization", {t.input({2, 3, 4}), t.input({3}), t.input({3}), t.input({3}), t.input({3}, 0.5, 2)}));
  });
}

void add_products(std::vector<NamedCase>& cases) {
  add(cases, "MatMul", [](Case& t) { t.output(t.add("MatMul", {t.input({13, 9}), t.input({9, 21})})); });
  add(cases, "MatMul stacks", [](Case& t) { t.output(t.add("MatMul", {t.input({2, 1, 5, 4}), t.input({3, 4, 6})})); });
  add(cases, "MatMul f64", [](Case& t) { t.output(t.add("MatMul", {t.input({3, 4}, -1, 1, DType::F64), t.input({4, 5}, -1, 1, DType::F64)})); });
  add(cases, "Gemm", [](Case& t) {
    t.output(t.add("Gemm", {t.input({4, 7}), t.constant({5, 4}), t.input({5})},
                   {{"transA", std::int64_t{1}}, {"transB", std::int64_t{1}}, {"alpha", 0.5f}, {"beta", 2.0f}}));
  });
  add(cases, "Conv", [](Case& t) {
    t.output(t.add("Conv", {t.input({1, 3, 7, 6}), t.constant({8, 3, 3, 3}), t.input({8})},
                   {{"pads", Ints{1, 1, 1, 1}}, {"strides", Ints{2, 1}}}));
  });
  add(cases, "Conv of groups", [](Case& t) {
    t.output(t.add("Conv", {t.input({1, 4, 5, 5}), t.constant({4, 1, 3, 3})}, {{"group", std::int64_t{4}}}));
  });
  add(cases, "ConvTranspose", [](Case& t) {
    t.output(t.add("ConvTranspose", {t.input({1, 3, 4, 4}), t.constant({3, 2, 3, 3})}, {{"strides", Ints{2, 2}}}));
  });
  add(cases, "MaxPool", [](Case& t) {
    t.output(t.add("MaxPool", {t.input({1, 2, 6, 6})}, {{"kernel_shape", Ints{3, 3}}, {"strides", Ints{2, 2}}}));
  });
  add(cases, "AveragePool", [](Case& t) {
    t.output(t.add("AveragePool", {t.input({1, 2, 6, 6})}, {{"kernel_shape", Ints{3, 3}}, {"pads", Ints{1, 1, 1, 1}}}));
  });
  add(cases, "Resize", [](Case& t) {
    const ValueId scales = t.graph.add_constant("s", Tensor::from<float>(Shape{4}, {1, 1, 1.5f, 2}));
    t.output(t.add("Resize", {t.input({1, 2, 4, 4}), kNoValue, scales}, {{"mode", std::string("linear")}}));
  });
  add(cases, "Attention", [](Case& t) {
    t.output(t.add("Attention", {t.input({1, 2, 3, 4}), t.input({1, 2, 5, 4}), t.input({1, 2, 5, 4})}, {{"is_causal", std::int64_t{1}}}));
  });
}

}  // namespace

std::vector<NamedCase> kernel_cases() {
  std::vector<NamedCase> cases;
  add_elementwise(cases);
  add_movement(cases);
  add_reductions(cases);
  add_products(cases);
  return cases;
}

namespace {

TEST(KernelPrograms, ComputeWhatReferencesCompute) {
  for (const NamedCase& named : kernel_cases()) {
    SCOPED_TRACE(named.name);
    const Graph& graph = named.test.graph;
    const std::vector<Tensor> got = kernel::interpret(lower(named.test), graph, named.test.feeds);
    const std::vector<Datum> expected = evaluate(graph, std::vector<Datum>(named.test.feeds.begin(), named.test.feeds.end()));
    ASSERT_EQ(got.size(), expected.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
      const bool narrow = got[i].dtype() == DType::F16 || got[i].dtype() == DType::BF16;
      expect_close(got[i], expected[i].tensor, {1e-5, narrow ? 1e-2 : 1e-4});
    }
  }
}

TEST(KernelPrograms, SharesOneKernelBetweenShapes) {
  std::vector<std::string> texts;
  for (const Shape& shape : {Shape{3, 5}, Shape{40, 7}}) {
    Case test;
    test.output(test.add("Softmax", {test.input(shape)}));
    texts.push_back(kernel::to_string(*lower(test).launches.at(0).kernel));
  }
  EXPECT_EQ(texts[0], texts[1]);
}

TEST(KernelPrograms, PreparesConstantsOnce) {
  Case test;
  test.output(test.add("MatMul", {test.input({4, 8}), test.constant({8, 6})}));
  const kernel::Program program = lower(test);
  EXPECT_EQ(program.prepare.size(), 1u);
  EXPECT_EQ(program.launches.size(), 1u);
}

TEST(KernelPrograms, ReportsIndicesOutOfRange) {
  Case test;
  const ValueId indices = test.graph.add_constant("i", Tensor::from<std::int64_t>(Shape{2}, {0, 4}));
  test.output(test.add("Gather", {test.input({4, 5}), indices}));
  try {
    kernel::interpret(lower(test), test.graph, test.feeds);
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::InvalidArgument);
    EXPECT_NE(std::string(error.what()).find("index out of range"), std::string::npos) << error.what();
  }
}

TEST(KernelPrograms, RefusesWithAReason) {
  Case test;
  test.output(test.add("Add", {test.input({2}, -1, 1, DType::F64), test.input({2}, -1, 1, DType::F64)}));
  kernel::Target target;
  target.f64 = false;
  std::string reason;
  EXPECT_EQ(kernel::find_kernel({test.graph, test.graph.nodes[0]}, target, reason), nullptr);
  EXPECT_EQ(reason, "element-wise: the device does not compute f64");
}

}  // namespace
}  // namespace naru::test
