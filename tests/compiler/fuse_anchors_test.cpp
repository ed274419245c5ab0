// fuse_anchors and fuse_post_ops: what joins an anchor or a chain, and what must not.
#include <gtest/gtest.h>

#include "compiler/passes/passes.h"
#include "compiler/pipeline.h"
#include "graph/ops/post_ops.h"
#include "tests/compiler/pass_testing.h"

namespace naru {
namespace {

using testing::graph_of;

void anchors(const std::string& statements, const std::string& ops) {
  SCOPED_TRACE(statements);
  testing::expect_rewrite(
      {{"fuse_anchors", fuse_anchors, 1}, {"eliminate_dead", eliminate_dead, 1}},
      statements + "\noutput %y", ops, 1e-4);
}

TEST(FuseAnchors, GemmBecomesAFusedProduct) {
  const std::string inputs =
      "input %a: f32[4,m] input %b: f32[5,4] input %c: f32[5]\n const %k: f32[5] = {1.0, 2.0, 3.0, "
      "4.0, 5.0}\n";
  anchors(inputs + "%y = Gemm(%a, %b, %c) {transA=1, transB=1, alpha=0.5}", "naru.FusedMatMul");
  anchors(inputs + "%y = Gemm(%a, %b, %k) {transA=1, transB=1, beta=2.0}", "naru.FusedMatMul");
  anchors(inputs + "%y = Gemm(%a, %b, %c) {transA=1, transB=1, beta=0.0}", "naru.FusedMatMul");
  anchors(inputs + "%y = Gemm(%a, %b, %c) {transA=1, transB=1, beta=2.0}", "Gemm");
}

TEST(FuseAnchors, GatesOfProductsInParts) {
  const std::string inputs = "input %x: f32[m,4] input %a: f32[4,6] input %b: f32[4,6]\n";
  anchors(inputs + "%g = MatMul(%x, %a) %u = MatMul(%x, %b) %y = SwiGLU(%g, %u) {alpha=1.5}",
          "MatMul MatMul Swish Mul");
  anchors(inputs + "%g = MatMul(%x, %a) %y = SwiGLU(%g, %g)", "MatMul SwiGLU");
  anchors(inputs + "%g = MatMul(%x, %a) %u = Neg(%g) %v = MatMul(%x, %b) %y = SwiGLU(%u, %v)",
          "MatMul Neg MatMul SwiGLU");
}

TEST(FuseAnchors, TransposesOfTheLastTwoAxes) {
  anchors(
      "input %a: f32[n,4,3] input %b: f32[n,5,4]\n %p = Transpose(%a) {perm=[0, 2, 1]} %q = "
      "Transpose(%b) {perm=[0, 2, 1]}\n"
      "%y = MatMul(%p, %q)",
      "naru.FusedMatMul");
  anchors("input %a: f32[4,3] input %b: f32[4,5]\n %p = Transpose(%a) %y = MatMul(%p, %b)",
          "naru.FusedMatMul");
  anchors(
      "input %a: f32[2,4,3] input %b: f32[4,5]\n %p = Transpose(%a) {perm=[2, 0, 1]} %y = "
      "MatMul(%p, %b)",
      "Transpose MatMul");
}

TEST(FuseAnchors, ScalarsBecomeAlpha) {
  const std::string inputs =
      "input %a: f32[n,4,3] input %b: f32[n,3,5] const %s: f32[] = {0.3} const %t: f32[1] = {7.0}\n"
      "const %wide: f32[5] = {1.0, 2.0, 3.0, 4.0, 5.0}\n";
  anchors(inputs + "%m = MatMul(%a, %b) %y = Mul(%m, %s)", "naru.FusedMatMul");
  anchors(inputs + "%m = MatMul(%a, %b) %y = Div(%m, %t)", "naru.FusedMatMul");
  anchors(inputs + "%p = Mul(%a, %s) %q = Div(%b, %t) %y = MatMul(%p, %q)", "naru.FusedMatMul");
  anchors(inputs + "%m = MatMul(%a, %b) %y = Mul(%m, %wide)", "MatMul Mul");
  testing::expect_rewrite(fuse_anchors, R"(
    input %a: f16[2,3] input %b: f16[3,2] const %s: f16[] = hex"0030"
    %p = Mul(%a, %s) %y = MatMul(%p, %b)
    output %y
  )",
                          "Mul MatMul");
  anchors(
      inputs +
          "%p = Mul(%a, %s) %m = MatMul(%p, %b) %r = ReduceSum(%p) %q = Sub(%m, %r) %y = Abs(%q)",
      "Mul MatMul ReduceSum Sub Abs");
}

TEST(FuseAnchors, RowsBecomeTheAddend) {
  const std::string inputs =
      "input %a: f32[n,4,3] input %b: f32[3,5] input %c: f32[1,5] input %r: f32[n,4,5] input %w: "
      "f32[2,1,1,5]\n";
  anchors(inputs + "%m = MatMul(%a, %b) %y = Add(%c, %m)", "naru.FusedMatMul");
  anchors(inputs + "%m = MatMul(%a, %b) %y = Add(%m, %r)", "MatMul Add");
  anchors(inputs + "%m = MatMul(%a, %b) %y = Add(%m, %w)", "MatMul Add");
  anchors(inputs + "%m = MatMul(%a, %b) %p = Add(%m, %c) %y = Add(%p, %c)", "naru.FusedMatMul Add");
}

TEST(FuseAnchors, ZeroPaddingJoinsAConvolution) {
  const std::string inputs =
      "input %x: f32[n,2,5,5] input %w: f32[3,2,3,3]\n const %p: i64[8] = {0, 0, 1, 2, 0, 0, 0, "
      "1}\n"
      "const %z: f32[] = {0.0} const %one: f32[] = {1.0} const %c: i64[8] = {0, 1, 0, 0, 0, 0, 0, "
      "0} input %v: f32[3,3,3,3]\n";
  anchors(inputs + "%q = Pad(%x, %p, %z) %y = Conv(%q, %w) {pads=[1, 1, 0, 0], strides=[2, 2]}",
          "Conv");
  anchors(inputs + "%q = Pad(%x, %p) %y = Conv(%q, %w) {auto_pad=\"VALID\"}", "Conv");
  anchors(inputs + "%q = Pad(%x, %p, %one) %y = Conv(%q, %w)", "Pad Conv");
  anchors(inputs + "%q = Pad(%x, %p) {mode=\"edge\"} %y = Conv(%q, %w)", "Pad Conv");
  anchors(inputs + "%q = Pad(%x, %p) %y = Conv(%q, %w) {auto_pad=\"SAME_UPPER\"}", "Pad Conv");
  anchors(inputs + "%q = Pad(%x, %c) %y = Conv(%q, %v)", "Pad Conv");
}

void chains(const std::string& statements, const std::string& ops) {
  SCOPED_TRACE(statements);
  testing::expect_rewrite({{"fuse_post_ops", fuse_post_ops}}, statements, ops, 1e-4);
}

const std::string kConv =
    "input %x: f32[n,2,h,5] input %w: f32[3,2,3,3] input %b: f32[3] input %s: f32[3,1,1] input %k: "
    "f32[5]\n";
const std::string kC = "%c = Conv(%x, %w, %b) {pads=[1, 1, 1, 1]}\n";

TEST(FusePostOps, ChainsJoinAConvolution) {
  chains(kConv + kC + "%y = Relu(%c)\n output %y", "naru.FusedConv");
  chains(kConv + kC +
             "%p = Mul(%s, %c) %q = HardSwish(%p) %r = Sub(%k, %q) %y = Max(%r, %s)\n output %y",
         "naru.FusedConv");
  chains(kConv +
             "%c = Conv(%x, %w) {pads=[1, 1, 1, 1]} const %hi: f32[] = {6.0} %p = Clip(%c, _, %hi) "
             "%y = LeakyRelu(%p) {alpha=0.5}\n output %y",
         "naru.FusedConv");
  chains(
      "input %x: f32[n,2,3,5] input %w: f32[2,3,2,2] input %s: f32[3,1,1]\n %c = ConvTranspose(%x, "
      "%w) {strides=[2, 2]} %p = Add(%c, %s) %y = Sigmoid(%p)\n output %y",
      "naru.FusedConvTranspose");
}

TEST(FusePostOps, ResidualSums) {
  chains(
      "input %x: f32[n,2,h,5] input %w: f32[2,2,3,3]\n %c = Conv(%x, %w) {pads=[1, 1, 1, 1]} %r = "
      "Add(%x, %c) %y = Relu(%r)\n output %y",
      "naru.FusedConv");
  // Both sides are convolutions: the later one takes the sum in.
  chains(
      "input %x: f32[n,2,h,5] input %w: f32[2,2,3,3]\n %c = Conv(%x, %w) {pads=[1, 1, 1, 1]} %d = "
      "Conv(%x, %w) {pads=[2, 2, 2, 2], dilations=[2, 2]} %y = Add(%c, %d)\n output %y",
      "Conv naru.FusedConv");
}

TEST(FusePostOps, WhatOthersUseStays) {
  chains(kConv + kC + "%y = Relu(%c)\n output %y output %c", "Conv Relu");
  chains(kConv + kC + "%p = Sigmoid(%c) %y = Mul(%c, %p)\n output %y",
         "Conv naru.FusedElementwise");
  chains(kConv + kC + "%y = Mul(%c, %c)\n output %y", "Conv Mul");
}

TEST(FusePostOps, WhatWidensTheResultStays) {
  chains(
      "input %x: f32[1,2,3,5] input %w: f32[1,2,1,1] input %s: f32[3,1,1]\n %c = Conv(%x, %w) %y = "
      "Add(%c, %s)\n output %y",
      "Conv Add");
  chains("input %x: f32[n,1] input %m: f32[n,3]\n %e = Exp(%x) %y = Mul(%e, %m)\n output %y",
         "Exp Mul");
}

TEST(FusePostOps, OtherTypesStay) {
  chains("input %x: i64[n] input %m: i64[n]\n %e = Add(%x, %m) %y = Mul(%e, %m)\n output %y",
         "Add Mul");
  chains("input %x: f32[n]\n %e = Exp(%x) %y = Cast(%e) {to=11}\n output %y", "Exp Cast");
}

TEST(FusePostOps, MatrixProductsTakeChains) {
  const std::string inputs =
      "input %a: f32[n,4,3] input %b: f32[3,5] input %c: f32[5] input %r: f32[n,4,5]\n";
  chains(
      inputs +
          "%m = MatMul(%a, %b) %p = Add(%m, %r) %y = Gelu(%p) {approximate=\"tanh\"}\n output %y",
      "naru.FusedMatMul");
  chains(inputs +
             "%m = naru.FusedMatMul(%a, %b, %c) {alpha=2.0} %p = Swish(%m) {alpha=1.5} %y = "
             "Mul(%r, %p)\n output %y",
         "naru.FusedMatMul");
}

TEST(FusePostOps, ElementwiseChains) {
  chains(
      "input %x: f32[n,3] input %s: f32[3]\n %a = Mul(%x, %s) %b = Add(%a, %s) %c = Tanh(%b) %y = "
      "Sub(%s, %c)\n output %y",
      "naru.FusedElementwise");
  chains("input %x: f32[n,3]\n %y = Tanh(%x)\n output %y", "Tanh");
  // The running value is the operand of full shape, whichever side it is on.
  chains("input %x: f32[n,3] input %s: f32[3]\n %a = Sub(%s, %x) %y = Relu(%a)\n output %y",
         "naru.FusedElementwise");
  // A quotient with the chain as its divisor cannot go on it.
  chains("input %x: f32[n,3] input %s: f32[3]\n %a = Exp(%x) %y = Div(%s, %a)\n output %y",
         "Exp Div");
}

TEST(FusePostOps, TwoChainsJoinAtTheLaterOne) {
  chains(
      "input %x: f32[n,3]\n %a = Exp(%x) %b = Neg(%a) %c = Tanh(%x) %d = Abs(%c) %y = Add(%b, "
      "%d)\n output %y",
      "naru.FusedElementwise naru.FusedElementwise");
}

TEST(FusePostOps, AFusedNodeKeepsTheLastName) {
  Graph graph =
      graph_of(kConv + "%c = Conv(%x, %w, %b) \"conv\"\n %y = Relu(%c) \"act\"\n output %y");
  testing::run(graph, fuse_post_ops);
  ASSERT_EQ(graph.nodes.size(), 1u);
  EXPECT_EQ(graph.nodes[0].name, "act");
}

TEST(FusePostOps, LongChainsAreCut) {
  std::string text = "input %x: f32[n]\n %v0 = Tanh(%x)\n";
  for (int i = 1; i < 40; ++i)
    text += fmt::format("%v{} = {}(%v{})\n", i, i % 2 == 0 ? "Tanh" : "Exp", i - 1);
  Graph before = graph_of(text + "output %v39");
  Graph after = before;
  testing::run(after, fuse_post_ops);
  EXPECT_EQ(after.nodes.size(), 2u);
  testing::expect_equal(before, after);
}

}  // namespace
}  // namespace naru
