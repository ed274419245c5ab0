// Operators on every device of this machine, one measurement each, with what they achieve.
//   naru_bench_kernels [--benchmark_filter=Conv.*cpu]
#include <benchmark/benchmark.h>

#include <cstring>
#include <string>

#include "benchmarks/load/random.h"
#include "benchmarks/sut/in_process.h"
#include "graph/fail.h"
#include "graph/op_def.h"
#include "graph/text.h"
#include "runtime/engine_impl.h"

namespace naru::bench {
namespace {

struct Case {
  const char* name;
  const char* operands;
  const char* node;
};
constexpr Case kCases[] = {
#define CASE(name, operands, node) {name, operands, node},
#include "benchmarks/kernels/cases.def"
#undef CASE
};

/// The operands as inputs of a graph of the one node.
Graph parse_case(const Case& entry) {
  std::string text = "naru text 1\ngraph \"case\" {\n";
  std::string operands = entry.operands;
  for (std::size_t begin = 0; begin < operands.size();) {
    const std::size_t end = std::min(operands.find("; ", begin), operands.size());
    text += "input %" + operands.substr(begin, end - begin) + "\n";
    begin = end + 2;
  }
  text += std::string("%result = ") + entry.node + "\noutput %result\n}\n";
  ParseOptions options;
  options.infer = true;
  return parse_text(text, options);
}

/// Inputs named w... become constants of small random numbers, as weights are.
Graph make_graph(const Case& entry) {
  Graph graph = parse_case(entry);
  Random random(1);
  std::vector<ValueId> open;
  for (const ValueId id : graph.inputs) {
    Value& value = graph.value(id);
    if (value.name.front() != 'w') {
      open.push_back(id);
      continue;
    }
    Tensor weight(value.type.dtype, *known_shape(*value.type.shape));
    for (float& element : weight.as_mutable<float>()) element = static_cast<float>(random.uniform() - 0.5);
    value.constant = std::move(weight);
  }
  graph.inputs = std::move(open);
  return graph;
}

Cost cost_of(const Graph& graph) {
  const Node& node = graph.nodes.front();
  if (node.op->cost == nullptr) return {};
  std::vector<Type> inputs, outputs;
  for (const ValueId id : node.inputs) inputs.push_back(graph.value(id).type);
  for (const ValueId id : node.outputs) outputs.push_back(graph.value(id).type);
  return node.op->cost(node, inputs, outputs);
}

void measure(benchmark::State& state, const Case& entry, const std::string& device) {
  try {
    EngineOptions options;
    options.devices = {device};
    const Engine engine(options);
    Graph graph = make_graph(entry);
    const Cost cost = cost_of(graph);
    const Model model = make_model(engine.impl(), std::move(graph), {});
    const std::vector<Datum> inputs = random_inputs(model, {}, 1);
    Session session = model.create_session();
    session.run(inputs);
    for (auto _ : state) benchmark::DoNotOptimize(session.run(inputs));
    const auto rate = benchmark::Counter::kIsIterationInvariantRate;
    if (cost.flops > 0) state.counters["FLOP/s"] = benchmark::Counter(cost.flops, rate);
    if (cost.bytes > 0) state.counters["B/s"] = benchmark::Counter(cost.bytes, rate);
    for (const PlacementRow& row : model.placement(inputs)) {
      if (row.tier != "native") state.SetLabel(row.device + ", " + row.tier);
    }
  } catch (const Error& error) {
    state.SkipWithError(error.what());
  }
}

void register_cases() {
  for (const DeviceDescription& device : list_devices()) {
    // The null device refuses everything.
    if (!device.available || device.id.rfind("null", 0) == 0) continue;
    for (const Case& entry : kCases) {
      benchmark::RegisterBenchmark((std::string(entry.name) + "/" + device.id).c_str(), [&entry, id = device.id](benchmark::State& state) { measure(state, entry, id); })
          ->Unit(benchmark::kMicrosecond)
          ->UseRealTime();
    }
  }
}

}  // namespace
}  // namespace naru::bench

int main(int argc, char** argv) {
  naru::bench::register_cases();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
