// fold_branches, unroll_loops and narrow_captures: sub-graphs lose what the outer graph knows about them.
#include <gtest/gtest.h>

#include "compiler/passes/passes.h"
#include "compiler/pipeline.h"
#include "graph/text.h"
#include "tests/compiler/pass_testing.h"

namespace naru {
namespace {

using testing::expect_equal;
using testing::expect_rewrite;
using testing::graph_of;
using testing::ops_of;

/// An If whose branches use two captures.
std::string branch_on(const std::string& condition, const std::string& captures = "%x, %k") {
  return R"(
  input %x: f32[n,3] input %flag: bool[]
  const %k: f32[3] = {1.0, 2.0, 3.0} const %yes: bool[] = {true} const %no: bool[1] = {false}
  %y = If()" +
         condition + ") captures(" + captures + R"() {
    then_branch=graph "then" {
      input %a: f32[n,3] input %b: f32[3]
      const %two: f32[] = {2.0}
      %s = Mul(%b, %two) %t = Add(%a, %s)
      output %t
    },
    else_branch=graph "else" {
      input %a: f32[n,3] input %b: f32[3]
      %t = Sub(%a, %b)
      output %t
    }
  } "choice"
  output %y)";
}

/// All operators of the sub-graphs of node `n`, in attribute order.
std::string inner_ops(const Graph& graph, std::size_t n) {
  std::string text;
  for_each_subgraph(graph.nodes[n], [&](const std::string&, const Graph& sub) {
    text += (text.empty() ? "" : " | ") + ops_of(sub);
  });
  return text;
}

TEST(FoldBranches, AConstantConditionChoosesABranch) {
  expect_rewrite(fold_branches, branch_on("%yes"), "Mul Add Identity");
  expect_rewrite(fold_branches, branch_on("%no"), "Sub Identity");
  // The whole clean-up folds the constant part as well and lets Add define the output.
  expect_rewrite(generic_pipeline(1), branch_on("%yes"), "Add");
}

TEST(FoldBranches, AConditionKnownAtRunTimeStays) {
  Graph graph = graph_of(branch_on("%flag"));
  const Graph before = graph;
  testing::run(graph, fold_branches);
  EXPECT_EQ(ops_of(graph), "If");
  expect_equal(before, graph);
}

TEST(FoldBranches, ABranchThatReturnsACaptureIsAnAlias) {
  expect_rewrite(generic_pipeline(1), R"(
    input %x: f32[n,3]
    const %yes: bool[] = {true}
    %r = Relu(%x)
    %t = If(%yes) captures(%r) {
      then_branch=graph "then" { input %a: f32[n,3] output %a },
      else_branch=graph "else" { input %a: f32[n,3] %b = Neg(%a) output %b }
    }
    %y = Abs(%t)
    output %y
  )",
                 "Relu");
}

/// A running sum over the rows of %x, from the last where `reversed`, that also doubles what it captures.
std::string scan_of(const std::string& rows, bool reversed) {
  return R"(
  input %start: f32[3] input %x: f32[)" +
         rows + R"(,3] input %k: f32[]
  %last, %sums = Scan(%start, %x) captures(%k) {
    body=graph "body" {
      input %state: f32[3] input %row: f32[3] input %scale: f32[]
      %t = Mul(%row, %scale) %next = Add(%state, %t) %out = Neg(%next)
      output %next output %out
    },
    num_scan_inputs=1, scan_input_directions=[)" +
         (reversed ? "1" : "0") + R"(], scan_output_axes=[1]
  } "sum"
  output %last output %sums)";
}

TEST(UnrollLoops, AScanOfFewSlicesBecomesItsBodies) {
  const std::string step = "Slice Squeeze Mul Add Neg ";
  expect_rewrite(unroll_loops, scan_of("2", false), step + step + "Unsqueeze Unsqueeze Concat Identity Identity");
  expect_rewrite(unroll_loops, scan_of("2", true), step + step + "Unsqueeze Unsqueeze Concat Identity Identity");
}

TEST(UnrollLoops, WhatIsOpenOrLongStays) {
  expect_rewrite(unroll_loops, scan_of("n", false), "Scan");
  expect_rewrite(unroll_loops, scan_of("1000", false), "Scan", 1e-3);
}

