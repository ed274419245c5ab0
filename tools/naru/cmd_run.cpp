// naru run: runs a model and prints outputs, latency, placement and memory.
#include <algorithm>
#include <cmath>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "graph/fail.h"
#include "graph/scalar.h"
#include "tools/io/npy.h"
#include "tools/naru/commands.h"
#include "tools/naru/engine_options.h"
#include "tools/naru/inputs.h"
#include "tools/naru/table.h"

namespace naru::tool {
namespace {

struct RunCommand {
  std::string model;
  DeviceChoice device;
  InputOptions input;
  std::vector<std::string> carry;
  int warmup = 0;
  int repeat = 1;
  std::string output, metrics, trace;
  bool profile = false;
  bool plan = false;
  bool json = false;
};

std::string file_name(std::string name) {
  for (char& c : name) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' || c == '-' || (c & 0x80);
    if (!plain) c = '_';
  }
  return name;
}

void write_datum(const std::filesystem::path& path, const Datum& datum) {
  if (datum.is_tensor()) {
    io::write_npy(path.string() + ".npy", datum.tensor);
    return;
  }
  for (std::size_t i = 0; i < datum.elements.size(); ++i) {
    write_datum(path.string() + "." + std::to_string(i), datum.elements[i]);
  }
}

void write_outputs(const std::filesystem::path& folder, const Model& model, const std::vector<Datum>& outputs) {
  std::filesystem::create_directories(folder);
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    write_datum(folder / file_name(model.outputs()[i].name), outputs[i]);
  }
}

/// "f32[1,1000] min -0.1 max 0.9 mean 0.001"
std::string summary(const Datum& datum) {
  if (!datum.is_tensor()) return std::to_string(datum.elements.size()) + " elements";
  const Tensor& tensor = datum.tensor;
  std::string text = to_string(tensor);
  const DTypeKind kind = kind_of(tensor.dtype());
  if (tensor.numel() == 0 || kind == DTypeKind::String || kind == DTypeKind::Complex) return text;
  double low = INFINITY, high = -INFINITY, sum = 0;
  std::int64_t not_finite = 0;
  for (const double value : to_wide<double>(tensor)) {
    if (!std::isfinite(value)) {
      ++not_finite;
      continue;
    }
    low = std::min(low, value);
    high = std::max(high, value);
    sum += value;
  }
  text += fmt::format("  min {:.6g}  max {:.6g}  mean {:.6g}", low, high, sum / static_cast<double>(tensor.numel()));
  if (not_finite > 0) text += fmt::format("  not finite {}", not_finite);
  return text;
}

nlohmann::json to_json(const Distribution& d) {
  nlohmann::json json = {{"count", d.count}, {"min_s", d.min}, {"mean_s", d.mean}, {"max_s", d.max}};
  const auto put = [&](const char* name, const std::optional<double>& value) {
    json[name] = value ? nlohmann::json(*value) : nlohmann::json(nullptr);
  };
  put("p50_s", d.p50);
  put("p90_s", d.p90);
  put("p95_s", d.p95);
  put("p99_s", d.p99);
  return json;
}

