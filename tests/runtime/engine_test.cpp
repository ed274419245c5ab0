// Engine, Session, Request: shapes, data-dependent shapes, control flow, states, threads, failures.
#include "naru/engine.h"

#include <gtest/gtest.h>

#include <atomic>
#include <sstream>
#include <thread>

#include "graph/infer.h"
#include "graph/verify.h"
#include "runtime/engine_impl.h"

namespace naru {
namespace {

Engine engine_on(const std::string& device, int streams = 1) {
  EngineOptions options;
  options.devices = {device};
  options.threads = 1;
  options.streams = streams;
  return Engine(options);
}

Tensor f32(Shape shape, std::initializer_list<float> values) { return Tensor::from<float>(std::move(shape), values); }
Tensor i64(Shape shape, std::initializer_list<std::int64_t> values) {
  return Tensor::from<std::int64_t>(std::move(shape), values);
}

std::vector<float> floats(const Datum& datum) {
  const auto values = datum.tensor.as<float>();
  return {values.begin(), values.end()};
}

Model finish(const Engine& engine, Graph graph, const ModelOptions& options = {}) {
  verify(graph);
  infer_types(graph);
  return make_model(engine.impl(), std::move(graph), options);
}

/// y = relu(x + x) over [n, 2].
Graph doubling() {
  Graph graph;
  graph.name = "doubling";
  const ValueId x = graph.add_input("x", Type::tensor(DType::F32, SymShape{Dim::symbol("n"), 2}));
  const ValueId sum = graph.add_node("Add", {x, x}).outputs[0];
  graph.outputs = {graph.add_node("Relu", {sum}).outputs[0]};
  return graph;
}

class EngineOnDevice : public testing::TestWithParam<const char*> {};

TEST_P(EngineOnDevice, RunsEveryBatchSizeOfOneModel) {
  const Engine engine = engine_on(GetParam());
  const Model model = finish(engine, doubling());
  Session session = model.create_session();
  EXPECT_EQ(floats(session.run({f32({1, 2}, {1, -1})})[0]), (std::vector<float>{2, 0}));
  EXPECT_EQ(floats(session.run({f32({2, 2}, {1, -1, 3, 4})})[0]), (std::vector<float>{2, 0, 6, 8}));
  EXPECT_EQ(session.run({Tensor(DType::F32, {0, 2})})[0].tensor.shape(), (Shape{0, 2}));
  EXPECT_EQ(engine.metrics().plans_built, 3);
  session.run({f32({1, 2}, {1, -1})});
  EXPECT_EQ(engine.metrics().plans_built, 3);
  EXPECT_EQ(engine.metrics().plan_hits, 1);
}

TEST_P(EngineOnDevice, ShapesThatFollowFromDataArePlannedWhenKnown) {
  // Rows of x where mask is set, doubled: the row count is known only after NonZero.
  Graph graph;
  const ValueId x = graph.add_input("x", Type::tensor(DType::F32, SymShape{Dim::symbol("n"), 2}));
  const ValueId mask = graph.add_input("mask", Type::tensor(DType::Bool, SymShape{Dim::symbol("n")}));
  const ValueId where = graph.add_node("NonZero", {mask}).outputs[0];
  const ValueId zero = graph.add_constant("zero", i64({1}, {0}));
  const ValueId rows = graph.add_node("Squeeze", {where, zero}).outputs[0];
  const ValueId picked = graph.add_node("Gather", {x, rows}).outputs[0];
  graph.outputs = {graph.add_node("Add", {picked, picked}).outputs[0]};
  const Engine engine = engine_on(GetParam());
  Session session = finish(engine, graph).create_session();
  const Tensor data = f32({3, 2}, {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(floats(session.run({data, Tensor::from<bool>({3}, {true, false, true})})[0]),
            (std::vector<float>{2, 4, 10, 12}));
  EXPECT_EQ(session.run({data, Tensor::from<bool>({3}, {false, false, false})})[0].tensor.shape(), (Shape{0, 2}));
}

TEST_P(EngineOnDevice, ShapeInputsArePartOfThePlan) {
  Graph graph;
  const ValueId x = graph.add_input("x", Type::tensor(DType::F32, SymShape{Dim::symbol("n")}));
  const ValueId shape = graph.add_input("shape", Type::tensor(DType::I64, SymShape{Dim::symbol("r")}));
  const ValueId y = graph.add_node("Reshape", {x, shape}).outputs[0];
  graph.outputs = {graph.add_node("Relu", {y}).outputs[0]};
  const Engine engine = engine_on(GetParam());
  Session session = finish(engine, graph).create_session();
  const Tensor data = f32({4}, {1, -2, 3, -4});
  EXPECT_EQ(session.run({data, i64({2}, {2, 2})})[0].tensor.shape(), (Shape{2, 2}));
  EXPECT_EQ(session.run({data, i64({3}, {1, -1, 1})})[0].tensor.shape(), (Shape{1, 4, 1}));
  try {
    session.run({data, i64({1}, {3})});
    FAIL() << "a shape of another element count was accepted";
  } catch (const Error& error) {
    EXPECT_TRUE(error.code() == ErrorCode::InvalidModel || error.code() == ErrorCode::InvalidArgument) << error.what();
  }
  EXPECT_EQ(session.run({data, i64({2}, {4, 1})})[0].tensor.shape(), (Shape{4, 1}));
}

Graph branch(const char* op) {
  Graph graph;
  graph.name = op;
  const ValueId x = graph.add_input("captured", Type::tensor(DType::F32, SymShape{Dim::symbol("n"), 2}));
  graph.outputs = {graph.add_node(op, {x}).outputs[0]};
  return graph;
}

TEST_P(EngineOnDevice, BranchesRunOnTheDevice) {
  Graph graph;
  const ValueId x = graph.add_input("x", Type::tensor(DType::F32, SymShape{Dim::symbol("n"), 2}));
  const ValueId condition = graph.add_input("condition", Type::tensor(DType::Bool, SymShape{}));
  Node& node = graph.add_node("If", {condition}, 1,
                              {{"then_branch", std::make_shared<const Graph>(branch("Relu"))},
                               {"else_branch", std::make_shared<const Graph>(branch("Neg"))}});
  node.captures = {x};
  graph.outputs = {node.outputs[0]};
  const Engine engine = engine_on(GetParam());
  Session session = finish(engine, graph).create_session();
  const Tensor data = f32({1, 2}, {1, -2});
  EXPECT_EQ(floats(session.run({data, Tensor::scalar(true)})[0]), (std::vector<float>{1, 0}));
  EXPECT_EQ(floats(session.run({data, Tensor::scalar(false)})[0]), (std::vector<float>{-1, 2}));
}

TEST_P(EngineOnDevice, CarriedStateStartsAtZeroAndResets) {
  Graph graph;
  const ValueId x = graph.add_input("x", Type::tensor(DType::F32, SymShape{Dim::symbol("n")}));
  const ValueId state = graph.add_input("state", Type::tensor(DType::F32, SymShape{Dim::symbol("n")}));
  graph.outputs = {graph.add_node("Add", {x, state}).outputs[0]};
  graph.value(graph.outputs[0]).name = "next";
  graph.reindex();
  const Engine engine = engine_on(GetParam());
  const Model model = finish(engine, graph, {.carry = {{"state", "next"}}});
  ASSERT_EQ(model.inputs().size(), 1u);
  Session session = model.create_session();
  const Tensor one = f32({2}, {1, 2});
  session.run({one});
  session.run({one});
  EXPECT_EQ(floats(session.run({one})[0]), (std::vector<float>{3, 6}));
  session.reset();
  EXPECT_EQ(floats(session.run({one})[0]), (std::vector<float>{1, 2}));
  session.set_state("state", f32({2}, {10, 20}));
  EXPECT_EQ(floats(session.run({one})[0]), (std::vector<float>{11, 22}));
  EXPECT_THROW(session.set_state("state", i64({2}, {1, 2})), Error);
  EXPECT_THROW(session.set_state("x", f32({2}, {1, 2})), Error);
}

TEST_P(EngineOnDevice, ManyThreadsShareOneModel) {
  const Engine engine = engine_on(GetParam(), 2);
  const Model model = finish(engine, doubling());
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      Session session = model.create_session();
      for (int i = 0; i < 25; ++i) {
        const std::int64_t rows = 1 + (t + i) % 5;
        Tensor data(DType::F32, {rows, 2});
        for (float& value : data.as_mutable<float>()) value = static_cast<float>(i);
        const std::vector<Datum> outputs = i % 2 == 0 ? session.run({data}) : session.submit({data}).wait();
        for (const float value : floats(outputs[0])) wrong += value != 2.0f * static_cast<float>(i) ? 1 : 0;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong.load(), 0);
  EXPECT_EQ(engine.metrics().requests, 100);
  EXPECT_EQ(engine.metrics().failed, 0);
}

INSTANTIATE_TEST_SUITE_P(Devices, EngineOnDevice, testing::Values("reference", "cpu"),
                         [](const auto& device) { return std::string(device.param); });

TEST(Engine, RejectsInputsThatDoNotFitAndServesTheNext) {
  const Engine engine = engine_on("reference");
  const Model model = finish(engine, doubling());
  Session session = model.create_session();
  const auto expect = [&](std::vector<Datum> inputs, const char* part) {
    try {
      session.run(std::move(inputs));
      ADD_FAILURE() << "accepted, expected: " << part;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::InvalidArgument);
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    }
  };
  expect({}, "got 0 inputs, expected 1 (x: f32[n,2])");
  expect({i64({1, 2}, {1, 2})}, "got i64[1,2], expected f32[n,2]");
  expect({f32({2}, {1, 2})}, "got f32[2], expected f32[n,2]");
  expect({f32({1, 3}, {1, 2, 3})}, "got f32[1,3], expected f32[n,2]");
  expect({Tensor()}, "got no value");
  EXPECT_EQ(floats(session.run({f32({1, 2}, {1, -1})})[0]), (std::vector<float>{2, 0}));
  EXPECT_EQ(engine.metrics().failed, 5);
}

TEST(Engine, UnknownDevicesAreNamed) {
  EngineOptions options;
  options.devices = {"abacus"};
  try {
    const Engine engine(options);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::InvalidArgument);
    EXPECT_NE(std::string(error.what()).find("reference"), std::string::npos) << error.what();
  }
}

TEST(Engine, StrictRefusesNodesWithoutKernel) {
  EngineOptions options;
  options.devices = {"null"};
  options.strict = true;
  const Engine engine(options);
  Session session = finish(engine, doubling()).create_session();
  try {
    session.run({f32({1, 2}, {1, 2})});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::Unsupported);
    EXPECT_NE(std::string(error.what()).find("the null device has no kernels"), std::string::npos) << error.what();
  }
}

TEST(Engine, TheHostRunsWhatTheNullDeviceRefuses) {
  const Engine engine = engine_on("null");
  const Model model = finish(engine, doubling());
  EXPECT_EQ(floats(model.create_session().run({f32({1, 2}, {1, -1})})[0]), (std::vector<float>{2, 0}));
  for (const PlacementRow& row : model.placement({f32({1, 2}, {1, -1})})) EXPECT_EQ(row.device, "host");
}

TEST(Engine, MemoryBudgetIsCheckedWithNumbers) {
  EngineOptions options;
  options.devices = {"reference"};
  options.memory_budget_bytes = 16;
  const Engine engine(options);
  Session session = finish(engine, doubling()).create_session();
  try {
    session.run({Tensor(DType::F32, {1000, 2})});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::OutOfMemory);
    EXPECT_NE(std::string(error.what()).find("the budget is 16"), std::string::npos) << error.what();
  }
}

