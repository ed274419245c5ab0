// Shrinking by cutting: a node's results become inputs that hold what the reference gave.
#include "tests/differential/shrink.h"

#include <algorithm>
#include <fstream>
#include <iterator>

#include "compiler/passes/passes.h"
#include "graph/fail.h"
#include "graph/infer.h"
#include "graph/text.h"
#include "tests/differential/oracle.h"

namespace naru::fuzz {
namespace {

/// Drops what no output needs, inputs too. False when the rest is no valid graph.
bool tidy(RandomCase& test) {
  try {
    eliminate_dead(test.graph);
    const UseIndex uses(test.graph);
    RandomCase kept;
    std::vector<ValueId> inputs;
    for (std::size_t i = 0; i < test.graph.inputs.size(); ++i) {
      const auto id = static_cast<std::size_t>(test.graph.inputs[i]);
      if (uses.consumers[id].empty() && !uses.is_output[id]) continue;
      inputs.push_back(test.graph.inputs[i]);
      kept.inputs.push_back(test.inputs[i]);
    }
    test.graph.inputs = inputs;
    test.graph.compact();
    infer_types(test.graph);
    test.inputs = std::move(kept.inputs);
    return !test.graph.nodes.empty();
  } catch (const Error&) {
    return false;
  }
}

/// The case with node `index` replaced by inputs.
RandomCase cut(const RandomCase& test, const std::vector<Datum>& values, std::size_t index) {
  RandomCase result = test;
  const Node node = result.graph.nodes[index];
  result.graph.nodes.erase(result.graph.nodes.begin() + static_cast<std::ptrdiff_t>(index));
  for (const ValueId id : node.outputs) {
    if (id == kNoValue) continue;
    const Datum& value = values[static_cast<std::size_t>(id)];
    result.graph.value(id).type = Type::of(value);
    result.graph.inputs.push_back(id);
    result.inputs.push_back(value);
  }
  std::erase_if(result.graph.outputs, [&](ValueId id) { return std::find(node.outputs.begin(), node.outputs.end(), id) != node.outputs.end(); });
  return result;
}

std::string read_text(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (!file) fail(ErrorCode::Io, "'{}' cannot be read", path.string());
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

RandomCase shrink(RandomCase test, const std::function<bool(const RandomCase&)>& fails) {
  const auto take = [&](RandomCase candidate) {
    if (candidate.graph.outputs.empty() || !tidy(candidate) || !fails(candidate)) return false;
    test = std::move(candidate);
    return true;
  };
  for (const ValueId id : std::vector<ValueId>(test.graph.outputs)) {
    RandomCase candidate = test;
    candidate.graph.outputs = {id};
    if (take(std::move(candidate))) break;
  }
  for (std::size_t index = test.graph.nodes.size(); index-- > 0;) {
    if (index >= test.graph.nodes.size()) continue;
    take(cut(test, interpret(test.graph, test.inputs), index));
  }
  return test;
}

std::filesystem::path write_case(const RandomCase& test, const std::filesystem::path& folder, const std::string& name) {
  std::filesystem::create_directories(folder);
  Graph values;
  for (std::size_t i = 0; i < test.inputs.size(); ++i) {
    values.outputs.push_back(values.add_constant(test.graph.value(test.graph.inputs[i]).name, test.inputs[i].tensor));
  }
  const PrintOptions whole{.full_data = true};
  const std::filesystem::path path = folder / (name + ".txt");
  std::ofstream(path) << print(test.graph, whole);
  std::ofstream(folder / (name + ".inputs.txt")) << print(values, whole);
  return path;
}

RandomCase read_case(const std::filesystem::path& graph_file) {
  RandomCase test;
  test.graph = parse_text(read_text(graph_file), {.infer = true});
  std::filesystem::path values_file = graph_file;
  const Graph values = parse_text(read_text(values_file.replace_extension(".inputs.txt")));
  for (const ValueId id : values.outputs) test.inputs.emplace_back(values.value(id).constant);
  return test;
}

}  // namespace naru::fuzz
