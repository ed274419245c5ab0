// Reductions, softmax and running sums: empty sets, infinities, axes that are not known.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "graph/scalar.h"
#include "tests/graph/op_runner.h"

namespace naru {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::int64_t empty_int_reduction(const char* op, DType dtype) {
  return load_i64(dtype, run_tensor(op, {Tensor(dtype, {0})}, {{"keepdims", std::int64_t{0}}}).data(), 0);
}

float empty_reduction(const char* op) {
  return run_tensor(op, {Tensor(DType::F32, {0})}, {{"keepdims", std::int64_t{0}}}).as<float>()[0];
}

TEST(Reduce, EmptySetsGiveWhatOnnxSays) {
  EXPECT_EQ(empty_reduction("ReduceSum"), 0);
  EXPECT_EQ(empty_reduction("ReduceProd"), 1);
  EXPECT_EQ(empty_reduction("ReduceMax"), -kInfinity);
  EXPECT_EQ(empty_reduction("ReduceMin"), kInfinity);
  EXPECT_EQ(empty_reduction("ReduceLogSum"), -kInfinity);
  EXPECT_EQ(empty_reduction("ReduceLogSumExp"), -kInfinity);
  EXPECT_TRUE(std::isnan(empty_reduction("ReduceMean")));
  EXPECT_EQ(empty_int_reduction("ReduceMean", DType::I32), 0);
  EXPECT_EQ(empty_int_reduction("ReduceMax", DType::I8), -128);
  EXPECT_EQ(empty_int_reduction("ReduceMin", DType::I8), 127);
  EXPECT_EQ(empty_int_reduction("ReduceMax", DType::I64), INT64_MIN);
  EXPECT_EQ(empty_int_reduction("ReduceMin", DType::U8), 255);
  EXPECT_EQ(empty_int_reduction("ReduceMax", DType::Bool), 0);
  EXPECT_EQ(empty_int_reduction("ReduceMin", DType::Bool), 1);
}

TEST(Reduce, LogSumExpKeepsInfinities) {
  const Tensor x = Tensor::from<float>({4, 2}, {-kInfinity, -kInfinity, kInfinity, 1, 1000, 1000, kNan, 0});
  const auto y = elements<float>(run_tensor("ReduceLogSumExp", {x, ints({1})}));
  EXPECT_EQ(y[0], -kInfinity);
  EXPECT_EQ(y[1], kInfinity);
  EXPECT_FLOAT_EQ(y[2], 1000 + std::log(2.0f));
  EXPECT_TRUE(std::isnan(y[3]));
}

TEST(Reduce, RejectsBadAxes) {
  EXPECT_THROW(run_op("ReduceSum", {iota({2, 3}), ints({0, -2})}), Error);
  EXPECT_THROW(run_op("ReduceSum", {iota({2, 3}), ints({2})}), Error);
  EXPECT_THROW(run_op("ArgMax", {iota({2, 0})}, {{"axis", std::int64_t{1}}}), Error);
  EXPECT_THROW(run_op("Softmax", {iota({2, 3})}, {{"axis", std::int64_t{2}}}), Error);
  EXPECT_THROW(run_op("CumSum", {iota({2, 3}), Tensor::scalar(std::int64_t{-3})}), Error);
  EXPECT_THROW(run_op("Det", {iota({2, 3})}), Error);
}

TEST(Reduce, OpenAxesKeepTheRank) {
  Graph graph;
  const ValueId x = graph.add_input("x", Type::tensor(DType::F32, SymShape{2, 3, 4}));
  const ValueId axes = graph.add_input("axes", Type::tensor(DType::I64, SymShape{2}));
  const ValueId kept = graph.add_node("ReduceSum", {x, axes}).outputs[0];
  const ValueId pruned = graph.add_node("ReduceSum", {x, axes}, 1, {{"keepdims", std::int64_t{0}}}).outputs[0];
  infer_types(graph);
  EXPECT_EQ(graph.value(kept).type.shape->size(), 3u);
  EXPECT_EQ(graph.value(pruned).type.shape->size(), 1u);
}

TEST(Reduce, ArgMaxTakesTheFirstNan) {
  const Tensor x = Tensor::from<float>({4}, {1, kNan, 3, kNan});
  EXPECT_EQ(elements<std::int64_t>(run_tensor("ArgMax", {x})), (std::vector<std::int64_t>{1}));
  EXPECT_EQ(elements<std::int64_t>(run_tensor("ArgMin", {x})), (std::vector<std::int64_t>{1}));
}

TEST(Reduce, EmptyTensorsPass) {
  EXPECT_EQ(run_tensor("Softmax", {Tensor(DType::F32, {0, 3})}).numel(), 0);
  EXPECT_EQ(run_tensor("Softmax", {Tensor(DType::F32, {3, 0})}).numel(), 0);
  EXPECT_EQ(run_tensor("CumSum", {Tensor(DType::F32, {3, 0}), Tensor::scalar(std::int64_t{1})}).numel(), 0);
  EXPECT_EQ(run_tensor("ArgMax", {Tensor(DType::F32, {3, 0})}).numel(), 0);
  EXPECT_EQ(elements<float>(run_tensor("Det", {Tensor(DType::F32, {2, 0, 0})})), (std::vector<float>{1, 1}));
}

}  // namespace
}  // namespace naru