/// A loop of `trips` iterations: long enough to be stopped in between.
Graph counting_loop(std::int64_t trips) {
  Graph body;
  body.name = "body";
  body.add_input("iteration", Type::tensor(DType::I64, SymShape{}));
  const ValueId condition = body.add_input("condition", Type::tensor(DType::Bool, SymShape{}));
  const ValueId carried = body.add_input("carried", Type::tensor(DType::F32, SymShape{}));
  const ValueId one = body.add_constant("one", Tensor::scalar(1.0f));
  const ValueId keep = body.add_node("Identity", {condition}).outputs[0];
  body.outputs = {keep, body.add_node("Add", {carried, one}).outputs[0]};
  Graph graph;
  const ValueId start = graph.add_input("start", Type::tensor(DType::F32, SymShape{}));
  const ValueId count = graph.add_constant("count", Tensor::scalar(trips));
  const ValueId yes = graph.add_constant("yes", Tensor::scalar(true));
  graph.outputs = {graph.add_node("Loop", {count, yes, start}, 1,
                                  {{"body", std::make_shared<const Graph>(std::move(body))}}).outputs[0]};
  return graph;
}

TEST(Engine, LoopsRunTheirBodies) {
  const Engine engine = engine_on("reference");
  Session session = finish(engine, counting_loop(10)).create_session();
  EXPECT_EQ(floats(session.run({Tensor::scalar(0.5f)})[0]), (std::vector<float>{10.5f}));
}