nlohmann::json report_json(const RunCommand& command, const Model& model, const Metrics& metrics,
                           const std::vector<PlacementRow>& placement, const MemoryReport& memory,
                           const std::vector<Datum>& outputs) {
  nlohmann::json json = {{"schema", "naru.run/1"},
                         {"metrics_def", kMetricDefinitions},
                         {"model", command.model},
                         {"devices", command.device.devices},
                         {"threads", command.device.threads},
                         {"streams", command.device.streams},
                         {"requests", metrics.requests},
                         {"failed", metrics.failed},
                         {"latency", to_json(metrics.latency)},
                         {"queue", to_json(metrics.queue)},
                         {"requests_per_s", metrics.requests_per_second},
                         {"mean_in_flight", metrics.mean_in_flight},
                         {"plans_built", metrics.plans_built},
                         {"host_steps", metrics.host_steps},
                         {"moved", metrics.moved}};
  for (const Phase& phase : metrics.cold_start) {
    json["cold_start"].push_back({{"phase", phase.name}, {"s", phase.seconds}});
  }
  json["memory"] = {{"constants_bytes", memory.constants_bytes},
                    {"boundary_bytes", memory.boundary_bytes},
                    {"measured_peak_bytes", memory.measured_peak_bytes},
                    {"measured_current_bytes", memory.measured_current_bytes}};
  for (const DeviceMemory& device : memory.devices) {
    json["memory"]["devices"].push_back({{"device", device.device},
                                         {"weights_bytes", device.weights_bytes},
                                         {"workspace_bytes", device.workspace_bytes}});
  }
  for (const PlacementRow& row : placement) {
    json["placement"].push_back(
        {{"node", row.node}, {"op", row.op}, {"device", row.device}, {"tier", row.tier}, {"reason", row.reason}});
  }
  for (const NodeTime& node : metrics.nodes) {
    json["profile"].push_back({{"node", node.node}, {"op", node.op}, {"device", node.device},
                               {"kernel", node.kernel}, {"calls", node.calls}, {"s", node.seconds}});
  }
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    json["outputs"].push_back({{"name", model.outputs()[i].name}, {"summary", summary(outputs[i])}});
  }
  return json;
}

void print_placement(const std::vector<PlacementRow>& placement, std::ostream& out) {
  std::map<std::pair<std::string, std::string>, std::int64_t> counts;
  for (const PlacementRow& row : placement) ++counts[{row.device, row.tier}];
  Table table({"placement", "how", ">nodes"});
  for (const auto& [key, count] : counts) table.add({key.first, key.second, std::to_string(count)});
  table.print(out);
  Table fallen({"without a kernel of its own", "operator", "on", "why"});
  bool any = false;
  for (const PlacementRow& row : placement) {
    if (row.tier == "native") continue;
    any = true;
    fallen.add({row.node, row.op, row.device, row.reason});
  }
  if (any) fallen.print(out);
}

void print_profile(const Metrics& metrics, std::ostream& out) {
  double total = 0;
  for (const NodeTime& node : metrics.nodes) total += node.seconds;
  Table table({"node", "operator", "kernel", ">calls", ">time/run", ">share"});
  constexpr std::size_t kRows = 40;
  for (std::size_t i = 0; i < std::min(kRows, metrics.nodes.size()); ++i) {
    const NodeTime& node = metrics.nodes[i];
    table.add({node.node, node.op, node.kernel, std::to_string(node.calls),
               seconds_text(node.seconds / static_cast<double>(std::max<std::int64_t>(1, metrics.requests))),
               fmt::format("{:.1f} %", 100 * node.seconds / total)});
  }
  table.print(out);
}

void print_report(const Model& model, const Metrics& metrics, const std::vector<PlacementRow>& placement,
                  const MemoryReport& memory, const std::vector<Datum>& outputs) {
  std::ostream& out = std::cout;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    out << "output " << model.outputs()[i].name << ": " << summary(outputs[i]) << '\n';
  }
  out << '\n';
  Table latency({"latency", ">count", ">min", ">mean", ">p50", ">p90", ">p95", ">p99", ">max"});
  const Distribution& d = metrics.latency;
  latency.add({"request", std::to_string(d.count), seconds_text(d.min), seconds_text(d.mean), seconds_text(d.p50),
               seconds_text(d.p90), seconds_text(d.p95), seconds_text(d.p99), seconds_text(d.max)});
  latency.print(out);
  out << fmt::format("throughput {:.2f} requests/s over {}\n\n", metrics.requests_per_second,
                     seconds_text(metrics.window_seconds));
  Table phases({"cold start", ">time"});
  for (const Phase& phase : metrics.cold_start) phases.add({phase.name, seconds_text(phase.seconds)});
  phases.print(out);
  out << '\n';
  Table bytes({"memory", ">bytes"});
  bytes.add({"constants of the model", bytes_text(memory.constants_bytes)});
  bytes.add({"values between steps", bytes_text(memory.boundary_bytes)});
  for (const DeviceMemory& device : memory.devices) {
    bytes.add({device.device + " packed weights", bytes_text(device.weights_bytes)});
    bytes.add({device.device + " workspace", bytes_text(device.workspace_bytes)});
  }
  bytes.add({"measured peak of the process", bytes_text(memory.measured_peak_bytes)});
  bytes.print(out);
  out << '\n';
  print_placement(placement, out);
  if (!metrics.nodes.empty()) {
    out << '\n';
    print_profile(metrics, out);
  }
}

