// The table of single-operator cases: ordinary shapes, odd ones, one of everything that pads.
#include "tools/naru/vendor/op_cases.h"

#include "graph/infer.h"
#include "graph/scalar.h"

namespace naru::tool::vendor {
namespace {

using Ints = std::vector<std::int64_t>;

/// An operand: an input of the graph, a constant weight, or a constant list of integers.
struct Operand {
  Shape shape;
  bool weight = false;
  Ints ints = {};
};

struct Row {
  const char* op;
  const char* variant;
  std::vector<Operand> operands;
  Attributes attributes = {};
};

Operand input(Ints dims) { return {Shape(std::move(dims))}; }
Operand weight(Ints dims) { return {Shape(std::move(dims)), true}; }
Operand ints(Ints values) { return {Shape{static_cast<std::int64_t>(values.size())}, true, std::move(values)}; }

std::vector<Row> unary_rows() {
  std::vector<Row> rows;
  for (const char* op : {"Relu", "Sigmoid", "Tanh", "Exp", "Sqrt", "Log", "Abs", "Neg", "Floor", "Erf", "Gelu", "HardSwish",
                         "HardSigmoid", "LeakyRelu", "Elu", "Softplus", "Reciprocal", "Identity"}) {
    rows.push_back({op, "4d", {input({2, 3, 4, 5})}});
    rows.push_back({op, "odd", {input({1, 7, 1})}});
  }
  return rows;
}

std::vector<Row> binary_rows() {
  std::vector<Row> rows;
  for (const char* op : {"Add", "Sub", "Mul", "Div", "Pow", "Max", "Min"}) {
    rows.push_back({op, "same", {input({2, 3, 5}), input({2, 3, 5})}});
    rows.push_back({op, "channel", {input({2, 3, 4, 4}), weight({3, 1, 1})}});
    rows.push_back({op, "outer", {input({5, 1}), input({1, 6})}});
  }
  return rows;
}

std::vector<Row> window_rows() {
  const Attribute one = Ints{1, 1, 1, 1}, two = Ints{2, 2}, three = Ints{3, 3};
  return {
      {"Conv", "3x3", {input({1, 3, 9, 7}), weight({4, 3, 3, 3}), weight({4})}, {{"pads", one}}},
      {"Conv", "1x1", {input({2, 5, 4, 4}), weight({6, 5, 1, 1})}},
      {"Conv", "stride", {input({1, 3, 9, 9}), weight({4, 3, 3, 3})}, {{"strides", two}}},
      {"Conv", "dilated", {input({1, 2, 9, 9}), weight({2, 2, 3, 3})}, {{"dilations", two}}},
      {"Conv", "depthwise", {input({1, 4, 6, 6}), weight({4, 1, 3, 3})}, {{"pads", one}, {"group", std::int64_t{4}}}},
      {"Conv", "uneven pads", {input({1, 2, 5, 5}), weight({3, 2, 3, 3})}, {{"pads", Ints{0, 1, 2, 1}}}},
      {"Conv", "1d", {input({1, 3, 16}), weight({4, 3, 5})}, {{"pads", Ints{2, 2}}}},
      {"ConvTranspose", "2x2", {input({1, 3, 4, 4}), weight({3, 2, 2, 2})}, {{"strides", two}}},
      {"MaxPool", "2x2", {input({1, 3, 8, 6})}, {{"kernel_shape", two}, {"strides", two}}},
      {"MaxPool", "3x3 pads", {input({1, 3, 7, 7})}, {{"kernel_shape", three}, {"pads", one}}},
      {"AveragePool", "3x3 pads", {input({1, 3, 7, 7})}, {{"kernel_shape", three}, {"pads", one}}},
      {"AveragePool", "counts pads", {input({1, 3, 7, 7})},
       {{"kernel_shape", three}, {"pads", one}, {"count_include_pad", std::int64_t{1}}}},
      {"GlobalAveragePool", "2d", {input({2, 3, 5, 4})}},
      {"GlobalMaxPool", "2d", {input({2, 3, 5, 4})}},
  };
}

std::vector<Row> linear_rows() {
  const Attribute yes = std::int64_t{1};
  return {
      {"MatMul", "weight", {input({5, 8}), weight({8, 3})}},
      {"MatMul", "batched", {input({2, 4, 8}), input({2, 8, 3})}},
      {"MatMul", "row", {input({1, 33}), weight({33, 17})}},
      {"Gemm", "plain", {input({4, 8}), weight({8, 3}), weight({3})}},
      {"Gemm", "transB", {input({4, 8}), weight({3, 8}), weight({3})}, {{"transB", yes}}},
      {"Gemm", "alpha", {input({4, 8}), weight({8, 3}), weight({3})}, {{"alpha", 0.5f}, {"beta", 2.0f}}},
      {"BatchNormalization", "2d", {input({2, 3, 4, 4}), weight({3}), weight({3}), weight({3}), weight({3})}},
      {"LayerNormalization", "last", {input({2, 4, 8}), weight({8}), weight({8})}},
      {"Softmax", "last", {input({3, 10})}},
      {"Softmax", "middle", {input({2, 5, 3})}, {{"axis", yes}}},
  };
}

std::vector<Row> movement_rows() {
  return {
      {"Transpose", "nhwc", {input({1, 3, 4, 5})}, {{"perm", Ints{0, 2, 3, 1}}}},
      {"Transpose", "reverse", {input({3, 4, 5})}},
      {"Reshape", "flat", {input({2, 3, 4}), ints({6, 4})}},
      {"Flatten", "axis 1", {input({2, 3, 4})}},
      {"Unsqueeze", "front", {input({3, 4}), ints({0})}},
      {"Squeeze", "back", {input({3, 4, 1}), ints({2})}},
      {"Concat", "channels", {input({1, 2, 3, 3}), input({1, 4, 3, 3})}, {{"axis", std::int64_t{1}}}},
      {"Slice", "step", {input({8, 6}), ints({1}), ints({7}), ints({0}), ints({2})}},
      {"ReduceMean", "last", {input({2, 3, 8}), ints({2})}},
      {"ReduceSum", "all", {input({2, 3, 4}), ints({0, 1, 2})}},
      {"Expand", "rows", {input({1, 4}), ints({3, 4})}},
  };
}

/// Values in (0.1, 1.1): safe for logarithms, roots, variances and quotients.
Tensor values(DType dtype, const Shape& shape, std::uint32_t seed) {
  Tensor tensor(dtype, shape);
  std::vector<double> wide(static_cast<std::size_t>(shape.numel()));
  std::uint32_t state = seed;
  for (double& value : wide) {
    state = state * 1664525u + 1013904223u;
    value = 0.1 + static_cast<double>(state >> 8) / 16777216.0;
  }
  from_wide<double>(wide, tensor);
  return tensor;
}

OpCase make_case(const Row& row, DType dtype) {
  OpCase result;
  result.name = std::string(row.op) + " " + row.variant;
  std::vector<ValueId> ids;
  std::uint32_t seed = 7;
  for (const Operand& operand : row.operands) {
    if (!operand.ints.empty()) {
      ids.push_back(result.graph.add_constant("", Tensor::from<std::int64_t>(operand.shape, operand.ints)));
    } else if (operand.weight) {
      ids.push_back(result.graph.add_constant("", values(dtype, operand.shape, ++seed)));
    } else {
      ids.push_back(result.graph.add_input("", Type::tensor(dtype, operand.shape)));
      result.inputs.emplace_back(values(dtype, operand.shape, ++seed));
    }
  }
  result.graph.outputs = {result.graph.add_node(row.op, ids, 1, row.attributes).outputs[0]};
  infer_types(result.graph);
  return result;
}

}  // namespace

std::vector<OpCase> op_cases(DType dtype) {
  std::vector<OpCase> cases;
  for (const auto& rows : {unary_rows(), binary_rows(), window_rows(), linear_rows(), movement_rows()}) {
    for (const Row& row : rows) cases.push_back(make_case(row, dtype));
  }
  return cases;
}

}  // namespace naru::tool::vendor
