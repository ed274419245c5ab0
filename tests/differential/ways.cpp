// The list of ways.
#include "tests/differential/ways.h"

#include <algorithm>

#include <fmt/format.h>

#include "compiler/pipeline.h"
#include "graph/evaluate.h"
#include "graph/export/onnx_writer.h"
#include "graph/import/onnx.h"
#include "graph/infer.h"
#include "graph/serialize.h"
#include "graph/text.h"
#include "runtime/engine_impl.h"
#include "tests/differential/batch.h"
#include "tests/onnx/engine_executor.h"

namespace naru::fuzz {
namespace {

constexpr int kMoreRuns = 24;

Results run_optimised(const RandomCase& test) {
  Graph graph = test.graph;
  optimize(graph, generic_pipeline(2), {.verify_each = true});
  return evaluate(graph, test.inputs);
}

Results run_reordered(const RandomCase& test) {
  return evaluate(reordered(test.graph, test.graph.nodes.size()), test.inputs);
}

Results run_text(const RandomCase& test) {
  return evaluate(parse_text(print(test.graph, {.full_data = true}), {.infer = true}), test.inputs);
}

Results run_container(const RandomCase& test) {
  auto bytes = std::make_shared<const std::vector<std::byte>>(naru_bytes(test.graph));
  return evaluate(load_naru(*bytes, bytes), test.inputs);
}

Results run_onnx(const RandomCase& test) {
  const std::string bytes = onnx_bytes(test.graph);
  return evaluate(load_onnx(std::as_bytes(std::span(bytes))), test.inputs);
}

Way engine_way(const std::string& device) {
  const std::shared_ptr<CaseExecutor> executor = make_engine_executor(device);
  return {"engine:" + device, Match::Spread, [executor](const RandomCase& test) { return executor->run(test.graph, test.inputs); }};
}

/// Each sample of the batch alone.
Way batched_way(const std::string& device) {
  const std::shared_ptr<CaseExecutor> executor = make_engine_executor(device);
  const auto run = [executor](const Graph& graph, std::span<const Datum> inputs) { return executor->run(graph, inputs); };
  return {"batched:" + device, Match::Spread,
          [run](const RandomCase& test) {
            const auto batch = find_batch(test);
            return batch ? batch->run(run) : Results{};
          }};
}

}  // namespace

Graph reordered(const Graph& graph, std::uint64_t seed) {
  Chooser choose(seed);
  Graph result = graph;
  result.nodes.clear();
  std::vector<bool> made(graph.values.size(), false), placed(graph.nodes.size(), false);
  for (std::size_t i = 0; i < made.size(); ++i) made[i] = graph.values[i].is_constant();
  for (const ValueId id : graph.inputs) made[static_cast<std::size_t>(id)] = true;
  const auto ready = [&](const Node& node) {
    const auto is_made = [&](ValueId id) { return id == kNoValue || made[static_cast<std::size_t>(id)]; };
    return std::all_of(node.inputs.begin(), node.inputs.end(), is_made) &&
           std::all_of(node.captures.begin(), node.captures.end(), is_made);
  };
  while (result.nodes.size() < graph.nodes.size()) {
    std::vector<std::size_t> candidates;
    for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
      if (!placed[n] && ready(graph.nodes[n])) candidates.push_back(n);
    }
    const std::size_t chosen = choose.of(candidates);
    placed[chosen] = true;
    for (const ValueId id : graph.nodes[chosen].outputs) {
      if (id != kNoValue) made[static_cast<std::size_t>(id)] = true;
    }
    result.nodes.push_back(graph.nodes[chosen]);
  }
  return result;
}

std::vector<Way> all_ways(const std::vector<std::string>& devices) {
  std::vector<Way> ways{{"optimised", Match::Spread, run_optimised},
                        {"reordered", Match::Exact, run_reordered},
                        {"text", Match::Exact, run_text},
                        {"container", Match::Exact, run_container},
                        {"onnx", Match::Exact, run_onnx}};
  for (const std::string& device : devices) {
    ways.push_back(engine_way(device));
    ways.push_back(batched_way(device));
  }
  return ways;
}

Verdict judge(const RandomCase& test, const Way& way, std::span<const Expected> expected) {
  Results got;
  try {
    got = way.run(test);
  } catch (const std::exception& error) {
    return {.difference = fmt::format("threw: {}", error.what())};
  }
  if (!got) return {.applies = false};
  const auto first = mismatch(*got, expected, way.match);
  if (!first || way.match == Match::Exact) return {.difference = first};
  return {.difference = mismatch(*got, expect(test, kMoreRuns, 1), way.match)};
}

}  // namespace naru::fuzz
