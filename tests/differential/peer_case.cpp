// Writes the files of a case.
#include "tests/differential/peer_case.h"

#include <algorithm>
#include <fstream>
#include <map>

#include <fmt/format.h>

#include "graph/export/onnx_writer.h"
#include "graph/fail.h"
#include "graph/infer.h"

namespace naru::fuzz {
namespace {

void write_file(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary);
  file << bytes;
  file.close();
  if (!file) fail(ErrorCode::Io, "'{}' cannot be written", path.string());
}

}  // namespace

RandomCase node_case(const RandomCase& test, std::span<const Datum> values, std::size_t index) {
  RandomCase alone;
  std::map<ValueId, ValueId> ids;
  const auto take = [&](ValueId id) {
    if (id == kNoValue) return kNoValue;
    const auto [at, added] = ids.try_emplace(id, kNoValue);
    if (!added) return at->second;
    const Value& value = test.graph.value(id);
    const Datum& datum = values[static_cast<std::size_t>(id)];
    if (value.is_constant()) return at->second = alone.graph.add_constant(value.name, value.constant);
    alone.inputs.push_back(datum);
    return at->second = alone.graph.add_input(value.name, Type::of(datum));
  };
  Node node = test.graph.nodes[index];
  for (ValueId& id : node.inputs) id = take(id);
  for (ValueId& id : node.captures) id = take(id);
  for (ValueId& id : node.outputs) {
    if (id == kNoValue) continue;
    id = alone.graph.add_value(test.graph.value(id).name);
    alone.graph.outputs.push_back(id);
  }
  alone.graph.nodes.push_back(std::move(node));
  infer_types(alone.graph);
  return alone;
}

bool write_peer_case(const RandomCase& test, std::span<const Expected> expected, const std::filesystem::path& folder) {
  const auto plain = [](const Expected& output) { return output.fixed_shape && output.value.is_tensor(); };
  if (!std::all_of(expected.begin(), expected.end(), plain)) return false;
  Graph data;
  for (std::size_t i = 0; i < test.inputs.size(); ++i) data.add_constant(fmt::format("input_{}", i), test.inputs[i].tensor);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const Shape count{static_cast<std::int64_t>(expected[i].tolerance.size())};
    data.add_constant(fmt::format("output_{}", i), expected[i].value.tensor);
    data.add_constant(fmt::format("tolerance_{}", i), Tensor::from<double>(count, expected[i].tolerance));
  }
  std::filesystem::create_directories(folder);
  write_file(folder / "model.onnx", onnx_bytes(test.graph));
  write_file(folder / "data.onnx", onnx_bytes(data));
  return true;
}

}  // namespace naru::fuzz
