// Element-wise operators: the corners that the ONNX cases leave out, and shape elements.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "graph/scalar.h"
#include "tests/graph/op_runner.h"

namespace naru {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

template <typename T>
Tensor vec(std::initializer_list<T> values) {
  return Tensor::from<T>({static_cast<std::int64_t>(values.size())}, values);
}

template <typename T>
std::vector<T> binary(const char* op, std::initializer_list<T> a, std::initializer_list<T> b,
                      Attributes attributes = {}) {
  return elements<T>(run_tensor(op, {vec(a), vec(b)}, std::move(attributes)));
}

ErrorCode code_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.code();
  }
  return ErrorCode::Internal;
}

TEST(Elementwise, IntegerArithmeticWrapsAround) {
  constexpr auto kMin32 = std::numeric_limits<std::int32_t>::min();
  constexpr auto kMin64 = std::numeric_limits<std::int64_t>::min();
  EXPECT_EQ(binary<std::int32_t>("Div", {kMin32, 7, -7}, {-1, -2, 2}), (std::vector<std::int32_t>{kMin32, -3, -3}));
  EXPECT_EQ(binary<std::int64_t>("Div", {kMin64}, {-1}), (std::vector<std::int64_t>{kMin64}));
  EXPECT_EQ(binary<std::int64_t>("Mod", {kMin64, -7, 7}, {-1, 3, -3}), (std::vector<std::int64_t>{0, 2, -2}));
  EXPECT_EQ(binary<std::int64_t>("Add", {INT64_MAX}, {1}), (std::vector<std::int64_t>{kMin64}));
  EXPECT_EQ(binary<std::int64_t>("Mul", {kMin64}, {-1}), (std::vector<std::int64_t>{kMin64}));
  EXPECT_EQ(binary<std::uint8_t>("Sub", {3}, {5}), (std::vector<std::uint8_t>{254}));
  EXPECT_EQ(elements<std::int64_t>(run_tensor("Abs", {vec<std::int64_t>({kMin64, -2})})),
            (std::vector<std::int64_t>{kMin64, 2}));
  EXPECT_EQ(elements<std::int64_t>(run_tensor("Neg", {vec<std::int64_t>({kMin64})})),
            (std::vector<std::int64_t>{kMin64}));
}

TEST(Elementwise, IntegerDivisionByZeroIsAnError) {
  for (const char* op : {"Div", "Mod"}) {
    EXPECT_EQ(code_of([&] { binary<std::int32_t>(op, {1, 2}, {1, 0}); }), ErrorCode::InvalidArgument);
    EXPECT_EQ(code_of([&] { binary<std::uint8_t>(op, {1}, {0}); }), ErrorCode::InvalidArgument);
  }
  const Tensor none(DType::I32, {0});
  EXPECT_EQ(run_tensor("Div", {none, vec<std::int32_t>({0})}).numel(), 0);
}

TEST(Elementwise, IntegerPowersAreExact) {
  EXPECT_EQ(binary<std::int64_t>("Pow", {3, -2, 2, -1, 1, 0, 5}, {39, 63, -1, -3, -9, 0, 0}),
            (std::vector<std::int64_t>{4052555153018976267, INT64_MIN, 0, -1, 1, 1, 1}));
  EXPECT_EQ(code_of([] { binary<std::int64_t>("Pow", {0}, {-1}); }), ErrorCode::InvalidArgument);
}

TEST(Elementwise, ShiftsBeyondTheWidthLeaveTheSign) {
  const Attributes right = {{"direction", std::string("RIGHT")}};
  const Attributes left = {{"direction", std::string("LEFT")}};
  EXPECT_EQ(binary<std::int8_t>("BitShift", {-128, -1, 64, -5}, {8, 1, 9, -1}, right),
            (std::vector<std::int8_t>{-1, -1, 0, -1}));
  EXPECT_EQ(binary<std::int8_t>("BitShift", {-128, 1, 1, 3}, {8, 7, -1, 7}, left),
            (std::vector<std::int8_t>{0, -128, 0, -128}));
}

