// eliminate_dead, fold_constants and eliminate_common.
#include <gtest/gtest.h>

#include "compiler/passes/passes.h"
#include "graph/scalar.h"
#include "tests/compiler/pass_testing.h"

namespace naru {
namespace {

using testing::expect_equal;
using testing::expect_rewrite;
using testing::graph_of;
using testing::ops_of;

TEST(EliminateDead, DropsChainsThatNothingUses) {
  expect_rewrite(eliminate_dead, R"(
    input %x: f32[n,3]
    const %unused: f32[] = {1.0}
    %a = Relu(%x) %b = Abs(%x) %c = Neg(%b) %d = Add(%c, %unused)
    output %a
  )",
                 "Relu");
}

TEST(EliminateDead, KeepsWhatAStateNeedsAndUnusedInputs) {
  Graph graph = graph_of(R"(
    input %x: f32[3]
    input %unused: f32[3]
    state "h" tensor %h: f32[3] -> %next
    %next = Add(%x, %h) %y = Relu(%x) %dead = Abs(%next)
    output %y
  )");
  testing::run(graph, eliminate_dead);
  EXPECT_EQ(ops_of(graph), "Add Relu");
  EXPECT_EQ(graph.inputs.size(), 2u);
  EXPECT_EQ(graph.states.size(), 1u);
}

TEST(FoldConstants, EvaluatesConstantChains) {
  expect_rewrite(fold_constants, R"(
    input %x: f32[n,3]
    const %a: f32[3] = {1.0, 2.0, 3.0}
    const %b: f32[] = {0.5}
    %p = Mul(%a, %b) %q = Exp(%p) %y = Add(%x, %q)
    output %y
  )",
                 "Add");
}

TEST(FoldConstants, AnOutputBecomesAConstantWithItsName) {
  Graph graph = graph_of(R"(
    const %a: f32[2] = {1.0, -2.0}
    %y = Abs(%a)
    output %y
  )");
  const Graph before = graph;
  testing::run(graph, fold_constants);
  EXPECT_TRUE(graph.nodes.empty());
  EXPECT_TRUE(graph.value(graph.outputs[0]).is_constant());
  expect_equal(before, graph);
}

TEST(FoldConstants, ANodeThatFailsStays) {
  // Integer division by zero is an error of the run that reaches it, not of the compilation.
  Graph graph = graph_of(R"(
    const %a: i64[1] = {1}
    const %b: i64[1] = {0}
    %y = Div(%a, %b)
    output %y
  )");
  testing::run(graph, fold_constants);
  EXPECT_EQ(ops_of(graph), "Div");
}

TEST(FoldConstants, KnownDimensionsAreConstants) {
  // The batch stays symbolic; what follows from the 4 is known.
  expect_rewrite({{"fold", fold_constants}, {"dead", eliminate_dead}}, R"(
    input %x: f32[n,4,h,6]
    const %i: i64[1] = {1} const %two: i64[1] = {2} const %rest: i64[1] = {-1}
    %s = Shape(%x) %c = Gather(%s, %i) %half = Div(%c, %two)
    %t = Concat(%rest, %half) {axis=0} %y = Reshape(%x, %t)
    output %y
  )",
                 "Reshape");
}

TEST(EliminateCommon, MergesEqualNodesAndConstants) {
  expect_rewrite(eliminate_common, R"(
    input %x: f32[n,3]
    const %a: f32[3] = {1.0, 2.0, 3.0}
    const %b: f32[3] = {1.0, 2.0, 3.0}
    %p = Add(%x, %a) %q = Add(%x, %b) %y = Mul(%p, %q)
    output %y
  )",
                 "Add Mul");
}

TEST(EliminateCommon, AttributesAndInputsDecide) {
  expect_rewrite(eliminate_common, R"(
    input %x: f32[n,3]
    const %a: f32[3] = {1.0, 2.0, 3.0}
    const %b: f32[3] = {1.0, 2.0, -3.0}
    %p = Elu(%x) {alpha=1.0} %q = Elu(%x) %r = Elu(%x) {alpha=0.5}
    %s = Add(%p, %a) %t = Add(%q, %b) %u = Mul(%s, %t) %y = Mul(%u, %r)
    output %y
  )",
                 "Elu Elu Add Add Mul Mul");
}

TEST(EliminateCommon, OutputsKeepTheirIdentity) {
  expect_rewrite(eliminate_common, R"(
    input %x: f32[n,3]
    %y = Relu(%x) %z = Relu(%x) %w = Relu(%x) %v = Neg(%w)
    output %y output %z output %v
  )",
                 "Relu Relu Neg");
}

TEST(EliminateCommon, TheNodeThatDefinesAnOutputTakesOver) {
  expect_rewrite(eliminate_common, R"(
    input %x: f32[n,3]
    %t = Relu(%x) %u = Neg(%t) %y = Relu(%x)
    output %u output %y
  )",
                 "Relu Neg");
}

}  // namespace
}  // namespace naru
