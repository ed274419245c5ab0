// ONNX import: graphs, functions and constants as meant, and what hostile files must end in.
#include <filesystem>
#include <fstream>
#include <functional>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "naru/error.h"

#include "graph/evaluate.h"
#include "graph/import/onnx.h"
#include "graph/limits.h"
#include "graph/op_def.h"
#include "tests/graph/onnx_wire.h"

namespace naru {
namespace {

namespace fs = std::filesystem;
using namespace onnx_wire;  // NOLINT: the vocabulary of this file

Graph load(const Message& proto) { return load_onnx(proto.span()); }

/// The code that loading ends in; Internal when it succeeds, which no test expects.
ErrorCode code_of(const std::function<void()>& body, std::string* message = nullptr) {
  try {
    body();
  } catch (const Error& error) {
    if (message != nullptr) *message = error.what();
    return error.code();
  }
  return ErrorCode::Internal;
}
ErrorCode code_of(const Message& proto, std::string* message = nullptr) {
  return code_of([&] { load(proto); }, message);
}

std::vector<float> floats(const Datum& value) {
  const auto span = value.tensor.as<float>();
  return {span.begin(), span.end()};
}

const Message kX = value_info("x", kFloat, {2});
const Message kY = value_info("y", kFloat, {2});

/// y = x + w, with w from `initializer`.
Message add_model(const Message& initializer) {
  return model(graph({.nodes = {node("Add", {"x", "w"}, {"y"})},
                      .inputs = {kX},
                      .outputs = {kY},
                      .initializers = {initializer}}));
}

/// A folder that is removed with all it holds.
class Folder {
 public:
  Folder() {
    std::string pattern = (fs::temp_directory_path() / "naru_onnx_XXXXXX").native();
    path_ = ::mkdtemp(pattern.data());
  }
  ~Folder() { fs::remove_all(path_); }
  fs::path operator/(const std::string& name) const { return path_ / name; }
  const fs::path& path() const { return path_; }
  void write(const std::string& name, std::string_view bytes) const {
    fs::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name, std::ios::binary) << bytes;
  }

