// fuzz_seeds <folder> <text files>...: writes seeds to start the fuzzers from: one small graph per
// operator, as text and container, the given texts as containers, and a dictionary of words.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include "graph/op_def.h"
#include "graph/serialize.h"
#include "graph/text.h"

namespace naru {
namespace {

namespace fs = std::filesystem;

void write_file(const fs::path& path, std::string_view content) {
  std::ofstream(path, std::ios::binary) << content;
}

/// An attribute value of the right kind, or the operator's own default.
Attribute plain_value(const AttrSpec& spec) {
  if (spec.default_value) return *spec.default_value;
  Graph body;
  body.name = "body";
  body.outputs = {body.add_constant("c", Tensor::scalar(1.0f))};
  switch (spec.kind) {
    case AttrKind::Int: return std::int64_t{1};
    case AttrKind::Float: return 1.0f;
    case AttrKind::String: return std::string();
    case AttrKind::Tensor: return Tensor::from<float>({1}, {1.0f});
    case AttrKind::Graph: return std::make_shared<const Graph>(body);
    case AttrKind::Type: return Type::tensor(DType::F32, SymShape{Dim::symbol("n")});
    case AttrKind::Ints: return std::vector<std::int64_t>{1, 1};
    case AttrKind::Floats: return std::vector<float>{1.0f};
    case AttrKind::Strings: return std::vector<std::string>{"a"};
    case AttrKind::Tensors: return std::vector<Tensor>{Tensor::scalar(1.0f)};
    case AttrKind::Graphs: break;
  }
  return std::vector<GraphPtr>{std::make_shared<const Graph>(body)};
}

/// One node with all inputs and attributes. It need not make sense: mutation will see to that.
Graph one_node(const OpDef& op) {
  Graph graph;
  graph.name = "g";
  std::vector<ValueId> inputs;
  for (const FormalParam& input : op.inputs) {
    inputs.push_back(
        input.value_needed
            ? graph.add_constant(input.name, Tensor::from<std::int64_t>({2}, {0, 1}))
            : graph.add_input(input.name,
                              Type::tensor(DType::F32, SymShape{Dim::symbol("n"), 3, 4, 4})));
  }
  Attributes attributes;
  for (const AttrSpec& spec : op.attributes) attributes.emplace(spec.name, plain_value(spec));
  const Node& node =
      graph.add_node(op.full_name(), inputs, op.outputs.size(), std::move(attributes));
  graph.outputs = node.outputs;
  return graph;
}

void write_container(const fs::path& path, const Graph& graph) {
  const std::vector<std::byte> bytes = naru_bytes(graph, {.verify = false});
  write_file(path, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

void write_operators(const fs::path& folder) {
  std::set<std::string> words;
  for (const OpDef* op : all_ops()) {
    words.insert(op->full_name());
    for (const AttrSpec& spec : op->attributes) words.insert(spec.name);
    const Graph graph = one_node(*op);
    write_file(folder / "text" / op->full_name(), print(graph, {.full_data = true}));
    write_container(folder / "naru" / op->full_name(), graph);
  }
  for (const DTypeInfo& info : all_dtypes()) words.insert(std::string(info.name));
  for (const char* word : {"graph",
                           "input",
                           "state",
                           "const",
                           "output",
                           "metadata",
                           "doc",
                           "captures",
                           "hex",
                           "base64",
                           "hash",
                           "type",
                           "tensor",
                           "kv_pages",
                           "unknown",
                           "undefined",
                           "floordiv",
                           "seq(",
                           "optional(",
                           "nan(0x7fc00001)",
                           "inf",
                           "-9223372036854775808",
                           "9223372036854775807",
                           "naru text 1"}) {
    words.insert(word);
  }
  std::string dictionary;
  for (const std::string& word : words) dictionary += '"' + word + "\"\n";
  write_file(folder / "text.dict", dictionary);
}

}  // namespace
}  // namespace naru

int main(int argc, char** argv) {
  using namespace naru;
  if (argc < 2) return 2;
  const fs::path folder = argv[1];
  fs::create_directories(folder / "text");
  fs::create_directories(folder / "naru");
  try {
    write_operators(folder);
    for (int i = 2; i < argc; ++i) {
      std::ifstream file(argv[i], std::ios::binary);
      const std::string text{std::istreambuf_iterator<char>(file),
                             std::istreambuf_iterator<char>()};
      try {
        write_container(folder / "naru" / fs::path(argv[i]).stem(),
                        parse_text(text, {.verify = false}));
      } catch (const Error& error) {
        std::printf("%s: %s\n", argv[i], error.what());  // a seed of broken text
      }
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
