// naru inspect: what a model contains, what it costs, and what each device would take.
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "compiler/plan.h"
#include "graph/fail.h"
#include "graph/op_def.h"
#include "runtime/engine_impl.h"
#include "tools/naru/commands.h"
#include "tools/naru/engine_options.h"
#include "tools/naru/inputs.h"
#include "tools/naru/table.h"

namespace naru::tool {
namespace {

struct InspectCommand {
  std::string model;
  DeviceChoice device;
  InputOptions input;
  bool can_run = false;
  bool json = false;
};

struct OpRow {
  std::int64_t count = 0;
  double flops = 0;
  double bytes = 0;
};

/// What a device says about one node.
struct CanRunRow {
  std::string node, op, type;
  Verdict verdict;
};

/// What a device says about each operator: nodes taken natively, generically, refused and why.
struct DeviceView {
  std::string id;
  std::int64_t native = 0, generic = 0, refused = 0;
  std::map<std::string, std::int64_t> reasons;  ///< of refusals: "op: reason" -> nodes
  std::vector<CanRunRow> rows;
};

struct Inspection {
  std::map<std::string, OpRow> ops;
  std::int64_t parameters = 0, constant_bytes = 0;
  double flops = 0, bytes = 0;
  bool costed = false;  ///< shapes were given or need none
  std::vector<DeviceView> devices;
  std::optional<MemoryReport> memory;
};

Cost node_cost(const Graph& graph, const Node& node) {
  std::vector<Type> inputs, outputs;
  bool is_static = true;
  const auto add = [&](ValueId id, std::vector<Type>& types) {
    types.push_back(id == kNoValue ? Type{} : graph.value(id).type);
    if (id != kNoValue && !types.back().is_static()) is_static = false;
  };
  for (const ValueId id : node.inputs) add(id, inputs);
  for (const ValueId id : node.outputs) add(id, outputs);
  if (!is_static) return {};
  if (node.op->cost != nullptr) return node.op->cost(node, inputs, outputs);
  Cost cost;
  const auto numel = [](const Type& type) {
    return type.is_static() ? static_cast<double>(known_shape(*type.shape)->numel()) : 0.0;
  };
  for (const Type& type : inputs) cost.bytes += numel(type) * dtype_info(type.dtype).block_bytes;
  for (const Type& type : outputs) {
    cost.bytes += numel(type) * dtype_info(type.dtype).block_bytes;
    cost.flops += numel(type);
  }
  return cost;
}

void count_ops(const Graph& graph, Inspection& result) {
  for (const Value& value : graph.values) {
    if (!value.is_constant()) continue;
    const DType dtype = value.constant.dtype();
    if (is_float(dtype) || is_block(dtype)) result.parameters += value.constant.numel();
    result.constant_bytes += value.constant.size_bytes();
  }
  for (const Node& node : graph.nodes) {
    OpRow& row = result.ops[node.op->full_name()];
    ++row.count;
    const Cost cost = node_cost(graph, node);
    row.flops += cost.flops;
    row.bytes += cost.bytes;
    result.flops += cost.flops;
    result.bytes += cost.bytes;
    for_each_subgraph(node, [&](const std::string&, const Graph& sub) { count_ops(sub, result); });
  }
}

std::vector<DeviceView> ask_devices(const Graph& graph, const Engine::Impl& engine) {
  std::vector<DeviceView> views;
  for (const auto& device : engine.devices) {
    DeviceView view;
    view.id = device->info().id;
    const std::vector<Verdict> verdicts = device->support(graph);
    for (std::size_t i = 0; i < verdicts.size(); ++i) {
      const Node& node = graph.nodes[i];
      const ValueId first = node.outputs.empty() ? kNoValue : node.outputs.front();
      view.rows.push_back({node.name, node.op->full_name(), first == kNoValue ? "-" : to_string(graph.value(first).type), verdicts[i]});
      if (verdicts[i].tier == Tier::Native) ++view.native;
      if (verdicts[i].tier == Tier::Generic) ++view.generic;
      if (verdicts[i].tier != Tier::None) continue;
      ++view.refused;
      ++view.reasons[graph.nodes[i].op->full_name() + ": " + verdicts[i].reason];
    }
    views.push_back(std::move(view));
  }
  return views;
}

Inspection inspect(const Engine& engine, const Model& model, const InspectCommand& command) {
  Inspection result;
  const Graph& graph = *model.impl()->graph;
  const bool open = !command.input.shapes.empty() || [&] {
    for (const ValueId id : graph.inputs) {
      if (!graph.value(id).type.is_static()) return false;
    }
    return true;
  }();
  if (!open) {
    count_ops(graph, result);
    result.devices = ask_devices(graph, *engine.impl());
    return result;
  }
  const std::vector<Datum> inputs = make_inputs(model, command.input);
  const std::shared_ptr<const Plan> plan = model.impl()->plan_for(inputs);
  count_ops(plan->graph, result);
  result.costed = true;
  result.devices = ask_devices(plan->graph, *engine.impl());
  result.memory = model.memory(inputs);
  return result;
}

nlohmann::json ports_json(const std::vector<PortInfo>& ports) {
  nlohmann::json list = nlohmann::json::array();
  for (const PortInfo& port : ports) {
    list.push_back({{"name", port.name}, {"dtype", std::string(to_string(port.dtype))}, {"dims", port.dims}, {"type", port.type}});
  }
  return list;
}

const char* name_of(Tier tier) { return tier == Tier::Native ? "native" : tier == Tier::Generic ? "generic" : "no"; }

nlohmann::json can_run_json(const DeviceView& view) {
  nlohmann::json list = nlohmann::json::array();
  for (const CanRunRow& row : view.rows) {
    list.push_back({{"node", row.node}, {"op", row.op}, {"type", row.type}, {"tier", name_of(row.verdict.tier)},
                    {"reason", row.verdict.reason}, {"seconds", row.verdict.seconds}});
  }
  return list;
}

void print_json(const Model& model, const Inspection& inspection) {
  nlohmann::json json = {{"name", model.name()},
                         {"inputs", ports_json(model.inputs())},
                         {"outputs", ports_json(model.outputs())},
                         {"parameters", inspection.parameters},
                         {"constant_bytes", inspection.constant_bytes}};
  if (inspection.costed) {
    json["flops"] = inspection.flops;
    json["bytes"] = inspection.bytes;
  }
  for (const auto& [op, row] : inspection.ops) {
    json["operators"].push_back({{"op", op}, {"count", row.count}, {"flops", row.flops}, {"bytes", row.bytes}});
  }
  for (const DeviceView& view : inspection.devices) {
    json["devices"].push_back({{"id", view.id}, {"native", view.native}, {"generic", view.generic},
                               {"refused", view.refused}, {"reasons", view.reasons}, {"nodes", can_run_json(view)}});
  }
  if (inspection.memory) {
    for (const DeviceMemory& device : inspection.memory->devices) {
      json["memory"].push_back({{"device", device.device}, {"weights_bytes", device.weights_bytes},
                                {"workspace_bytes", device.workspace_bytes}});
    }
  }
  std::cout << json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
}

/// Each node on each device: whether and by what it runs, and what that would cost.
void print_can_run(const Inspection& inspection) {
  Table table({"device", "node", "operator", "output", "runs", "kernel or reason", ">estimate"});
  for (const DeviceView& view : inspection.devices) {
    for (const CanRunRow& row : view.rows) {
      const double seconds = row.verdict.seconds;
      table.add({view.id, row.node, row.op, row.type, name_of(row.verdict.tier), row.verdict.reason,
                 seconds > 0 ? fmt::format("{:.1f} us", 1e6 * seconds) : "-"});
    }
  }
  table.print(std::cout);
}

void print_text(const Model& model, const Inspection& inspection) {
  std::ostream& out = std::cout;
  out << "model " << model.name() << '\n';
  for (const PortInfo& port : model.inputs()) out << "  input   " << port.name << ": " << port.type << '\n';
  for (const PortInfo& port : model.outputs()) out << "  output  " << port.name << ": " << port.type << '\n';
  out << fmt::format("  parameters {} in {} of constants\n", count_text(static_cast<double>(inspection.parameters)),
                     bytes_text(inspection.constant_bytes));
  if (inspection.costed) {
    out << fmt::format("  work {} FLOP, {} moved at least\n\n", count_text(inspection.flops),
                       bytes_text(static_cast<std::int64_t>(inspection.bytes)));
  } else {
    out << "  work: give the open dimensions with --shape to see it\n\n";
  }
  Table ops({"operator", ">count", ">FLOP", ">bytes"});
  for (const auto& [op, row] : inspection.ops) {
    ops.add({op, std::to_string(row.count), inspection.costed ? count_text(row.flops) : "-",
             inspection.costed ? bytes_text(static_cast<std::int64_t>(row.bytes)) : "-"});
  }
  ops.print(out);
  out << '\n';
  Table devices({"device", ">native", ">generic", ">refused"});
  for (const DeviceView& view : inspection.devices) {
    devices.add({view.id, std::to_string(view.native), std::to_string(view.generic), std::to_string(view.refused)});
  }
  devices.print(out);
  for (const DeviceView& view : inspection.devices) {
    for (const auto& [reason, count] : view.reasons) out << "  " << view.id << " refuses " << count << " x " << reason << '\n';
  }
  if (!inspection.memory) return;
  out << '\n';
  Table memory({"memory plan", ">packed weights", ">workspace"});
  for (const DeviceMemory& device : inspection.memory->devices) {
    memory.add({device.device, bytes_text(device.weights_bytes), bytes_text(device.workspace_bytes)});
  }
  memory.print(out);
}

}  // namespace

Command add_inspect(CLI::App& app) {
  CLI::App* sub = app.add_subcommand("inspect", "Show inputs, outputs, operators, work, and what each device takes");
  auto command = std::make_shared<InspectCommand>();
  sub->add_option("model", command->model, "Model file: .onnx, .naru or text")->required();
  command->device.add_to(*sub);
  command->input.add_to(*sub);
  sub->add_flag("--can-run", command->can_run, "Print for each node and device whether and by which kernel it runs, at what cost");
  sub->add_flag("--json", command->json, "Print JSON");
  return [command] {
    Engine engine(command->device.engine_options());
    const Model model = engine.load(command->model);
    const Inspection inspection = inspect(engine, model, *command);
    if (command->json) {
      print_json(model, inspection);
    } else if (command->can_run) {
      print_can_run(inspection);
    } else {
      print_text(model, inspection);
    }
    return kDone;
  };
}

}  // namespace naru::tool
