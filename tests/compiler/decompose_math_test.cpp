// Decompositions of the mathematical operators: each computes what its operator's reference does.
#include <gtest/gtest.h>

#include "compiler/decompose.h"
#include "tests/compiler/pass_testing.h"

namespace naru::testing {
namespace {

void expect_same_meaning(const std::string& statements, double tolerance = 1e-5) {
  SCOPED_TRACE(statements);
  const Graph graph = graph_of(statements);
  Graph rewritten = graph;
  ASSERT_TRUE(decompose_node(rewritten, rewritten.nodes.size() - 1));
  expect_equal(graph, rewritten, tolerance);
}

/// The operator applied to %x: f32[n,3], with these further arguments and attributes.
std::string on_one_input(const std::string& call) {
  return "input %x: f32[n,3]\n%y = " + call + "\noutput %y";
}

TEST(DecomposeMath, Activations) {
  for (const char* call :
       {"Sigmoid(%x)", "HardSigmoid(%x)", "HardSigmoid(%x) {alpha=0.5, beta=0.25}", "HardSwish(%x)", "Relu(%x)",
        "LeakyRelu(%x) {alpha=0.25}", "ThresholdedRelu(%x) {alpha=0.5}", "Elu(%x) {alpha=2.0}", "Selu(%x)",
        "Celu(%x) {alpha=0.5}", "Softplus(%x)", "Softsign(%x)", "Mish(%x)",
        "Swish(%x) {alpha=0.5}", "Gelu(%x)", "Gelu(%x) {approximate=\"tanh\"}",
        "Shrink(%x) {bias=0.25, lambd=0.5}"}) {
    expect_same_meaning(on_one_input(call));
  }
}

TEST(DecomposeMath, Functions) {
  for (const char* call : {"Reciprocal(%x)", "Sinh(%x)", "Cosh(%x)", "Tan(%x)", "IsNaN(%x)"}) {
    expect_same_meaning(on_one_input(call));
  }
}

TEST(DecomposeMath, SoftmaxFamilies) {
  for (const char* call : {"Softmax(%x)", "Softmax(%x) {axis=0}", "LogSoftmax(%x)", "LogSoftmax(%x) {axis=0}"}) {
    expect_same_meaning(on_one_input(call));
  }
}

TEST(DecomposeMath, Reductions) {
  for (const char* op : {"ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp"}) {
    for (const char* rest : {"(%x, %axes)", "(%x, %axes) {keepdims=0}", "(%x)", "(%x) {noop_with_empty_axes=1}"}) {
      expect_same_meaning("input %x: f32[n,3]\nconst %axes: i64[1] = {-1}\n%y = " + std::string(op) + rest +
                          "\noutput %y");
    }
  }
}

TEST(DecomposeMath, LogSumExpOfInfinities) {
  expect_same_meaning(R"(
    const %x: f32[3,2] = {-inf, -inf, inf, 1.0, 1000.0, 1000.0}
    const %axes: i64[1] = {1}
    %y = ReduceLogSumExp(%x, %axes) {keepdims=0}
    output %y
  )");
}

TEST(DecomposeMath, ManyInputs) {
  const std::string inputs = "input %x: f32[n,3]\ninput %z: f32[3]\ninput %w: f32[n,1]\n";
  for (const char* call :
       {"Sum(%x, %z, %w)", "Sum(%x)", "Mean(%x, %z, %w)", "Max(%x, %z, %w)", "Min(%x, %z, %w)", "Min(%x)",
        "LessOrEqual(%x, %z)", "GreaterOrEqual(%x, %x)", "PRelu(%x, %z)", "CastLike(%x, %z)"}) {
    expect_same_meaning(inputs + "%y = " + call + "\noutput %y");
  }
}

TEST(DecomposeMath, ClipAndXor) {
  for (const char* call : {"Clip(%x, %low, %high)", "Clip(%x, %low)", "Clip(%x, _, %high)", "Clip(%x)"}) {
    expect_same_meaning("input %x: f32[n,3]\nconst %low: f32[] = {-0.5}\nconst %high: f32[] = {0.25}\n%y = " +
                        std::string(call) + "\noutput %y");
  }
  expect_same_meaning("input %x: bool[n,3]\ninput %z: bool[3]\n%y = Xor(%x, %z)\noutput %y");
}

TEST(DecomposeMath, DropoutOutsideTraining) {
  expect_same_meaning("input %x: f32[n,3]\n%y, %mask = Dropout(%x)\noutput %y\noutput %mask");
  Graph training = graph_of(
      "input %x: f32[n,3]\nconst %ratio: f32[] = {0.5}\nconst %on: bool[] = {true}\n"
      "%y = Dropout(%x, %ratio, %on)\noutput %y");
  EXPECT_FALSE(decompose_node(training, 0));
}

}  // namespace
}  // namespace naru::testing
