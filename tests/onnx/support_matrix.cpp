// Prints how each device runs each operator by element type, as asked over the ONNX cases.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "backends/registry.h"
#include "compiler/decompose.h"
#include "graph/fail.h"
#include "graph/import/onnx.h"
#include "graph/infer.h"
#include "graph/op_def.h"
#include "tests/onnx/case_values.h"

namespace naru {
namespace {

namespace fs = std::filesystem;

constexpr const char* kUsage = R"(usage: naru_support_matrix --cases DIR [--check FILE] [--device ID]...
Prints a Markdown table: operator, then per device the element types of the first input by how they run.
  --check FILE  compares with what the file holds instead of printing; exit code 1 when it differs
)";

/// How a device runs a node, best first.
enum class How : std::uint8_t { Native, Decomposed, Generic, Host };
constexpr const char* kHow[] = {"native", "decomposed", "generic", "host"};

/// By operator and device: the best way met for each element type.
using Matrix = std::map<std::string, std::map<std::string, std::map<DType, How>>>;

bool all_native(const Device& device, Graph graph, int depth) {
  const std::vector<Verdict> verdicts = device.support(graph);
  for (std::size_t i = 0; i < verdicts.size(); ++i) {
    if (verdicts[i].tier == Tier::Native) continue;
    if (depth == 0 || !decompose_node(graph, i)) return false;
    return all_native(device, std::move(graph), depth - 1);
  }
  return true;
}

How way_of(const Device& device, const Graph& graph, std::size_t index, Tier tier) {
  constexpr int kMostRewritings = 40;
  const Node& node = graph.nodes[index];
  if (tier == Tier::Native) return How::Native;
  if (node.op->dynamic_output) return How::Host;
  if (node.op->decompose != nullptr && graph.nodes.size() == 1 && all_native(device, graph, kMostRewritings)) return How::Decomposed;
  return tier == Tier::None ? How::Host : How::Generic;
}

void note(Matrix& matrix, const Device& device, const Graph& graph) {
  const std::vector<Verdict> verdicts = device.support(graph);
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    const ValueId id = node.has_input(0) ? node.inputs[0] : node.outputs[0];
    const Type& type = graph.value(id).type;
    const How how = way_of(device, graph, i, verdicts[i].tier);
    auto& cell = matrix[node.op->full_name()][device.info().id.substr(0, device.info().id.find(':'))];
    const auto [entry, fresh] = cell.emplace(type.dtype, how);
    if (!fresh) entry->second = std::min(entry->second, how);
  }
}

/// The case's graph with the inputs that shapes depend on as constants.
Graph bound_graph(const nlohmann::json& record, const fs::path& folder) {
  Graph graph = load_onnx(folder / "model.onnx");
  const std::vector<Datum> inputs = read_case_values(folder / "test_data_set_0", "input", record["inputs"]);
  std::set<ValueId> needed;
  for (const Node& node : graph.nodes) {
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      if (node.op->inputs[std::min(i, node.op->inputs.size() - 1)].value_needed) needed.insert(node.inputs[i]);
    }
  }
  for (std::size_t i = 0; i < inputs.size() && i < graph.inputs.size(); ++i) {
    const ValueId id = graph.inputs[i];
    if (!needed.contains(id) || !inputs[i].is_tensor() || !inputs[i].tensor.defined()) continue;
    graph.replace_uses(id, graph.add_constant("bound", inputs[i].tensor));
  }
  infer_types(graph);
  return graph;
}

Matrix make_matrix(const fs::path& cases, const std::vector<std::string>& ids) {
  std::vector<std::unique_ptr<Device>> devices;
  for (const std::string& id : ids) devices.push_back(open_device(id));
  std::ifstream file(cases / "cases.json");
  if (!file) fail(ErrorCode::Io, "cases: '{}' has no cases.json", cases.native());
  Matrix matrix;
  for (const auto& record : nlohmann::json::parse(file)) {
    if (record["suite"] != "node" && record["suite"] != "contrib") continue;
    try {
      const Graph graph = bound_graph(record, cases / record["suite"] / record["name"]);
      for (const auto& device : devices) note(matrix, *device, graph);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::Unsupported) throw;
    }
  }
  for (const OpDef* op : all_ops()) matrix[op->full_name()];
  return matrix;
}

/// For example "native f32, f16; generic i64".
std::string cell_text(const std::map<DType, How>& cell) {
  std::string text;
  for (std::size_t how = 0; how < std::size(kHow); ++how) {
    std::string types;
    for (const auto& [dtype, way] : cell) {
      if (static_cast<std::size_t>(way) != how) continue;
      types += (types.empty() ? " " : ", ") + std::string(dtype == DType::Undefined ? "no tensor" : to_string(dtype));
    }
    if (!types.empty()) text += (text.empty() ? "" : "; ") + std::string(kHow[how]) + types;
  }
  return text.empty() ? "no case" : text;
}

std::string markdown(const Matrix& matrix, const std::vector<std::string>& devices) {
  std::string text =
      "# Operators by element type and device\n\n"
      "Made by `naru_support_matrix` from the ONNX cases. Types are those of the first input.\n"
      "*native*: a kernel of the device; *decomposed*: simpler operators that all have kernels; *generic*: the operator's\n"
      "reference meaning, on the device; *host*: between the device's fragments; *no case*: no case of the suites uses it.\n\n"
      "| operator |";
  for (const std::string& device : devices) text += " " + device + " |";
  text += "\n|---|";
  for (std::size_t i = 0; i < devices.size(); ++i) text += "---|";
  text += "\n";
  for (const auto& [op, cells] : matrix) {
    text += "| " + op + " |";
    for (const std::string& device : devices) {
      const auto found = cells.find(device);
      text += " " + cell_text(found == cells.end() ? std::map<DType, How>{} : found->second) + " |";
    }
    text += "\n";
  }
  return text;
}

int run(int count, char** values) {
  fs::path cases, expected;
  std::vector<std::string> devices;
  for (int i = 1; i + 1 < count; i += 2) {
    const std::string name = values[i];
    if (name == "--cases") cases = values[i + 1];
    else if (name == "--check") expected = values[i + 1];
    else if (name == "--device") devices.emplace_back(values[i + 1]);
    else fail(ErrorCode::InvalidArgument, "{}: unknown\n{}", name, kUsage);
  }
  if (cases.empty()) fail(ErrorCode::InvalidArgument, "--cases: missing\n{}", kUsage);
  if (devices.empty()) devices = {"cpu"};
  const std::string text = markdown(make_matrix(cases, devices), devices);
  if (expected.empty()) {
    std::fputs(text.c_str(), stdout);
    return 0;
  }
  std::ifstream file(expected);
  const std::string held{std::istreambuf_iterator<char>(file), {}};
  if (held == text) return 0;
  fmt::print("{} is stale: write it again with naru_support_matrix\n", expected.native());
  return 1;
}

}  // namespace
}  // namespace naru

int main(int count, char** values) {
  try {
    return naru::run(count, values);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 2;
  }
}