/// A Loop that adds its counter to what it carries, under `condition`.
std::string loop_of(const std::string& trips, const std::string& condition) {
  return R"(
  input %start: i64[2] input %flag: bool[]
  const %trips: i64[] = {)" +
         trips + R"(}
  %end, %seen = Loop(%trips, %flag, %start) {
    body=graph "body" {
      input %i: i64[] input %go: bool[] input %v: i64[2]
      const %yes: bool[] = {true}
      %w = Add(%v, %i) %stay = Identity()" +
         condition + R"()
      output %stay output %w output %v
    }
  } "count"
  output %end output %seen)";
}

TEST(UnrollLoops, ALoopThatStartsForCertainIsUnrolled) {
  Graph graph = graph_of(loop_of("3", "%go"));
  graph.value(graph.inputs[1]).constant = Tensor::scalar(true);
  graph.inputs.pop_back();
  const Graph before = graph;
  testing::run(graph, unroll_loops);
  EXPECT_EQ(ops_of(graph).find("Loop"), std::string::npos) << ops_of(graph);
  expect_equal(before, graph);
  expect_rewrite(unroll_loops, loop_of("3", "%go"), "Loop");
}

TEST(NarrowCaptures, ConstantsMoveInside) {
  Graph graph = graph_of(branch_on("%flag"));
  const Graph before = graph;
  testing::run(graph, narrow_captures);
  EXPECT_EQ(graph.nodes[0].captures.size(), 1u);
  EXPECT_EQ(inner_ops(graph, 0), "Sub | Mul Add");
  expect_equal(before, graph);
}

TEST(NarrowCaptures, WhatMovedInsideIsFoldedThere) {
  Graph graph = graph_of(branch_on("%flag"));
  const Graph before = graph;
  testing::run(graph, generic_pipeline(1));
  // Sub of a constant is Add of its negative.
  EXPECT_EQ(inner_ops(graph, 0), "Add | Add") << print(graph);
  expect_equal(before, graph);
}

TEST(NarrowCaptures, ABranchThatCannotRunStaysAsItIs) {
  // Exporters guard an operator by its shape: here the branch for two elements meets three.
  Graph graph = graph_of(R"(
    input %x: f32[3] input %flag: bool[]
    const %k: f32[3] = {1.0, 2.0, 3.0}
    %y = If(%flag) captures(%x, %k) {
      then_branch=graph "then" { input %a: f32[3] input %b: f32[k] const %c: f32[2] = {1.0, 2.0} %t = Add(%b, %c) output %t },
      else_branch=graph "else" { input %a: f32[3] input %b: f32[k] const %z: f32[] = {0.0} %s = Add(%a, %z) %t = Mul(%s, %b) output %t }
    }
    output %y
  )");
  testing::run(graph, generic_pipeline(2));
  EXPECT_EQ(inner_ops(graph, 0), "Mul | Add");
}

TEST(NarrowCaptures, EqualAndUnusedCapturesGo) {
  Graph graph = graph_of(R"(
    input %x: f32[n,3] input %flag: bool[] input %z: f32[n]
    %r = Relu(%x)
    %y = If(%flag) captures(%r, %z, %r) {
      then_branch=graph "then" {
        input %a: f32[n,3] input %b: f32[n] input %c: f32[n,3]
        %t = Add(%a, %c)
        output %t
      },
      else_branch=graph "else" {
        input %a: f32[n,3] input %b: f32[n] input %c: f32[n,3]
        output %c
      }
    }
    output %y
  )");
  const Graph before = graph;
  testing::run(graph, narrow_captures);
  EXPECT_EQ(graph.nodes[1].captures.size(), 1u);
  expect_equal(before, graph);
}

TEST(NarrowCaptures, FormalInputsOfALoopStay) {
  Graph graph = graph_of(R"(
    input %x: f32[3]
    const %trips: i64[] = {4} const %yes: bool[] = {true} const %k: f32[3] = {1.0, 2.0, 3.0}
    %y = Loop(%trips, %yes, %x) captures(%k) {
      body=graph "body" {
        input %i: i64[] input %go: bool[] input %v: f32[3] input %c: f32[3]
        const %half: f32[] = {0.5}
        %w = Mul(%v, %half) %next = Add(%w, %c)
        output %go output %next
      }
    }
    output %y
  )");
  const Graph before = graph;
  testing::run(graph, generic_pipeline(2));
  EXPECT_TRUE(graph.nodes[0].captures.empty());
  EXPECT_EQ(graph.nodes[0].attr_graph("body").inputs.size(), 3u);
  EXPECT_EQ(inner_ops(graph, 0), "naru.FusedElementwise");
  expect_equal(before, graph);
}

}  // namespace
}  // namespace naru
