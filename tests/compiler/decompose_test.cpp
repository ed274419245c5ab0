// decompose_node(): splicing, names and identities of outputs, types of new values.
#include "compiler/decompose.h"

#include <gtest/gtest.h>

#include "graph/op_def.h"
#include "graph/verify.h"
#include "tests/compiler/pass_testing.h"

namespace naru {
namespace {

using testing::expect_equal;
using testing::graph_of;
using testing::ops_of;

TEST(Decompose, SplicesWhereTheNodeStood) {
  Graph graph = graph_of(R"(
    input %x: f32[n,3] input %r: f32[3]
    %t = Neg(%x)
    %y = naru.FusedElementwise(%t, %r) {post_ops=["Add", "Relu"], post_args=[0.0, 0.0, 0.0, 0.0]}
    %z = Abs(%y)
    output %y output %z
  )");
  const Graph before = graph;
  ASSERT_TRUE(decompose_node(graph, 1));
  verify(graph);
  EXPECT_EQ(ops_of(graph), "Neg Add Relu Abs");
  EXPECT_EQ(to_string(graph.value(graph.nodes[1].outputs[0]).type), "f32[n,3]");
  expect_equal(before, graph, 0);
}

TEST(Decompose, IsFalseWhereThereIsNone) {
  Graph graph = graph_of("input %x: f32[3]\n %y = Identity(%x)\n output %y");
  EXPECT_FALSE(decompose_node(graph, 0));
  EXPECT_EQ(graph.nodes.size(), 1u);
}

TEST(Decompose, EveryStandardDecompositionKeepsTheMeaning) {
  for (const char* op :
       {"HardSwish", "Mish", "Gelu", "Softplus", "Elu", "Selu", "Sigmoid", "Swish"}) {
    SCOPED_TRACE(op);
    Graph graph = graph_of(std::string("input %x: f32[n,3]\n %y = ") + op + "(%x)\n output %y");
    const Graph before = graph;
    ASSERT_TRUE(decompose_node(graph, 0));
    verify(graph);
    expect_equal(before, graph);
  }
}

}  // namespace
}  // namespace naru
