// Data movement: shape arithmetic over symbols, values of every storage width, rejected models.
#include <gtest/gtest.h>

#include "graph/limits.h"
#include "graph/scalar.h"
#include "tests/graph/op_runner.h"

namespace naru {
namespace {

const Dim kN = Dim::symbol("n");
const Dim kM = Dim::symbol("m");

/// A graph of one f32 input "x", to which tests add nodes.
struct Builder {
  Graph graph;
  ValueId x;
  explicit Builder(SymShape shape) : x(graph.add_input("x", Type::tensor(DType::F32, std::move(shape)))) {}
  ValueId add(const std::string& op, std::vector<ValueId> inputs, Attributes attributes = {}) {
    return graph.add_node(op, std::move(inputs), 1, std::move(attributes)).outputs[0];
  }
  ValueId ints(std::vector<std::int64_t> values) { return graph.add_constant("", naru::ints(std::move(values))); }
  ValueId scalar(std::int64_t value) { return graph.add_constant("", Tensor::scalar(value)); }
  SymShape shape_of(ValueId id) {
    infer_types(graph);
    return graph.value(id).type.shape.value();
  }
};

TEST(DataMovement, ShapeArithmeticGivesExactReshape) {
  // view(x.size(0), x.size(1), 12, -1) as exporters write it.
  Builder b({kN, kM, 768});
  const ValueId shape = b.add("Shape", {b.x});
  const ValueId batch = b.add("Unsqueeze", {b.add("Gather", {shape, b.scalar(0)}), b.ints({0})});
  const ValueId length = b.add("Slice", {shape, b.ints({1}), b.ints({2})});
  const ValueId target = b.add("Concat", {batch, length, b.ints({12, -1})}, {{"axis", std::int64_t{0}}});
  EXPECT_EQ(b.shape_of(b.add("Reshape", {b.x, target})), (SymShape{kN, kM, 12, 64}));
}

TEST(DataMovement, ReshapeInfersOneSymbolicDimension) {
  Builder b({kN, kM + 1, 64, 7});
  EXPECT_EQ(b.shape_of(b.add("Reshape", {b.x, b.ints({-1, 7})})), (SymShape{kN * (kM + 1) * 64, 7}));
  EXPECT_EQ(b.shape_of(b.add("Reshape", {b.x, b.ints({0, -1, 7})})), (SymShape{kN, (kM + 1) * 64, 7}));
  EXPECT_EQ(b.shape_of(b.add("Reshape", {b.x, b.ints({0, 0, -1})})), (SymShape{kN, kM + 1, 448}));
}

TEST(DataMovement, SliceKeepsExpressionsExact) {
  Builder b({kN, 8});
  const auto sliced = [&](std::int64_t start, std::int64_t end, std::int64_t step = 1) {
    return b.shape_of(b.add("Slice", {b.x, b.ints({start}), b.ints({end}), b.ints({0}), b.ints({step})}))[0];
  };
  EXPECT_EQ(sliced(0, INT64_MAX), kN);
  EXPECT_EQ(sliced(1, INT32_MAX), max(kN - 1, 0));
  EXPECT_EQ(sliced(0, -1), max(kN - 1, 0));
  EXPECT_EQ(sliced(0, 5), min(kN, 5));
  EXPECT_EQ(sliced(-1, INT64_MAX), min(kN, 1));
  EXPECT_EQ(sliced(0, INT64_MAX, 2), ceil_div(kN, 2));
  EXPECT_EQ(sliced(-1, INT64_MIN, -1), kN);
}

/// What inference says symbolically must hold at every concrete size.
TEST(DataMovement, SymbolicSliceAgreesWithConcreteSlices) {
  const std::int64_t bounds[] = {INT64_MIN, -7, -2, -1, 0, 1, 3, 9, INT32_MAX, INT64_MAX};
  for (std::int64_t start : bounds) {
    for (std::int64_t end : bounds) {
      for (std::int64_t step : {1, 2, 5, -1, -3}) {
        Builder b({kN});
        const Dim dim = b.shape_of(b.add("Slice", {b.x, b.ints({start}), b.ints({end}), b.ints({0}), b.ints({step})}))[0];
        std::vector<std::string> symbols;
        dim.collect_symbols(symbols);
        if (!symbols.empty() && symbols[0].starts_with('?')) continue;
        for (std::int64_t n = 0; n < 8; ++n) {
          const Dim expected = dim.substitute([&](const std::string&) { return std::optional<Dim>(n); });
          const Tensor out = run_tensor("Slice", {iota({n}), ints({start}), ints({end}), ints({0}), ints({step})});
          EXPECT_EQ(Dim(out.numel()), expected) << start << ":" << end << ":" << step << " of " << n;
        }
      }
    }
  }
}

TEST(DataMovement, RangeAndExpandFollowSymbols) {
  Builder b({kN, 8});
  const ValueId length = b.add("Gather", {b.add("Shape", {b.x}), b.scalar(0)});
  const ValueId range = b.add("Range", {b.scalar(0), length, b.scalar(1)});
  EXPECT_EQ(b.shape_of(range), (SymShape{kN}));
  const ValueId target = b.add("Concat", {b.ints({3}), b.add("Reshape", {length, b.ints({1})})}, {{"axis", std::int64_t{0}}});
  EXPECT_EQ(b.shape_of(b.add("Expand", {range, target})), (SymShape{3, kN}));
  EXPECT_EQ(b.shape_of(b.add("ConstantOfShape", {target})), (SymShape{3, kN}));
}

TEST(DataMovement, SplitOfShapeGivesEachDimension) {
  Builder b({kN, kM});
  Node& split = b.graph.add_node("Split", {b.add("Shape", {b.x})}, 2, {{"num_outputs", std::int64_t{2}}});
  const std::vector<ValueId> parts = split.outputs;
  const ValueId swapped = b.add("Concat", {parts[1], parts[0]}, {{"axis", std::int64_t{0}}});
  EXPECT_EQ(b.shape_of(b.add("Reshape", {b.x, swapped})), (SymShape{kM, kN}));
}

/// Elements 1, 2, 3, ... (mod 4: every type holds them) of any type but string.
Tensor counted(DType dtype, Shape shape) {
  Tensor tensor(dtype, std::move(shape));
  for (std::int64_t i = 0; i < tensor.numel(); ++i) store_u64(dtype, tensor.mutable_data(), i, (i + 1) % 4);
  return tensor;
}

TEST(DataMovement, TransposeMovesEveryStorageWidth) {
  for (const DTypeInfo& info : all_dtypes()) {
    if (info.kind == DTypeKind::String || info.kind == DTypeKind::Complex || info.kind == DTypeKind::Block) continue;
    const Tensor in = counted(info.dtype, {3, 5});
    const Tensor out = run_tensor("Transpose", {in});
    for (std::int64_t r = 0; r < 3; ++r) {
      for (std::int64_t c = 0; c < 5; ++c) {
        EXPECT_EQ(load_f64(info.dtype, out.data(), c * 3 + r), load_f64(info.dtype, in.data(), r * 5 + c)) << info.name;
      }
    }
  }
  const Tensor text = run_tensor("Transpose", {Tensor::from_strings({1, 2}, {"a", "b"})});
  EXPECT_EQ(text.strings()[1], "b");
}

TEST(DataMovement, PadWrapsAndReflectsFarBeyondTheInput) {
  const Tensor data = iota({3});
  const auto padded = [&](const char* mode, std::int64_t before, std::int64_t after) {
    return elements<float>(run_tensor("Pad", {data, ints({before, after})}, {{"mode", std::string(mode)}}));
  };
  // numpy.pad(arange(3), (4, 5), mode)
  EXPECT_EQ(padded("reflect", 4, 5), (std::vector<float>{0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2, 1}));
  EXPECT_EQ(padded("wrap", 4, 5), (std::vector<float>{2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1}));
  EXPECT_EQ(padded("edge", 2, 1), (std::vector<float>{0, 0, 0, 1, 2, 2}));
  EXPECT_EQ(padded("constant", -1, 2), (std::vector<float>{1, 2, 0, 0}));
}

void expect_rejected(const std::string& op, std::vector<Datum> inputs, Attributes attributes, const char* text) {
  try {
    run_op(op, inputs, std::move(attributes));
    FAIL() << op << " accepted: " << text;
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(text), std::string::npos) << error.what();
    EXPECT_NE(error.code(), ErrorCode::Internal) << error.what();
  }
}

TEST(DataMovement, RejectsWhatDoesNotFit) {
  const Tensor x = iota({2, 3});
  expect_rejected("Gather", {x, ints({2})}, {}, "got 2, expected [-2, 2)");
  expect_rejected("GatherND", {x, Tensor::from<std::int64_t>({1, 2}, {0, -4})}, {}, "got -4");
  expect_rejected("GatherElements", {x, Tensor::from<std::int64_t>({1, 1}, {5})}, {}, "got 5");
  expect_rejected("Reshape", {x, ints({4, -1})}, {}, "6 elements for -1");
  expect_rejected("Reshape", {x, ints({4, 2})}, {}, "expected 6");
  expect_rejected("Reshape", {x, ints({-1, -1})}, {}, "once at most");
  expect_rejected("Transpose", {x}, {{"perm", std::vector<std::int64_t>{0, 0}}}, "twice");
  expect_rejected("Slice", {x, ints({0}), ints({1}), ints({0}), ints({0})}, {}, "steps: got 0");
  expect_rejected("Squeeze", {x, ints({0})}, {}, "expected 1");
  expect_rejected("Concat", {x, iota({3, 3})}, {{"axis", std::int64_t{1}}}, "equal sizes");
  expect_rejected("Pad", {x, ints({0, -2, 0, -2})}, {}, "remove at most");
  expect_rejected("ConstantOfShape", {ints({INT64_MAX, 16})}, {}, "exceeds 63 bits");
  expect_rejected("Tile", {x, ints({INT64_MAX, 1})}, {}, "exceeds 63 bits");
  expect_rejected("Range", {Tensor::scalar(0.0F), Tensor::scalar(1.0F), Tensor::scalar(0.0F)}, {}, "delta");
}

}  // namespace
}  // namespace naru