TEST(Elementwise, FloatModFollowsItsTable) {
  const double infinity = std::numeric_limits<double>::infinity();
  const auto result = binary<double>("Mod", {0.0, 0.0, infinity, 1, -1, 1, 5.5}, {-2, 2, 1, 0, infinity, infinity, -2});
  EXPECT_TRUE(std::signbit(result[0]));
  EXPECT_FALSE(std::signbit(result[1]));
  EXPECT_TRUE(std::isnan(result[2]));
  EXPECT_TRUE(std::isnan(result[3]));
  EXPECT_EQ(result[4], infinity);
  EXPECT_EQ(result[5], 1);
  EXPECT_EQ(result[6], -0.5);
}

TEST(Elementwise, NanSurvivesLimits) {
  for (const char* op : {"Max", "Min"}) {
    for (double value : binary<double>(op, {kNan, 1, kNan}, {1, kNan, kNan})) EXPECT_TRUE(std::isnan(value)) << op;
  }
  for (const char* op : {"Relu", "HardSigmoid", "HardSwish", "Clip", "Sigmoid", "Softplus", "Celu", "Sign"}) {
    EXPECT_TRUE(std::isnan(run_tensor(op, {vec({kNan})}).as<double>()[0])) << op;
  }
}

TEST(Elementwise, ActivationsDoNotOverflow) {
  const auto at = [](const char* op, double x) { return run_tensor(op, {vec({x})}).as<double>()[0]; };
  EXPECT_EQ(at("Sigmoid", -1e4), 0);
  EXPECT_EQ(at("Sigmoid", 1e4), 1);
  EXPECT_EQ(at("Softplus", 1e4), 1e4);
  EXPECT_EQ(at("Softplus", -1e4), 0);
  EXPECT_EQ(at("Mish", 1e4), 1e4);
}

TEST(Elementwise, RejectsWrongTypesAndShapes) {
  const auto code = [](const char* op, std::vector<Datum> inputs) {
    return code_of([&] { run_op(op, inputs); });
  };
  EXPECT_EQ(code("Add", {vec({true}), vec({true})}), ErrorCode::InvalidModel);
  EXPECT_EQ(code("Add", {vec({1.0f}), vec({1.0})}), ErrorCode::InvalidModel);
  EXPECT_EQ(code("Add", {vec({1.0f, 2.0f}), vec({1.0f, 2.0f, 3.0f})}), ErrorCode::InvalidModel);
  EXPECT_EQ(code("Exp", {ints({1})}), ErrorCode::InvalidModel);
  EXPECT_EQ(code("PRelu", {vec({1.0f}), vec({1.0f, 2.0f})}), ErrorCode::InvalidModel);
  EXPECT_EQ(code("Clip", {vec({1.0f}), vec({1.0f, 2.0f})}), ErrorCode::InvalidModel);
}

TEST(Elementwise, ComparesStrings) {
  const Tensor a = Tensor::from_strings({2, 1}, {"x", "y"});
  const Tensor b = Tensor::from_strings({2}, {"y", "x"});
  EXPECT_EQ(elements<bool>(run_tensor("Equal", {a, b})), (std::vector<bool>{false, true, true, false}));
  const Tensor chosen = run_tensor("Where", {vec({true, false}), a.reshaped({2}), b});
  EXPECT_EQ(chosen.strings()[0], "x");
  EXPECT_EQ(chosen.strings()[1], "x");
}

// Shape elements

const Dim kN = Dim::symbol("n");

/// Computes on the elements of shapes; the result is read as the shape of an Expand.
struct ShapeMath {
  Graph graph;
  ValueId shape = graph.add_node("Shape", {graph.add_input("x", Type::tensor(DType::F32, SymShape{kN, 3}))}).outputs[0];