ModelOptions model_options(const RunCommand& command) {
  ModelOptions options;
  for (const std::string& pair : command.carry) {
    const std::size_t colon = pair.find(':');
    if (colon == std::string::npos) {
      fail(ErrorCode::InvalidArgument, "--carry '{}': expected INPUT:OUTPUT", pair);
    }
    options.carry.emplace_back(pair.substr(0, colon), pair.substr(colon + 1));
  }
  return options;
}

/// Never in silence: says what a device failed and other devices took over.
void warn_moved(const Metrics& metrics) {
  std::map<std::string, int> counts;
  for (const std::string& reason : metrics.moved) ++counts[reason];
  for (const auto& [reason, count] : counts) {
    std::cerr << "naru: warning: moved to other devices (" << count << " times): " << reason << '\n';
  }
}

int run(const RunCommand& command) {
  Engine engine(command.device.engine_options());
  const Model model = engine.load(command.model, model_options(command));
  const std::vector<Datum> inputs = make_inputs(model, command.input);
  Session session = model.create_session();
  set_states(session, model, command.input);
  RunOptions options;
  options.profile = command.profile || !command.trace.empty();

  // The first run pays for planning: it counts as cold start unless it is the only one.
  std::vector<Datum> outputs;
  const std::vector<PlacementRow> placement = model.placement(inputs);
  const Metrics cold = engine.metrics();
  for (int i = 0; i < command.warmup; ++i) outputs = session.run(inputs);
  engine.clear_log();
  for (int i = 0; i < command.repeat; ++i) outputs = session.run(inputs, options);

  Metrics metrics = engine.metrics();
  metrics.cold_start = cold.cold_start;
  metrics.plans_built += cold.plans_built;
  metrics.moved.insert(metrics.moved.begin(), cold.moved.begin(), cold.moved.end());
  warn_moved(metrics);
  const MemoryReport memory = model.memory(inputs);
  if (!command.output.empty()) write_outputs(command.output, model, outputs);
  if (!command.trace.empty()) {
    std::ofstream trace(command.trace);
    engine.write_trace(trace);
    if (!trace.flush()) fail(ErrorCode::Io, "file '{}': cannot be written", command.trace);
  }
  const nlohmann::json json = report_json(command, model, metrics, placement, memory, outputs);
  const std::string text = json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  if (!command.metrics.empty()) io::write_file(command.metrics, std::as_bytes(std::span(text)));
  if (command.json) {
    std::cout << text;
  } else {
    if (command.plan) std::cout << model.describe_plan(inputs) << '\n';
    print_report(model, metrics, placement, memory, outputs);
  }
  return kDone;
}

}  // namespace

Command add_run(CLI::App& app) {
  CLI::App* sub = app.add_subcommand("run", "Run a model; print outputs, latency, placement and memory");
  auto command = std::make_shared<RunCommand>();
  sub->add_option("model", command->model, "Model file: .onnx, .naru or text")->required();
  command->device.add_to(*sub);
  command->input.add_to(*sub);
  sub->add_option("--carry", command->carry, "INPUT:OUTPUT: a state that each run hands to the next; starts at zeros");
  sub->add_option("--warmup", command->warmup, "Runs that are not counted, first")->check(CLI::Range(0, 1000000));
  sub->add_option("--repeat", command->repeat, "Counted runs")->check(CLI::Range(1, 100000000))->capture_default_str();
  sub->add_option("--output", command->output, "Folder for the outputs as .npy files");
  sub->add_option("--metrics", command->metrics, "File for the figures as JSON");
  sub->add_option("--trace", command->trace, "File for a Chrome/Perfetto trace");
  sub->add_flag("--profile", command->profile, "Time every node");
  sub->add_flag("--plan", command->plan, "Print the plan: steps, kernels, layouts");
  sub->add_flag("--json", command->json, "Print JSON");
  return [command] { return run(*command); };
}

}  // namespace naru::tool