 private:
  fs::path path_;
};

// What good models become.

TEST(OnnxImport, RunsAPlainModel) {
  const Graph result = load(add_model(raw_tensor<float>("w", kFloat, {2}, {10, 20})));
  ASSERT_EQ(result.inputs.size(), 1U);
  EXPECT_EQ(result.value(result.inputs[0]).name, "x");
  EXPECT_EQ(result.value(result.outputs[0]).name, "y");
  const Datum x = Tensor::from<float>(Shape{2}, {1, 2});
  EXPECT_EQ(floats(evaluate(result, std::vector{x})[0]), (std::vector<float>{11, 22}));
}

TEST(OnnxImport, SortsNodesAndKeepsInitializersThatAreInputs) {
  const Graph result = load(model(graph({
      .nodes = {node("Add", {"h", "w"}, {"y"}), node("Identity", {"x"}, {"h"})},
      .inputs = {kX, value_info("w", kFloat, {2})},
      .outputs = {kY},
      .initializers = {raw_tensor<float>("w", kFloat, {2}, {1, 1})},
  })));
  EXPECT_EQ(result.inputs.size(), 1U);
  EXPECT_EQ(result.nodes[0].op->name, "Identity");
}

TEST(OnnxImport, NamesUnknownDimensions) {
  const Message type =
      Message().number(1, kFloat).message(2, Message()
                                                 .message(1, Message().text(2, "batch size"))
                                                 .message(1, Message())
                                                 .message(1, Message().text(2, "max"))
                                                 .message(1, Message().text(2, "batch size"))
                                                 .message(1, Message().text(2, "batch_size")));
  const Message input = Message().text(1, "x").message(2, Message().message(1, type));
  const Graph result = load(model(
      graph({.nodes = {node("Identity", {"x"}, {"y"})}, .inputs = {input}, .outputs = {kY}})));
  const Type& found = result.value(result.outputs[0]).type;
  EXPECT_EQ(to_string(found), "f32[batch_size,x.1,_max,batch_size,batch_size_2]");
  for (const Dim& dim : *found.shape) EXPECT_EQ(Dim::parse(dim.to_string()), dim);
}

TEST(OnnxImport, PrefersInferredToDeclaredOutputShapes) {
  const Graph result = load(model(graph({.nodes = {node("Identity", {"x"}, {"y"})},
                                         .inputs = {value_info("x", kFloat, {2, 3})},
                                         .outputs = {value_info("y", kFloat, {7})}})));
  EXPECT_EQ(to_string(result.value(result.outputs[0]).type), "f32[2,3]");
}

TEST(OnnxImport, InlinesNestedFunctionsWithAttributes) {
  // outer(a) = inner(inner(a)); inner(a) = a + value, value = the parameter of the call.
  const Message constant = node("Constant", {}, {"c"}, {reference("value_int", "amount", 2)});
  const Message inner = function(
      "local", "inner", {"a"}, {"b"},
      {constant, node("CastLike", {"c", "a"}, {"f"}), node("Add", {"a", "f"}, {"b"})}, {"amount"});
  const Message outer =
      function("local", "outer", {"a"}, {"b"},
               {node("inner", {"a"}, {"t"}, {int_attribute("amount", 3)}, "local"),
                node("inner", {"t"}, {"b"}, {reference("amount", "step", 2)}, "local")},
               {"step"});
  const Graph result = load(
      model(graph({.nodes = {node("outer", {"x"}, {"y"}, {int_attribute("step", 40)}, "local")},
                   .inputs = {kX},
                   .outputs = {kY}}),
            21, {outer, inner}));
  const Datum x = Tensor::from<float>(Shape{2}, {1, 2});
  EXPECT_EQ(floats(evaluate(result, std::vector{x})[0]), (std::vector<float>{44, 45}));
  EXPECT_EQ(result.value(result.outputs[0]).name, "y");
}

TEST(OnnxImport, GivesAnOutputThatAFunctionPassesThroughItsOwnName) {
  const Message pass = function("local", "pass", {"a"}, {"a"}, {});
  const Graph result = load(model(
      graph({.nodes = {node("pass", {"x"}, {"y"}, {}, "local")}, .inputs = {kX}, .outputs = {kY}}),
      21, {pass}));
  EXPECT_EQ(result.value(result.outputs[0]).name, "y");
  EXPECT_NE(result.outputs[0], result.inputs[0]);
}

TEST(OnnxImport, ReadsEveryStorageOfATensor) {
  const Message typed = tensor("w", kFloat, {2}).real(4, 10).real(4, 20);
  const Message sparse = Message()
                             .message(1, raw_tensor<float>("w", kFloat, {1}, {20}))
                             .message(2, raw_tensor<std::int64_t>("", kInt64, {1}, {1}))
                             .number(3, 2);
  const Message sparse_model = model(graph({.nodes = {node("Add", {"x", "w"}, {"y"})},
                                            .inputs = {kX},
                                            .outputs = {kY},
                                            .sparse_initializers = {sparse}}));
  const Datum x = Tensor::from<float>(Shape{2}, {1, 2});
  EXPECT_EQ(floats(evaluate(load(add_model(typed)), std::vector{x})[0]),
            (std::vector<float>{11, 22}));
  EXPECT_EQ(floats(evaluate(load(sparse_model), std::vector{x})[0]), (std::vector<float>{1, 22}));
}

TEST(OnnxImport, MapsExternalData) {
  const Folder folder;
  std::string data(8192, '\0');
  const float values[] = {10, 20};
  std::memcpy(data.data() + 4096, values, sizeof values);
  folder.write("sub/weights.bin", data);
  folder.write(
      "model.onnx",
      add_model(
          external_tensor("w", kFloat, {2},
                          {{"location", "sub/weights.bin"}, {"offset", "4096"}, {"length", "8"}}))
          .bytes);
  fs::create_directory(folder / "links");
  fs::create_symlink("../model.onnx", folder / "links/model.onnx");
  const Datum x = Tensor::from<float>(Shape{2}, {1, 2});
  // A symbolic link to the model is followed: the folder is that of the real file.
  for (const char* name : {"model.onnx", "links/model.onnx"}) {
    EXPECT_EQ(floats(evaluate(load_onnx(folder / name), std::vector{x})[0]),
              (std::vector<float>{11, 22}));
  }
}

// Hostile files: the parser and the structure.

TEST(OnnxImport, RejectsEveryTruncation) {
  const Message proto = add_model(raw_tensor<float>("w", kFloat, {2}, {10, 20}));
  for (std::size_t length = 0; length < proto.bytes.size(); ++length) {
    const ErrorCode code = code_of([&] { load_onnx(proto.span().first(length)); });
    EXPECT_EQ(code, ErrorCode::InvalidModel) << "at " << length << " bytes";
  }
}

TEST(OnnxImport, RejectsBytesThatAreNoModel) {
  for (const char* text : {"", "\x0a\xff\xff\xff\xff\x7f", "GGUF\x03", "{\"model\": 1}",
                           "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"}) {
    EXPECT_EQ(code_of(Message{text}), ErrorCode::InvalidModel) << text;
  }
}

TEST(OnnxImport, RejectsDeepNesting) {
  Message type = Message().message(1, Message().number(1, kFloat));
  for (int i = 0; i < 10'000; ++i) type = Message().message(4, Message().message(1, type));
  const Message input = Message().text(1, "x").message(2, type);
  EXPECT_EQ(code_of(model(graph({.inputs = {input}}))), ErrorCode::InvalidModel);
  Message inner = graph({.outputs = {kX}});
  for (int i = 0; i < 300; ++i)
    inner = graph({.nodes = {node("If", {"c"}, {"y"}, {graph_attribute("then_branch", inner)})}});
  EXPECT_EQ(code_of(model(inner)), ErrorCode::InvalidModel);
}

TEST(OnnxImport, RejectsBrokenStructure) {
  const auto with_nodes = [](std::vector<Message> nodes) {
    return model(graph({.nodes = std::move(nodes), .inputs = {kX}, .outputs = {kY}}));
  };
  const Message ok = node("Identity", {"x"}, {"y"});
  const std::pair<const char*, Message> cases[] = {
      {"a cycle", with_nodes({node("Add", {"x", "b"}, {"a"}), node("Identity", {"a"}, {"b"}), ok})},
      {"a node that feeds itself", with_nodes({node("Add", {"x", "y"}, {"y"})})},
      {"an undefined input", with_nodes({node("Identity", {"z"}, {"y"})})},
      {"an undefined output", with_nodes({node("Identity", {"x"}, {"z"})})},
      {"two definitions", with_nodes({ok, ok})},
      {"an input defined again", with_nodes({node("Identity", {"x"}, {"x"}), ok})},
      {"too few inputs", with_nodes({node("Add", {"x"}, {"y"})})},
      {"too many inputs", with_nodes({node("Identity", {"x", "x"}, {"y"})})},
      {"an absent required input", with_nodes({node("Add", {"x", ""}, {"y"})})},
      {"an unknown attribute",
       with_nodes({node("Identity", {"x"}, {"y"}, {int_attribute("deep", 1)})})},
      {"an attribute twice",
       with_nodes(
           {node("Concat", {"x"}, {"y"}, {int_attribute("axis", 0), int_attribute("axis", 0)})})},
      {"an attribute of another kind",
       with_nodes({node("Concat", {"x"}, {"y"},
                        {tensor_attribute("axis", raw_tensor<float>("", kFloat, {1}, {0}))})})},
      {"a reference outside a function",
       with_nodes({node("Concat", {"x"}, {"y"}, {reference("axis", "p", 2)})})},
      {"an attribute out of range",
       with_nodes({node("Concat", {"x"}, {"y"}, {int_attribute("axis", 9)})})},
      {"a constant without value", with_nodes({node("Constant", {}, {"c"}), ok})},
      {"no graph", Message().number(1, 10).message(8, opset("", 21))},
      {"no opset",
       Message().number(1, 10).message(7, graph({.nodes = {ok}, .inputs = {kX}, .outputs = {kY}}))},
      {"an input without type",
       model(graph({.nodes = {ok}, .inputs = {Message().text(1, "x")}, .outputs = {kY}}))},
      {"an input without name",
       model(graph({.nodes = {ok}, .inputs = {kX, value_info("", kFloat, {1})}, .outputs = {kY}}))},
      {"an input twice", model(graph({.nodes = {ok}, .inputs = {kX, kX}, .outputs = {kY}}))},
      {"a negative dim",
       model(graph(
           {.nodes = {ok},
            .inputs = {value_info("x", kFloat, {2})
                           .text(1, "x")
                           .message(
                               2, Message().message(
                                      1, Message().number(1, kFloat).message(
                                             2, Message().message(
                                                    1, Message().number(
                                                           1, static_cast<std::uint64_t>(-7))))))},
            .outputs = {kY}}))},
      {"types that do not fit", model(graph({.nodes = {node("Add", {"x", "w"}, {"y"})},
                                             .inputs = {kX, value_info("w", kInt64, {2})},
                                             .outputs = {kY}}))},
      {"shapes that do not fit", model(graph({.nodes = {node("Add", {"x", "w"}, {"y"})},
                                              .inputs = {kX, value_info("w", kFloat, {3})},
                                              .outputs = {kY}}))},
  };
  for (const auto& [what, proto] : cases) {
    std::string message;
    EXPECT_EQ(code_of(proto, &message), ErrorCode::InvalidModel) << what << ": " << message;
  }
}

TEST(OnnxImport, SaysWhichOperatorIsMissing) {
  std::string message;
  const Message proto = model(graph({.nodes = {node("Sparkle", {"x"}, {"y"}, {}, "com.example")},
                                     .inputs = {kX},
                                     .outputs = {kY}}));
  EXPECT_EQ(code_of(proto, &message), ErrorCode::Unsupported);
  for (const char* part : {"'Sparkle'", "'com.example'", "'Sparkle_node'"}) {
    EXPECT_NE(message.find(part), std::string::npos) << message;
  }
}

TEST(OnnxImport, RejectsOpsetsOutOfRange) {
  for (const std::int64_t version :
       {std::int64_t{0}, std::int64_t{-1}, kNewestOpset + 1, std::int64_t{1} << 62}) {
    const Message proto =
        model(graph({.nodes = {node("Identity", {"x"}, {"y"})}, .inputs = {kX}, .outputs = {kY}}),
              version);
    EXPECT_EQ(code_of(proto), ErrorCode::Unsupported) << version;
  }
}

TEST(OnnxImport, EscapesNamesInMessages) {
  std::string message;
  EXPECT_EQ(code_of(model(graph({.nodes = {node("Identity", {"\x1b[31m\n"}, {"y"})},
                                 .inputs = {kX},
                                 .outputs = {kY}})),
                    &message),
            ErrorCode::InvalidModel);
  EXPECT_NE(message.find("\\x1b[31m\\x0a"), std::string::npos) << message;
}

// Hostile files: functions.

TEST(OnnxImport, RejectsFunctionsThatCallThemselves) {
  const Message direct =
      function("local", "f", {"a"}, {"b"}, {node("f", {"a"}, {"b"}, {}, "local")});
  const Message f = function("local", "f", {"a"}, {"b"}, {node("g", {"a"}, {"b"}, {}, "local")});
  const Message g = function("local", "g", {"a"}, {"b"}, {node("f", {"a"}, {"b"}, {}, "local")});
  const Message main =
      graph({.nodes = {node("f", {"x"}, {"y"}, {}, "local")}, .inputs = {kX}, .outputs = {kY}});
  EXPECT_EQ(code_of(model(main, 21, {direct})), ErrorCode::InvalidModel);
  EXPECT_EQ(code_of(model(main, 21, {f, g})), ErrorCode::InvalidModel);
}

TEST(OnnxImport, RejectsFunctionsThatMultiply) {
  // Each of 40 functions calls the one before twice: 2^40 nodes.
  std::vector<Message> functions = {
      function("local", "f0", {"a"}, {"b"}, {node("Identity", {"a"}, {"b"})})};
  for (int i = 1; i <= 40; ++i) {
    const std::string callee = "f" + std::to_string(i - 1);
    functions.push_back(function(
        "local", "f" + std::to_string(i), {"a"}, {"b"},
        {node(callee, {"a"}, {"t"}, {}, "local"), node(callee, {"t"}, {"b"}, {}, "local")}));
  }
  const Message main =
      graph({.nodes = {node("f40", {"x"}, {"y"}, {}, "local")}, .inputs = {kX}, .outputs = {kY}});
  // The limit ends it, not the size of memory: the message names it.
  std::string message;
  EXPECT_EQ(code_of(model(main, 21, functions), &message), ErrorCode::InvalidModel);
  EXPECT_NE(message.find(std::to_string(kLimits.max_inlined_nodes)), std::string::npos) << message;
}

TEST(OnnxImport, RejectsBrokenFunctions) {
  const Message identity = node("Identity", {"a"}, {"b"});
  const Message main =
      graph({.nodes = {node("f", {"x"}, {"y"}, {}, "local")}, .inputs = {kX}, .outputs = {kY}});
  const std::pair<const char*, std::vector<Message>> cases[] = {
      {"defined twice",
       {function("local", "f", {"a"}, {"b"}, {identity}),
        function("local", "f", {"a"}, {"b"}, {identity})}},
      {"no parameters for an input",
       {function("local", "f", {}, {"b"},
                 {node("Constant", {}, {"b"}, {int_attribute("value_int", 1)})})}},
      {"an undefined output", {function("local", "f", {"a"}, {"c"}, {identity})}},
      {"sees no names of the caller",
       {function("local", "f", {"a"}, {"b"}, {node("Identity", {"x"}, {"b"})})}},
      {"a parameter twice", {function("local", "f", {"a", "a"}, {"b"}, {identity})}},
  };
  for (const auto& [what, functions] : cases) {
    EXPECT_EQ(code_of(model(main, 21, functions)), ErrorCode::InvalidModel) << what;
  }
}

// Hostile files: tensors.

TEST(OnnxImport, RejectsTensorsWhoseDataDoNotFit) {
  const auto raw = [](const Dims& dims, std::size_t bytes) {
    return tensor("w", kFloat, dims).text(9, std::string(bytes, '\0'));
  };
  constexpr std::int64_t kHuge = std::int64_t{1} << 40;
  const std::pair<const char*, Message> cases[] = {
      {"too few raw bytes", raw({2}, 7)},
      {"too many raw bytes", raw({2}, 9)},
      {"no data", tensor("w", kFloat, {2})},
      {"overflowing dims", raw({kHuge, kHuge, kHuge}, 8)},
      {"overflowing bytes", raw({std::int64_t{1} << 61}, 8)},
      {"a negative dim", raw({-2}, 8)},
      {"a rank over the limit", raw(Dims(65, 1), 4)},
      {"an undefined type", tensor("w", 0, {2}).text(9, std::string(8, '\0'))},
      {"an unknown type", tensor("w", 77, {2}).text(9, std::string(8, '\0'))},
      {"two data sources", raw({2}, 8).real(4, 1).real(4, 2)},
      {"data of another field", tensor("w", kFloat, {2}).number(7, 1).number(7, 2)},
      {"an int32 beyond f16", tensor("w", 10, {2}).number(5, 70000).number(5, 1)},
      {"an int32 beyond i8", tensor("w", 3, {2}).number(5, 200).number(5, 1)},
      {"a bool of 2", tensor("w", kBool, {2}).text(9, std::string("\1\2", 2))},
      {"strings in raw data", tensor("w", kString, {1}).text(9, "abc")},
      {"too few strings", tensor("w", kString, {2}).text(6, "abc")},
      {"a uint64 beyond u32", tensor("w", 12, {1}).number(11, std::uint64_t{1} << 32)},
      {"no name", raw_tensor<float>("", kFloat, {2}, {1, 2})},
      {"unknown element type", tensor("w", 99, {2}).text(9, std::string(2, '\0'))},
  };
  for (const auto& [what, initializer] : cases) {
    std::string message;
    EXPECT_EQ(code_of(add_model(initializer), &message), ErrorCode::InvalidModel)
        << what << ": " << message;
  }
}

TEST(OnnxImport, RejectsSparseTensorsThatGoAstray) {
  const auto sparse = [](std::vector<std::int64_t> indices, const Dims& index_dims,
                         const Dims& dims) {
    Message proto;
    proto.message(1, raw_tensor<float>("w", kFloat, {1}, {20}))
        .message(2, raw_tensor<std::int64_t>("", kInt64, index_dims, std::move(indices)));
    for (const std::int64_t dim : dims) proto.number(3, static_cast<std::uint64_t>(dim));
    return model(graph({.nodes = {node("Add", {"x", "w"}, {"y"})},
                        .inputs = {kX},
                        .outputs = {kY},
                        .sparse_initializers = {proto}}));
  };
  EXPECT_EQ(code_of(sparse({2}, {1}, {2})), ErrorCode::InvalidModel);
  EXPECT_EQ(code_of(sparse({-1}, {1}, {2})), ErrorCode::InvalidModel);
  EXPECT_EQ(code_of(sparse({0, 5}, {1, 2}, {1, 2})), ErrorCode::InvalidModel);
  EXPECT_EQ(code_of(sparse({0, 1}, {2}, {2})), ErrorCode::InvalidModel);
  EXPECT_EQ(code_of(sparse({0}, {1}, {1 << 30})), ErrorCode::InvalidModel);
}

TEST(OnnxImport, RejectsExternalDataThatLeaveTheFolder) {
  const Folder outside;
  const Folder folder;
  outside.write("secret.bin", "12345678");
  folder.write("weights.bin", "12345678");
  folder.write("sub/inner.bin", "12345678");
  fs::create_symlink(outside / "secret.bin", folder / "link.bin");
  fs::create_symlink("weights.bin", folder / "inner_link.bin");
  fs::create_symlink(outside.path(), folder / "linked_folder");
  ::mkfifo((folder / "fifo").c_str(), 0600);
  using Entries = std::vector<std::pair<std::string, std::string>>;
  const auto code = [&](const Entries& entries, std::string* message) {
    const Message proto = add_model(external_tensor("w", kFloat, {2}, entries));
    return code_of([&] { load_onnx(proto.span(), folder.path()); }, message);
  };
  const std::string up = outside.path().filename().native();
  const Entries invalid[] = {
      {{"location", "../" + up + "/secret.bin"}},
      {{"location", "sub/../../" + up + "/secret.bin"}},
      {{"location", "sub/../weights.bin"}},
      {{"location", (outside / "secret.bin").native()}},
      {{"location", "/etc/passwd"}},
      {{"location", "C:\\weights.bin"}},
      {{"location", std::string("weights.bin\0x", 13)}},
      {{"location", "link.bin"}},
      {{"location", "inner_link.bin"}},
      {{"location", "linked_folder/secret.bin"}},
      {{"location", "fifo"}},
      {{"location", "sub"}},
      {{"location", "."}},
      {{"location", ""}},
      {{"location", "weights.bin"}, {"location", "sub/inner.bin"}},
      {{"location", "weights.bin"}, {"offset", "4"}},
      {{"location", "weights.bin"}, {"offset", "-4"}},
      {{"location", "weights.bin"}, {"offset", "0x10"}},
      {{"location", "weights.bin"}, {"offset", "18446744073709551616"}},
      {{"location", "weights.bin"}, {"offset", "9223372036854775807"}},
      {{"location", "weights.bin"}, {"offset", ""}},
      {{"location", "weights.bin"}, {"length", "-1"}},
      {{"location", "weights.bin"}, {"length", "4"}},
      {{"location", "weights.bin"}, {"length", "1000000000000000"}},
      {{"location", "weights.bin"}, {"mode", "w"}},
      {{"offset", "0"}},
      {},
  };
  for (const Entries& entries : invalid) {
    std::string message;
    EXPECT_EQ(code(entries, &message), ErrorCode::InvalidModel)
        << (entries.empty() ? "no entries" : entries[0].second) << ": " << message;
    EXPECT_EQ(message.find("root:"), std::string::npos) << "the message quotes the file";
  }
  EXPECT_EQ(code({{"location", "missing.bin"}}, nullptr), ErrorCode::Io);
  const Message good =
      add_model(external_tensor("w", kFloat, {2}, {{"location", "./weights.bin"}}));
  EXPECT_NO_THROW(load_onnx(good.span(), folder.path()));
  EXPECT_EQ(code_of(good), ErrorCode::InvalidArgument);  // no folder was given
}

TEST(OnnxImport, RejectsFilesThatAreNoFiles) {
  const Folder folder;
  ::mkfifo((folder / "fifo").c_str(), 0600);
  folder.write("empty.onnx", "");
  const std::pair<fs::path, ErrorCode> cases[] = {
      {folder / "fifo", ErrorCode::Io},
      {folder.path(), ErrorCode::Io},
      {"/dev/zero", ErrorCode::Io},
      {folder / "missing.onnx", ErrorCode::Io},
      {folder / "empty.onnx", ErrorCode::InvalidModel},
      {"/proc/self/mem", ErrorCode::InvalidModel},
  };
  for (const auto& [path, expected] : cases) {
    EXPECT_EQ(code_of([&] { load_onnx(path); }), expected) << path;
  }
  std::ofstream(folder / "sparse.onnx") << "x";
  fs::resize_file(folder / "sparse.onnx", std::uintmax_t{1} << 40);
  EXPECT_EQ(code_of([&] { load_onnx(folder / "sparse.onnx"); }), ErrorCode::InvalidModel);
}

TEST(OnnxImport, BoundsTheNumberOfExternalFiles) {
  const Folder folder;
  GraphParts parts{.nodes = {node("Identity", {"x"}, {"y"})}, .inputs = {kX}, .outputs = {kY}};
  for (std::int64_t i = 0; i <= kLimits.max_external_files; ++i) {
    const std::string name = "w" + std::to_string(i);
    folder.write(name, "1234");
    parts.initializers.push_back(external_tensor(name, kFloat, {1}, {{"location", name}}));
  }
  const Message proto = model(graph(parts));
  EXPECT_EQ(code_of([&] { load_onnx(proto.span(), folder.path()); }), ErrorCode::InvalidModel);
}

// Values beside models.

TEST(OnnxImport, ReadsValuesOfEveryKind) {
  const Message one = raw_tensor<float>("", kFloat, {2}, {1, 2});
  EXPECT_EQ(floats(load_onnx_value(one.span(), Datum::Kind::Tensor)), (std::vector<float>{1, 2}));
  const Message list = Message().number(2, 1).message(3, one).message(3, one);
  EXPECT_EQ(load_onnx_value(list.span(), Datum::Kind::Sequence).elements.size(), 2U);
  EXPECT_EQ(load_onnx_value(Message().number(2, 1).message(3, one).span(), Datum::Kind::Optional)
                .elements.size(),
            1U);
  EXPECT_EQ(load_onnx_value(Message().number(2, 0).span(), Datum::Kind::Optional).elements.size(),
            0U);
  EXPECT_EQ(code_of([&] { load_onnx_value(one.span().first(3), Datum::Kind::Tensor); }),
            ErrorCode::InvalidModel);
}

}  // namespace
}  // namespace naru