TEST(Engine, CancelledRequestsStopAndTheNextIsServed) {
  const Engine engine = engine_on("reference");
  Session endless = finish(engine, counting_loop(std::int64_t{1} << 39)).create_session();
  Request request = endless.submit({Tensor::scalar(0.0f)});
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_FALSE(request.done());
  request.cancel();
  try {
    request.wait();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::Cancelled);
  }
  Session session = finish(engine, doubling()).create_session();
  EXPECT_EQ(floats(session.submit({f32({1, 2}, {1, -1})}).wait()[0]), (std::vector<float>{2, 0}));
}

TEST(Engine, DeadlinesEndRequests) {
  const Engine engine = engine_on("reference");
  Session endless = finish(engine, counting_loop(std::int64_t{1} << 39)).create_session();
  RunOptions options;
  options.deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(30);
  try {
    endless.run({Tensor::scalar(0.0f)}, options);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::DeadlineExceeded);
  }
}

TEST(Engine, TheQueueIsBounded) {
  EngineOptions options;
  options.devices = {"reference"};
  options.max_queued = 2;
  const Engine engine(options);
  Session endless = finish(engine, counting_loop(std::int64_t{1} << 39)).create_session();
  std::vector<Request> requests;
  bool refused = false;
  for (int i = 0; i < 8 && !refused; ++i) {
    try {
      requests.push_back(endless.submit({Tensor::scalar(0.0f)}));
    } catch (const Error& error) {
      refused = true;
      EXPECT_EQ(error.code(), ErrorCode::OutOfMemory);
    }
  }
  EXPECT_TRUE(refused);
  EXPECT_LE(requests.size(), 3u);
  for (Request& request : requests) request.cancel();
  for (Request& request : requests) EXPECT_THROW(request.wait(), Error);
}