  ValueId add(const char* op, std::vector<ValueId> inputs, Attributes attributes = {}) {
    return graph.add_node(op, std::move(inputs), 1, std::move(attributes)).outputs[0];
  }
  ValueId c(Tensor value) { return graph.add_constant("", std::move(value)); }
  std::optional<std::vector<Dim>> value(ValueId id) {
    const SymbolicValues values = infer_types_with_values(graph);
    const auto found = values.find(id);
    if (found == values.end()) return std::nullopt;
    return found->second.elements;
  }
};

TEST(Elementwise, ShapeElementsFollowArithmetic) {
  ShapeMath m;
  const ValueId scaled = m.add("Add", {m.add("Mul", {m.shape, m.c(ints({4}))}), m.c(ints({2, 5}))});
  EXPECT_EQ(m.value(scaled), (std::vector<Dim>{kN * 4 + 2, 17}));
  EXPECT_EQ(m.value(m.add("Div", {scaled, m.c(ints({2}))})), (std::vector<Dim>{kN * 2 + 1, 8}));
  EXPECT_EQ(m.value(m.add("Mod", {scaled, m.c(ints({4}))})), (std::vector<Dim>{2, 1}));
  EXPECT_EQ(m.value(m.add("Sub", {m.c(ints({0})), m.shape})), (std::vector<Dim>{-kN, -3}));
  EXPECT_EQ(m.value(m.add("Max", {m.shape, m.c(ints({0})), m.c(ints({-1}))})), (std::vector<Dim>{kN, 3}));
  EXPECT_EQ(m.value(m.add("Neg", {m.shape})), (std::vector<Dim>{-kN, -3}));
  EXPECT_EQ(m.value(m.add("Clip", {m.shape, kNoValue, m.c(Tensor::scalar(std::int64_t{2}))})),
            (std::vector<Dim>{min(kN, 2), 2}));
  EXPECT_EQ(m.value(m.add("ReduceProd", {m.shape}, {{"keepdims", std::int64_t{0}}})), (std::vector<Dim>{kN * 3}));
  EXPECT_EQ(m.value(m.add("Div", {m.c(ints({-7, 7})), m.c(ints({2, -2}))})), (std::vector<Dim>{-3, -3}));
}

TEST(Elementwise, ShapeElementsSurviveCasts) {
  ShapeMath m;
  const Attributes to_i32 = {{"to", std::int64_t{6}}};
  const Attributes to_i64 = {{"to", std::int64_t{7}}};
  EXPECT_EQ(m.value(m.add("Cast", {m.add("Cast", {m.shape}, to_i32)}, to_i64)), (std::vector<Dim>{kN, 3}));
}

TEST(Elementwise, ExporterIdiomForExpandResolves) {
  // torch.expand writes Where(Equal(shape, -1), ones, shape) around the target shape.
  ShapeMath m;
  const ValueId is_open = m.add("Equal", {m.shape, m.c(ints({-1}))});
  EXPECT_EQ(m.value(m.add("Where", {is_open, m.c(ints({1, 1})), m.shape})), (std::vector<Dim>{kN, 3}));
  EXPECT_EQ(m.value(m.add("Equal", {m.shape, m.c(ints({1}))})), std::nullopt);
  EXPECT_EQ(m.value(m.add("Not", {is_open})), (std::vector<Dim>{1, 1}));
}

TEST(Elementwise, OverflowOfShapeElementsIsNotAnError) {
  ShapeMath m;
  const ValueId huge = m.add("Mul", {m.shape, m.c(ints({INT64_MAX}))});
  EXPECT_EQ(m.value(m.add("Mul", {huge, m.c(ints({INT64_MAX}))})), std::nullopt);
  EXPECT_EQ(m.value(m.add("Div", {m.shape, m.c(ints({0}))})), std::nullopt);
}

}  // namespace
}  // namespace naru
