// Plug-ins through Naru: targets, permissions, both ways of running, what a submission costs.
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>

#include "backends/plugin/library.h"
#include "backends/registry.h"
#include "graph/evaluate.h"
#include "graph/infer.h"
#include "naru/engine.h"
#include "naru/error.h"
#include "runtime/engine_impl.h"
#include "tests/plugin/sample.h"

namespace naru::plugin_testing {
namespace {

std::string target(const std::string& name, const std::string& mode) {
  return "plugin:" + plugin_path(name) + ",mode=" + mode;
}

Tensor random_tensor(const Shape& shape) {
  Tensor tensor(DType::F32, shape);
  std::uint32_t state = 1;
  for (float& value : tensor.as_mutable<float>()) {
    state = state * 1664525u + 1013904223u;
    value = static_cast<float>(state >> 8) / 16777216.0f - 0.5f;
  }
  return tensor;
}

/// Convolution, normalisation, pooling, a skip connection, a linear layer: what vision models are made of.
Graph small_network() {
  Graph graph;
  graph.name = "network";
  const ValueId x = graph.add_input("x", Type::tensor(DType::F32, Shape{2, 3, 12, 10}));
  const ValueId w = graph.add_constant("w", random_tensor({8, 3, 3, 3}));
  const ValueId b = graph.add_constant("b", random_tensor({8}));
  const ValueId conv = graph.add_node("Conv", {x, w, b}, 1, {{"pads", std::vector<std::int64_t>{1, 1, 1, 1}}}).outputs[0];
  const ValueId relu = graph.add_node("Relu", {conv}).outputs[0];
  const ValueId depthwise = graph.add_constant("dw", random_tensor({8, 1, 3, 3}));
  const ValueId second = graph.add_node("Conv", {relu, depthwise}, 1, {{"pads", std::vector<std::int64_t>{1, 1, 1, 1}}, {"group", std::int64_t{8}}}).outputs[0];
  const ValueId sum = graph.add_node("Add", {second, relu}).outputs[0];
  const ValueId pooled = graph.add_node("MaxPool", {sum}, 1, {{"kernel_shape", std::vector<std::int64_t>{2, 2}}, {"strides", std::vector<std::int64_t>{2, 2}}}).outputs[0];
  const ValueId mean = graph.add_node("GlobalAveragePool", {pooled}).outputs[0];
  const ValueId flat = graph.add_node("Flatten", {mean}).outputs[0];
  const ValueId weight = graph.add_constant("fc", random_tensor({8, 5}));
  const ValueId logits = graph.add_node("MatMul", {flat, weight}).outputs[0];
  graph.outputs = {graph.add_node("Softmax", {logits}).outputs[0]};
  return graph;
}

TEST(PluginTarget, ReadsPathAndOptions) {
  const plugin::Target t = plugin::parse_target("/a/b.so,mode=inprocess,device=2,cores=4");
  EXPECT_EQ(t.path, "/a/b.so");
  EXPECT_TRUE(t.in_process);
  EXPECT_EQ(t.device, 2);
  EXPECT_EQ(t.options, (std::vector<std::pair<std::string, std::string>>{{"cores", "4"}}));
  EXPECT_EQ(plugin::parse_target("reference").path, plugin::plugin_folder() / "reference.so");
}

TEST(PluginTarget, RefusesWhatItCannotRead) {
  for (const char* text : {"", ",mode=worker", "./b.so", "a/b.so", "/a.so,mode=fast", "/a.so,device=-1", "/a.so,x", "/a.so,=1",
                           "/a.so,timeout_ms=99999999999999999999"}) {
    EXPECT_THROW(plugin::parse_target(text), Error) << text;
  }
}

TEST(PluginTarget, RefusesFilesThatAreNotThere) {
  EXPECT_THROW(open_device("plugin:/nowhere/at_all.so"), Error);
  EXPECT_THROW(open_device("plugin:no_such_name"), Error);
  EXPECT_THROW(open_device("plugin:/dev/null"), Error);
}

class BothModes : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Modes, BothModes, testing::Values("inprocess", "worker"),
                         [](const auto& p) { return std::string(p.param); });

TEST_P(BothModes, ReferenceRunsANetworkWholly) {
  Graph graph = small_network();
  infer_types(graph);
  const Tensor x = random_tensor({2, 3, 12, 10});
  const Tensor expected = evaluate(graph, std::vector<Datum>{x})[0].tensor;
  EngineOptions options;
  options.devices = {target("reference", GetParam())};
  options.strict = true;  // nothing may run elsewhere
  const Engine engine(options);
  const Model model = make_model(engine.impl(), std::move(graph), {});
  for (int run = 0; run < 3; ++run) {
    const Tensor y = model.create_session().run({x})[0].tensor;
    for (std::size_t i = 0; i < 10; ++i) EXPECT_NEAR(y.as<float>()[i], expected.as<float>()[i], 1e-5);
  }
}

TEST_P(BothModes, WhatIsRefusedGoesToTheOtherDeviceWithAReason) {
  Graph graph;
  const ValueId x = graph.add_input("x", Type::tensor(DType::F32, Shape{4, 8}));
  const ValueId r = graph.add_node("Relu", {x}).outputs[0];
  graph.outputs = {graph.add_node("Det", {graph.add_node("MatMul", {r, graph.add_constant("w", random_tensor({8, 4}))}).outputs[0]}).outputs[0]};
  EngineOptions options;
  options.devices = {target("reference", GetParam()), "cpu"};
  const Engine engine(options);
  const Model model = make_model(engine.impl(), std::move(graph), {});
  const std::vector<PlacementRow> rows = model.placement({Datum(small_input())});
  EXPECT_EQ(rows.front().device, "plugin:reference");
  EXPECT_EQ(rows.back().device, "cpu:0");
  EXPECT_EQ(model.create_session().run({small_input()}).size(), 1u);
}

TEST_P(BothModes, ProfilesEachNode) {
  EngineOptions options;
  options.devices = {target("reference", GetParam())};
  const Engine engine(options);
  const Model model = make_model(engine.impl(), small_graph(), {});
  RunOptions run;
  run.profile = true;
  model.create_session().run({small_input()}, run);
  ASSERT_EQ(engine.metrics().nodes.size(), 1u);
  EXPECT_EQ(engine.metrics().nodes.front().kernel, "Relu");
}

/// Time per submission of a tiny executable, waited for: the smallest of many. Printed, and bounded
/// loosely, since other programs run on the same cores.
TEST_P(BothModes, SubmissionsAreCheap) {
  EngineOptions options;
  options.devices = {target("reference", GetParam())};
  const Engine engine(options);
  Device& device = *engine.impl()->devices.front();
  Graph graph = small_graph();
  infer_types(graph);
  const auto executable = device.compile(std::make_shared<const Graph>(std::move(graph)));
  const auto x = device.allocate(128), y = device.allocate(128);
  device.write({x.get(), 0, 128}, small_input().data());
  double best = 1e9;
  for (int i = 0; i < 2000; ++i) {
    const auto start = std::chrono::steady_clock::now();
    Submission submission;
    submission.executable = executable;
    submission.inputs = {{x.get(), 0, 128}};
    submission.outputs = {{y.get(), 0, 128}};
    device.submit(std::move(submission))->wait();
    best = std::min(best, std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count());
  }
  RecordProperty("best_us", std::to_string(best));
  std::printf("%s: %.1f us per submission\n", GetParam(), best);
  EXPECT_LT(best, 500);
}

}  // namespace
}  // namespace naru::plugin_testing
