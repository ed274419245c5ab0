// Control flow, sequences, selection and strings: inference over sub-graphs, results, rejected data.
#include <gtest/gtest.h>

#include "tests/graph/op_runner.h"

namespace naru {
namespace {

const Dim kN = Dim::symbol("n");

Attribute subgraph(Graph graph) { return std::make_shared<const Graph>(std::move(graph)); }

/// A body (i, cond, x) -> (cond, Concat(x, x)): the carried dimension doubles each time.
Graph doubling_body() {
  Graph body;
  body.add_input("i", Type::tensor(DType::I64, SymShape{}));
  const ValueId cond = body.add_input("cond", Type::tensor(DType::Bool, SymShape{}));
  const ValueId x = body.add_input("x", {});
  const ValueId next = body.add_node("Concat", {x, x}, 1, {{"axis", std::int64_t{0}}}).outputs[0];
  body.outputs = {body.add_node("Identity", {cond}).outputs[0], next, x};
  return body;
}

TEST(Loop, OpensDimensionsThatIterationsChange) {
  Graph graph;
  const ValueId trips = graph.add_constant("m", Tensor::scalar<std::int64_t>(3));
  const ValueId x = graph.add_input("x", Type::tensor(DType::F32, {kN, 4}));
  const std::vector<ValueId> out = graph.add_node("Loop", {trips, kNoValue, x}, 1, {{"body", subgraph(doubling_body())}}).outputs;
  infer_types(graph);
  const SymShape& shape = *graph.value(out[0]).type.shape;
  EXPECT_FALSE(shape[0].is_known());
  EXPECT_FALSE(shape[0] == kN);
  EXPECT_EQ(shape[1], Dim(4));
}

TEST(Loop, RunsAndCarries) {
  Graph body;
  const ValueId i = body.add_input("i", Type::tensor(DType::I64, SymShape{}));
  const ValueId cond = body.add_input("cond", Type::tensor(DType::Bool, SymShape{}));
  const ValueId sum = body.add_input("sum", {});
  const ValueId next = body.add_node("Add", {sum, i}).outputs[0];
  body.outputs = {cond, next, next};
  const Datum none, start = Tensor::scalar<std::int64_t>(10);
  const auto results = run_op("Loop", {Tensor::scalar<std::int64_t>(4), none, start}, {{"body", subgraph(body)}}, 2);
  EXPECT_EQ(elements<std::int64_t>(results[0].tensor), (std::vector<std::int64_t>{16}));
  EXPECT_EQ(elements<std::int64_t>(results[1].tensor), (std::vector<std::int64_t>{10, 11, 13, 16}));
  const auto never = run_op("Loop", {Tensor::scalar<std::int64_t>(0), none, start}, {{"body", subgraph(body)}}, 2);
  EXPECT_EQ(never[1].tensor.shape(), Shape{0});
}

TEST(Loop, TripCountGivesTheScanLength) {
  Graph body;
  const ValueId i = body.add_input("i", {});
  const ValueId cond = body.add_input("cond", {});
  body.outputs = {body.add_node("Identity", {cond}).outputs[0], i};
  Graph graph;
  const ValueId x = graph.add_input("x", Type::tensor(DType::F32, {kN}));
  const ValueId trips = graph.add_node("Size", {x}).outputs[0];
  const ValueId yes = graph.add_constant("yes", Tensor::scalar(true));
  const ValueId out = graph.add_node("Loop", {trips, yes}, 1, {{"body", subgraph(body)}}).outputs[0];
  infer_types(graph);
  EXPECT_EQ(*graph.value(out).type.shape, (SymShape{kN}));
}

/// A branch without inputs that gives a constant.
Graph constant_branch(Tensor value) {
  Graph branch;
  const ValueId id = branch.add_constant("c", std::move(value));
  branch.outputs = {branch.add_node("Identity", {id}).outputs[0]};
  return branch;
}

TEST(If, JoinsBranchesAndRunsOne) {
  const Attributes attributes = {{"then_branch", subgraph(constant_branch(iota({2, 3})))},
                                 {"else_branch", subgraph(constant_branch(iota({2, 5})))}};
  Graph graph;
  const ValueId cond = graph.add_input("cond", Type::tensor(DType::Bool, SymShape{}));
  const ValueId out = graph.add_node("If", {cond}, 1, attributes).outputs[0];
  infer_types(graph);
  EXPECT_EQ((*graph.value(out).type.shape)[0], Dim(2));
  EXPECT_FALSE((*graph.value(out).type.shape)[1].is_known());
  EXPECT_EQ(run_tensor("If", {Tensor::scalar(false)}, attributes).shape(), (Shape{2, 5}));
}

TEST(If, AcceptsABranchThatCannotRun) {
  // Exporters write: squeeze when the dimension is 1, else pass.
  Graph squeeze, pass;
  const ValueId x = squeeze.add_input("x", {});
  squeeze.outputs = {squeeze.add_node("Squeeze", {x, squeeze.add_constant("a", ints({1}))}).outputs[0]};
  pass.outputs = {pass.add_node("Identity", {pass.add_input("x", {})}).outputs[0]};
  Graph graph;
  const ValueId cond = graph.add_input("cond", Type::tensor(DType::Bool, SymShape{}));
  const ValueId data = graph.add_input("data", Type::tensor(DType::F32, {kN, 4}));
  Node& node = graph.add_node("If", {cond}, 1, {{"then_branch", subgraph(squeeze)}, {"else_branch", subgraph(pass)}});
  node.captures = {data};
  const ValueId out = node.outputs[0];
  infer_types(graph);
  EXPECT_EQ(*graph.value(out).type.shape, (SymShape{kN, 4}));
}

TEST(Sequence, ElementsOfDifferentShapesStayApart) {
  const Datum sequence = run_op("SplitToSequence", {iota({5}), Tensor::scalar<std::int64_t>(3)}).front();
  ASSERT_EQ(sequence.elements.size(), 2U);
  EXPECT_EQ(elements<float>(run_tensor("SequenceAt", {sequence, Tensor::scalar<std::int64_t>(-1)})), (std::vector<float>{3, 4}));
  EXPECT_EQ(run_tensor("ConcatFromSequence", {sequence}, {{"axis", std::int64_t{0}}}).numel(), 5);
  EXPECT_THROW(run_op("SequenceAt", {sequence, Tensor::scalar<std::int64_t>(2)}), Error);
  EXPECT_THROW(run_op("ConcatFromSequence", {sequence}, {{"axis", std::int64_t{0}}, {"new_axis", std::int64_t{1}}}), Error);
}

TEST(Optional, EmptyOneHasNoElement) {
  const Datum empty = Datum::optional({}), full = Datum::optional({Datum(iota({2}))});
  EXPECT_FALSE(run_tensor("OptionalHasElement", {empty}).as<bool>()[0]);
  EXPECT_TRUE(run_tensor("OptionalHasElement", {full}).as<bool>()[0]);
  EXPECT_EQ(run_tensor("OptionalGetElement", {full}).numel(), 2);
  EXPECT_THROW(run_op("OptionalGetElement", {empty}), Error);
}

TEST(Scatter, ChecksIndicesAndReduces) {
  const Tensor data = Tensor::from<std::int64_t>({3}, {INT64_MAX, 2, 3});
  const Tensor updates = Tensor::from<std::int64_t>({2}, {1, 10});
  const Attributes add = {{"reduction", std::string("add")}};
  EXPECT_EQ(elements<std::int64_t>(run_tensor("ScatterElements", {data, ints({0, -1}), updates}, add)),
            (std::vector<std::int64_t>{INT64_MIN, 2, 13}));
  EXPECT_THROW(run_op("ScatterElements", {data, ints({0, 3}), updates}), Error);
  EXPECT_THROW(run_op("ScatterND", {data, Tensor::from<std::int64_t>({2, 1}, {0, -4}), updates}), Error);
  const Tensor cache = iota({1, 3, 1}), row = iota({1, 2, 1});
  EXPECT_THROW(run_op("TensorScatter", {cache, row, ints({2})}), Error);
  EXPECT_EQ(elements<float>(run_tensor("TensorScatter", {cache, row, ints({2})}, {{"mode", std::string("circular")}})),
            (std::vector<float>{1, 1, 0}));
}

TEST(TopK, PutsNanFirstAndKeepsTheOrderOfEquals) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Tensor x = Tensor::from<float>({5}, {2, nan, 3, 3, 1});
  const auto results = run_op("TopK", {x, ints({3})}, {}, 2);
  EXPECT_EQ(elements<std::int64_t>(results[1].tensor), (std::vector<std::int64_t>{1, 2, 3}));
  EXPECT_THROW(run_op("TopK", {x, ints({6})}, {}, 2), Error);
  EXPECT_THROW(run_op("ReverseSequence", {iota({2, 2}), ints({1, 3})}), Error);
}

TEST(Strings, RegexTakesNoLongerThanTheText) {
  const Tensor text = Tensor::from_strings({2}, {std::string(30'000, 'a'), std::string(30'000, 'a') + "!"});
  const Tensor match = run_tensor("RegexFullMatch", {text}, {{"pattern", std::string("(a+)+")}});
  EXPECT_EQ(elements<bool>(match), (std::vector<bool>{true, false}));
  EXPECT_THROW(run_op("RegexFullMatch", {text}, {{"pattern", std::string("(a")}}), Error);
}

TEST(Strings, CaseChangesBeyondAscii) {
  const Tensor text = Tensor::from_strings({3}, {"\xC3\x84pfel", "und", "\xFF" "B"});
  const Attributes attributes = {{"case_change_action", std::string("LOWER")}, {"stopwords", std::vector<std::string>{"UND"}}};
  const Tensor out = run_tensor("StringNormalizer", {text}, attributes);
  ASSERT_EQ(out.numel(), 2);
  EXPECT_EQ(out.strings()[0], "\xC3\xA4pfel");
  EXPECT_EQ(out.strings()[1], "\xFF" "b");
}

}  // namespace
}  // namespace naru
