// Operators as kernels on the interpreter, against the operators' references.
#include "tests/compiler/kernel/programs.h"

#include <gtest/gtest.h>

#include "compiler/kernel/interpret.h"
#include "graph/evaluate.h"
#include "graph/scalar.h"
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

void add_counts(std::vector<NamedCase>& cases) {
  add(cases, "TfIdfVectorizer", [](Case& t) {
    const ValueId x = t.graph.add_constant("x", Tensor::from<std::int32_t>(Shape{2, 6}, {1, 1, 3, 3, 3, 7, 8, 6, 7, 5, 6, 8}));
    t.output(t.add("TfIdfVectorizer", {x},
                   {{"mode", std::string("TFIDF")}, {"min_gram_length", std::int64_t{1}}, {"max_gram_length", std::int64_t{2}},
                    {"max_skip_count", std::int64_t{5}}, {"ngram_counts", Ints{0, 4}}, {"ngram_indexes", Ints{0, 1, 2, 3, 4, 5, 2}},
                    {"pool_int64s", Ints{2, 3, 5, 4, 5, 6, 7, 8, 6, 7}}, {"weights", std::vector<float>{1, 2, 3, 4, 5, 6}}}));
  });
}

/// Rows of blocks of any content; the fields at `scales` hold float16 numbers of a sane size.
Tensor random_blocks(Case& t, DType format, std::int64_t rows, std::int64_t columns, std::initializer_list<std::int64_t> scales) {
  Tensor blocks(format, Shape{rows, columns});
  std::byte* bytes = blocks.mutable_data();
  for (std::int64_t i = 0; i < blocks.size_bytes(); ++i) bytes[i] = static_cast<std::byte>(t.random.integer(0, 255));
  const std::int64_t size = dtype_info(format).block_bytes;
  for (std::int64_t block = 0; block < blocks.size_bytes(); block += size) {
    for (const std::int64_t at : scales) store_f64(DType::F16, bytes + block + at, 0, static_cast<double>(t.random.integer(1, 10)) * 1e-4);
  }
  return blocks;
}

void add_blocks(std::vector<NamedCase>& cases) {
  struct Format {
    DType dtype;
    std::initializer_list<std::int64_t> scales;
  };
  for (const Format& format : {Format{DType::Q4_0, {0}}, Format{DType::Q4_1, {0, 2}}, Format{DType::Q5_0, {0}}, Format{DType::Q5_1, {0, 2}},
                               Format{DType::Q8_0, {0}}, Format{DType::Q2_K, {80, 82}}, Format{DType::Q3_K, {108}},
                               Format{DType::Q4_K, {0, 2}}, Format{DType::Q5_K, {0, 2}}, Format{DType::Q6_K, {208}}}) {
    const std::string name(naru::to_string(format.dtype));
    add(cases, "block product " + name, [&](Case& t) {
      const ValueId w = t.graph.add_constant("w", random_blocks(t, format.dtype, 5, 512, format.scales));
      t.output(t.add("naru.FusedMatMul", {t.input({2, 7, 512}), w, t.input({5})}, {{"transB", std::int64_t{1}}}));
    });
    add(cases, "rows of " + name, [&](Case& t) {
      const ValueId table = t.graph.add_constant("w", random_blocks(t, format.dtype, 6, 256, format.scales));
      const ValueId rows = t.graph.add_constant("i", Tensor::from<std::int32_t>(Shape{3}, {4, 0, 4}));
      t.output(t.add("naru.Dequantize", {t.add("Gather", {table, rows})}));
    });
  }
}

void add_paged_attention(std::vector<NamedCase>& cases) {
  struct Variant {
    const char* name;
    DType cache;
    Attributes attributes;
    bool sinks;
  };
  for (const Variant& variant : {Variant{"of f16", DType::F16, {}, false},
                                 Variant{"in a window", DType::F32, {{"window", std::int64_t{3}}, {"softcap", 2.0f}}, false},
                                 Variant{"with sinks", DType::BF16, {{"causal", std::int64_t{0}}}, true}}) {
    add(cases, std::string("PagedAttention ") + variant.name, [&](Case& t) {
      // Two sequences: 5 new rows of 9 tokens, and 1 of 2; heads of 32 and values of 16.
      const auto ints = [&](const Shape& shape, std::initializer_list<std::int32_t> values) {
        return t.graph.add_constant("n", Tensor::from<std::int32_t>(shape, values));
      };
      std::vector<ValueId> inputs = {t.input({6, 4 * 32}), t.input({6, 2 * 32}), t.input({6, 2 * 16}),
                                     t.input({5, 4, 2, 32}, -1, 1, variant.cache), t.input({5, 4, 2, 16}, -1, 1, variant.cache),
                                     ints({3}, {0, 5, 6}), ints({2}, {9, 2}), ints({2, 3}, {3, 0, 4, 1, -7, 99})};
      if (variant.sinks) inputs.push_back(t.input({4}));
      Attributes attributes = variant.attributes;
      attributes["heads"] = std::int64_t{4};
      attributes["kv_heads"] = std::int64_t{2};
      for (const ValueId id : t.add_multi("naru.PagedAttention", inputs, 3, attributes)) t.output(id);
    });
  }
}

}  // namespace

std::vector<NamedCase> kernel_cases() {
  std::vector<NamedCase> cases;
  add_elementwise(cases);
  add_movement(cases);
  add_reductions(cases);
  add_products(cases);
  add_counts(cases);
  add_blocks(cases);
  add_paged_attention(cases);
  return cases;
}

namespace {

void expect_references(const kernel::Target& target) {
  for (const NamedCase& named : kernel_cases()) {
    SCOPED_TRACE(named.name);
    const Graph& graph = named.test.graph;
    const std::vector<Tensor> got = kernel::interpret(lower(named.test, target), graph, named.test.feeds);
    const std::vector<Datum> expected = evaluate(graph, std::vector<Datum>(named.test.feeds.begin(), named.test.feeds.end()));
    ASSERT_EQ(got.size(), expected.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
      const bool narrow = got[i].dtype() == DType::F16 || got[i].dtype() == DType::BF16;
      expect_close(got[i], expected[i].tensor, {1e-5, narrow ? 1e-2 : 1e-4});
    }
  }
}

TEST(KernelPrograms, ComputeWhatReferencesCompute) { expect_references({}); }

TEST(KernelPrograms, ComputeItWhereItemsAreLanes) {
  kernel::Target target;
  target.vector_lanes = 1;
  expect_references(target);
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