TEST(Engine, HandlesMayGoWhileRequestsRun) {
  std::vector<Request> requests;
  {
    const Engine engine = engine_on("reference");
    Session session = finish(engine, doubling()).create_session();
    for (int i = 0; i < 50; ++i) requests.push_back(session.submit({f32({1, 2}, {1, -1})}));
  }
  for (Request& request : requests) EXPECT_EQ(floats(request.wait()[0]), (std::vector<float>{2, 0}));
}

TEST(Engine, OutputsBelongToTheCaller) {
  Graph graph;
  const ValueId x = graph.add_input("x", Type::tensor(DType::F32, SymShape{1}));
  const ValueId constant = graph.add_constant("c", f32({1}, {7}));
  graph.outputs = {constant, graph.add_node("Relu", {x}).outputs[0]};
  const Engine engine = engine_on("reference");
  Session session = finish(engine, graph).create_session();
  std::vector<Datum> outputs = session.run({f32({1}, {1})});
  outputs[0].tensor.as_mutable<float>()[0] = 99;
  EXPECT_EQ(floats(session.run({f32({1}, {1})})[0]), (std::vector<float>{7}));
}

TEST(Engine, TheTraceNamesRequestsAndNodes) {
  Engine engine = engine_on("reference");
  Session session = finish(engine, doubling()).create_session();
  RunOptions options;
  options.profile = true;
  session.run({f32({1, 2}, {1, -1})}, options);
  std::ostringstream trace;
  engine.write_trace(trace);
  for (const char* part : {"traceEvents", "request 1", "Relu", "specialise", "reference:0"}) {
    EXPECT_NE(trace.str().find(part), std::string::npos) << part;
  }
  EXPECT_FALSE(engine.metrics().nodes.empty());
}

}  // namespace
}  // namespace naru
