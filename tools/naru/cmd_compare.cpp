// naru compare: runs two devices in lockstep and names the first node where they differ.
#include <algorithm>
#include <cmath>
#include <fstream>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "compiler/extract.h"
#include "compiler/pipeline.h"
#include "graph/fail.h"
#include "graph/op_def.h"
#include "graph/load.h"
#include "graph/scalar.h"
#include "graph/text.h"
#include "runtime/engine_impl.h"
#include "tools/io/npy.h"
#include "tools/naru/commands.h"
#include "tools/naru/engine_options.h"
#include "tools/naru/inputs.h"
#include "tools/naru/table.h"
#include "tools/naru/tolerance.h"

namespace naru::tool {
namespace {

struct CompareCommand {
  std::string model;
  std::string device = "cpu";
  std::string against = "reference";
  DeviceChoice choice;
  InputOptions input;
  std::string reproducer = "reproducer";
  bool json = false;
};

/// The graph with every node's outputs as graph outputs, so that one run shows all of them.
Graph tapped(const Graph& graph) {
  Graph result = graph;
  std::vector<bool> is_output(graph.values.size(), false);
  for (const ValueId id : graph.outputs) is_output[static_cast<std::size_t>(id)] = true;
  for (const Node& node : graph.nodes) {
    for (const ValueId id : node.outputs) {
      if (id == kNoValue || is_output[static_cast<std::size_t>(id)]) continue;
      is_output[static_cast<std::size_t>(id)] = true;
      result.outputs.push_back(id);
    }
  }
  return result;
}

struct Side {
  std::unique_ptr<Engine> engine;
  std::vector<Datum> outputs;
};

std::vector<Datum> run_on(Engine& engine, const Graph& graph, const std::vector<Datum>& inputs) {
  return make_model(engine.impl(), graph, {}).create_session().run(inputs);
}

/// One node with the inputs it had, as a graph without inputs.
Graph reproducer_of(const Graph& graph, std::size_t node, const std::map<ValueId, Datum>& values) {
  std::vector<ValueId> outputs;
  for (const ValueId id : graph.nodes[node].outputs) {
    if (id != kNoValue) outputs.push_back(id);
  }
  const std::size_t nodes[] = {node};
  Extract cut = extract(graph, nodes, outputs);
  for (std::size_t i = 0; i < cut.inputs.size(); ++i) {
    const auto found = values.find(cut.inputs[i]);
    NARU_CHECK(found != values.end(), "value without recording");
    if (!found->second.is_tensor()) continue;
    const ValueId constant = cut.graph.add_constant(cut.graph.value(cut.graph.inputs[i]).name + ".recorded",
                                                    found->second.tensor);
    cut.graph.replace_uses(cut.graph.inputs[i], constant);
  }
  cut.graph.inputs.clear();
  return std::move(cut.graph);
}

struct Report {
  std::size_t compared = 0;
  std::string first_node, first_op, first_value;
  Difference first;
  bool differs = false;
  std::string reproducer;
};

void print(const CompareCommand& command, const Report& report) {
  if (command.json) {
    nlohmann::json json = {{"device", command.device}, {"against", command.against}, {"values_compared", report.compared},
                           {"differs", report.differs}};
    if (report.differs) {
      json["first"] = {{"node", report.first_node}, {"op", report.first_op}, {"value", report.first_value},
                       {"message", report.first.message}};
      json["reproducer"] = report.reproducer;
    }
    std::cout << json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
    return;
  }
  if (!report.differs) {
    std::cout << fmt::format("{} and {} agree on all {} values\n", command.device, command.against, report.compared);
    return;
  }
  std::cout << fmt::format("first difference: {} '{}', value '{}': {}\n", report.first_op, report.first_node,
                           report.first_value, report.first.message);
  if (!report.reproducer.empty()) std::cout << "reproducer: " << report.reproducer << '\n';
}

Report compare_devices(const CompareCommand& command, const Graph& graph, const std::vector<Datum>& inputs) {
  const Graph all = tapped(graph);
  const auto engine_for = [&](const std::string& device) {
    EngineOptions options = command.choice.engine_options();
    options.devices = {device};
    options.optimisation = 0;  // the graph is optimised already; both sides must run the same nodes
    return std::make_unique<Engine>(options);
  };
  const auto engine_a = engine_for(command.device);
  const auto engine_b = engine_for(command.against);
  const std::vector<Datum> outputs_a = run_on(*engine_a, all, inputs);
  const std::vector<Datum> outputs_b = run_on(*engine_b, all, inputs);

  std::map<ValueId, Datum> values_a, values_b;
  for (std::size_t i = 0; i < all.outputs.size(); ++i) {
    values_a[all.outputs[i]] = outputs_a[i];
    values_b[all.outputs[i]] = outputs_b[i];
  }
  for (std::size_t i = 0; i < graph.inputs.size(); ++i) values_b[graph.inputs[i]] = inputs[i];
  Report report;
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    for (const ValueId id : graph.nodes[n].outputs) {
      if (id == kNoValue) continue;
      ++report.compared;
      const Difference difference = compare_data(values_a.at(id), values_b.at(id));
      if (difference.within) continue;
      report.differs = true;
      report.first = difference;
      report.first_node = graph.nodes[n].name;
      report.first_op = graph.nodes[n].op->full_name();
      report.first_value = graph.value(id).name;
      PrintOptions print_options;
      print_options.full_data = true;
      const std::string text = print(reproducer_of(graph, n, values_b), print_options);
      report.reproducer = command.reproducer + ".txt";
      io::write_file(report.reproducer, std::as_bytes(std::span(text)));
      return report;
    }
  }
  return report;
}

int run(const CompareCommand& command) {
  EngineOptions options = command.choice.engine_options();
  options.devices = {command.device};
  Engine engine(options);
  const Model model = engine.load(command.model);
  const std::vector<Datum> inputs = make_inputs(model, command.input);
  const Report report = compare_devices(command, *model.impl()->graph, inputs);
  print(command, report);
  return report.differs ? kOutOfTolerance : kDone;
}

}  // namespace

Command add_compare(CLI::App& app) {
  CLI::App* sub = app.add_subcommand("compare", "Run two devices in lockstep; name the first node that differs");
  auto command = std::make_shared<CompareCommand>();
  sub->add_option("model", command->model, "Model file: .onnx, .naru or text")->required();
  sub->add_option("--device", command->device, "The device in question")->capture_default_str();
  sub->add_option("--against", command->against, "The device to trust")->capture_default_str();
  sub->add_option("--optimise", command->choice.optimisation, "0: as loaded, 1: folded, 2: fused")
      ->check(CLI::Range(0, 2))
      ->capture_default_str();
  sub->add_option("--threads", command->choice.threads, "Cores; 0: all")->check(CLI::Range(0, 4096));
  sub->add_option("--reproducer", command->reproducer, "Path, without suffix, of the file that repeats the difference")
      ->capture_default_str();
  command->input.add_to(*sub);
  sub->add_flag("--json", command->json, "Print JSON");
  return [command] { return run(*command); };
}

}  // namespace naru::tool
