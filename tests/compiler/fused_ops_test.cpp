// The fused operators: their rules, their meaning against the plain operators, their decomposition.
#include <gtest/gtest.h>

#include "naru/error.h"

#include "graph/ops/post_ops.h"
#include "tests/compiler/pass_testing.h"

namespace naru {
namespace {

using testing::expect_equal;
using testing::graph_of;

/// The error of a graph that must not be accepted.
std::string error_of(const std::string& text) {
  try {
    graph_of(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::InvalidModel) << error.what();
    return error.what();
  }
  return "accepted";
}

TEST(FusedElementwise, AppliesTheStepsInOrder) {
  expect_equal(graph_of(R"(
    input %x: f32[n,1,3] input %a: f32[m,1] input %b: f32[3]
    %p = LeakyRelu(%x) {alpha=0.25} %q = Sub(%p, %a) %r = Sigmoid(%q) %y = Mul(%r, %b)
    output %y
  )"),
               graph_of(R"(
    input %x: f32[n,1,3] input %a: f32[m,1] input %b: f32[3]
    %y = naru.FusedElementwise(%x, %a, %b) {
      post_ops=["LeakyRelu", "Sub", "Sigmoid", "Mul"], post_args=[0.25, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]}
    output %y
  )"),
               0);
}

TEST(FusedElementwise, EveryUnaryStepMeansItsOperator) {
  for (const PostOp& op : post_ops()) {
    if (op.binary || op.name == std::string("Clip") || find_op(op.name) == nullptr) continue;
    SCOPED_TRACE(op.name);
    const std::string input = "input %x: f32[n,3]\n";
    const Graph plain = graph_of(input + "%y = " + op.name + "(%x)\n output %y");
    const std::optional<PostStep> step =
        as_post_step(plain.nodes[0], [](ValueId) { return nullptr; });
    ASSERT_TRUE(step);
    const std::string chain = fmt::format(
        "%y = naru.FusedElementwise(%x) {{post_ops=[\"{}\"], post_args=[{:#}, {:#}]}}\n output %y",
        op.name, step->alpha, step->beta);
    expect_equal(plain, graph_of(input + chain), 0);
  }
}

TEST(FusedElementwise, ClipHoldsItsBounds) {
  expect_equal(graph_of(R"(
    input %x: f32[n]
    const %h: f32[] = {1.5}
    %y = Clip(%x, _, %h)
    output %y
  )"),
               graph_of(R"(
    input %x: f32[n]
    %y = naru.FusedElementwise(%x) {post_ops=["Clip"], post_args=[-inf, 1.5]}
    output %y
  )"),
               0);
}

TEST(FusedElementwise, RejectsWhatDoesNotFit) {
  const std::string input = "input %x: f32[3] input %i: i64[3] input %w: f32[2]\n";
  const auto chain = [&](const std::string& args, const std::string& attributes) {
    return error_of(input + "%y = naru.FusedElementwise(" + args + ") {" + attributes +
                    "}\n output %y");
  };
  EXPECT_NE(
      chain("%x", "post_ops=[\"Add\"], post_args=[0.0, 0.0]").find("operands: got 0, expected 1"),
      std::string::npos);
  EXPECT_NE(chain("%x, %x", "post_ops=[\"Relu\"], post_args=[0.0, 0.0]")
                .find("operands: got 1, expected 0"),
            std::string::npos);
  EXPECT_NE(chain("%x", "post_ops=[\"Relu\"], post_args=[0.0]").find("got 1 post_args"),
            std::string::npos);
  EXPECT_NE(
      chain("%x", "post_ops=[\"Softmax\"], post_args=[0.0, 0.0]").find("'Softmax', which is none"),
      std::string::npos);
  EXPECT_NE(chain("%x, %w", "post_ops=[\"Add\"], post_args=[0.0, 0.0]").find("broadcast"),
            std::string::npos);
  EXPECT_NE(chain("%i", "post_ops=[\"Relu\"], post_args=[0.0, 0.0]").find("i64"),
            std::string::npos);
  EXPECT_NE(chain("%x, %i", "post_ops=[\"Add\"], post_args=[0.0, 0.0]").find("i64"),
            std::string::npos);
}

TEST(FusedMatMul, MeansItsParts) {
  const std::string inputs =
      "input %a: f32[b,k,5] input %w: f32[3,k] input %c: f32[3] input %r: f32[b,5,3]\n";
  expect_equal(graph_of(inputs + R"(
    const %s: f32[] = {0.5}
    %at = Transpose(%a) {perm=[0, 2, 1]} %wt = Transpose(%w) {perm=[1, 0]}
    %m = MatMul(%at, %wt) %scaled = Mul(%m, %s) %biased = Add(%scaled, %c)
    %added = Add(%biased, %r) %y = Tanh(%added)
    output %y
  )"),
               graph_of(inputs + R"(
    %y = naru.FusedMatMul(%a, %w, %c, %r) {transA=1, transB=1, alpha=0.5,
      post_ops=["Add", "Tanh"], post_args=[0.0, 0.0, 0.0, 0.0]}
    output %y
  )"));
}

TEST(FusedMatMul, RejectsAnAddendThatWidens) {
  EXPECT_NE(error_of("input %a: f32[4,2] input %b: f32[2,3] input %c: f32[2,4,3]\n"
                     "%y = naru.FusedMatMul(%a, %b, %c)\n output %y")
                .find("broadcasts to"),
            std::string::npos);
}

TEST(FusedConv, MeansItsParts) {
  const std::string inputs =
      "input %x: f32[n,4,h,7] input %w: f32[6,2,3,3] input %b: f32[6] input %s: f32[6,1,1]\n";
  expect_equal(graph_of(inputs + R"(
    %c = Conv(%x, %w, %b) {group=2, pads=[1, 1, 1, 1], strides=[2, 1]} %m = Mul(%c, %s) %y = HardSwish(%m)
    output %y
  )"),
               graph_of(inputs + R"(
    %y = naru.FusedConv(%x, %w, %b, %s) {group=2, pads=[1, 1, 1, 1], strides=[2, 1],
      post_ops=["Mul", "HardSwish"], post_args=[0.0, 0.0, 0.0, 0.0]}
    output %y
  )"));
  // Without a bias the operands keep their place.
  expect_equal(graph_of(inputs + R"(
    %c = Conv(%x, %w) {group=2, pads=[1, 1, 1, 1]} %y = Add(%c, %s)
    output %y
  )"),
               graph_of(inputs + R"(
    %y = naru.FusedConv(%x, %w, _, %s) {group=2, pads=[1, 1, 1, 1], post_ops=["Add"], post_args=[0.0, 0.0]}
    output %y
  )"));
}

}  // namespace
}  // namespace naru
