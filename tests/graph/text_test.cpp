// The text form: exact round trips, readable forms, errors with line and column.
#include "graph/text.h"

#include <map>

#include <gtest/gtest.h>

#include "naru/error.h"

#include "graph/type_text.h"
#include "graph/verify.h"
#include "tests/graph/sample_graphs.h"

namespace naru {
namespace {

using testing::attribute_graph;
using testing::sample_graph;

constexpr PrintOptions kFull{.full_data = true};

std::string error_of(std::string_view text, ErrorCode code = ErrorCode::InvalidModel) {
  try {
    parse_text(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  return "no error";
}

TEST(Text, FullTextRoundTrips) {
  const Graph graph = sample_graph();
  const std::string text = print(graph, kFull);
  const Graph parsed = parse_text(text);
  EXPECT_EQ(print(parsed, kFull), text);
  EXPECT_EQ(graph_hash(parsed), graph_hash(graph));
  for (const Value& value : graph.values) {
    const ValueId id = parsed.find_value(value.name);
    ASSERT_NE(id, kNoValue) << value.name;
    EXPECT_EQ(parsed.value(id).type, value.type) << value.name;
    EXPECT_EQ(content_hash(parsed.value(id).constant), content_hash(value.constant)) << value.name;
  }
  EXPECT_EQ(parsed.doc, graph.doc);
  EXPECT_EQ(parsed.metadata, graph.metadata);
  ASSERT_EQ(parsed.states.size(), 2u);
  EXPECT_EQ(parsed.states[1].name, "cache 0");
  EXPECT_EQ(parsed.states[1].kind, StateKind::KvPages);
  EXPECT_EQ(parsed.value(parsed.states[1].input).name, "kv");
}

TEST(Text, EveryKindOfAttributeRoundTrips) {
  const Graph graph = attribute_graph();
  const std::string text = print(graph, kFull);
  const Graph parsed = parse_text(text, {.verify = false});
  EXPECT_EQ(print(parsed, kFull), text);
  EXPECT_EQ(graph_hash(parsed), graph_hash(graph));
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    for (const auto& [name, attribute] : graph.nodes[n].attributes) {
      const Attribute* other = parsed.nodes[n].find(name);
      ASSERT_NE(other, nullptr) << name;
      EXPECT_EQ(kind_of(*other), kind_of(attribute)) << name;
    }
    EXPECT_EQ(parsed.nodes[n].captures.size(), graph.nodes[n].captures.size());
  }
}

TEST(Text, LargeTensorsAreHashesThatASourceResolves) {
  const Graph graph = sample_graph();
  const std::string text = print(graph);
  EXPECT_NE(text.find("hash\""), std::string::npos);
  EXPECT_NE(error_of(text).find("left out of this text"), std::string::npos);
  std::map<Hash128, Tensor> tensors;
  for (const Value& value : graph.values) tensors[content_hash(value.constant)] = value.constant;
  ParseOptions options;
  options.find_tensor = [&](const Type&, const Hash128& hash) { return tensors[hash]; };
  const Graph parsed = parse_text(text, options);
  EXPECT_EQ(print(parsed), text);
  EXPECT_EQ(graph_hash(parsed), graph_hash(graph));
}

TEST(Text, IsReadable) {
  Graph graph;
  graph.name = "small";
  const ValueId x = graph.add_input("x", Type::tensor(DType::F32, SymShape{Dim::symbol("n"), 2}));
  graph.add_constant("w", Tensor::from<float>({2}, {1.0f, 0.1f}));
  const ValueId y = graph.add_node("Identity", {x}, 1, {}, "copy").outputs[0];
  graph.value(y).type = graph.value(x).type;
  graph.outputs = {y};
  EXPECT_EQ(print(graph),
            "naru text 1\n"
            "graph \"small\" {\n"
            "  input %x: f32[n,2]\n"
            "  const %w: f32[2] = {1.0, 0.1}\n"
            "  %copy:0: f32[n,2] = Identity(%x) \"copy\"\n"
            "  output %copy:0\n"
            "}\n");
  EXPECT_EQ(print(graph, graph.nodes[0], {.types = false}), "%copy:0 = Identity(%x) \"copy\"");
}

TEST(Text, ShowsBrokenGraphs) {
  Graph graph;
  graph.outputs = {7};
  Node node;
  node.inputs = {-5};
  node.outputs = {9};
  node.attributes["body"] = GraphPtr();
  node.attributes["value"] = Tensor();
  graph.nodes.push_back(node);
  const std::string text = print(graph);
  EXPECT_NE(text.find("<no value 9> = <no operator>(<no value -5>)"), std::string::npos) << text;
  EXPECT_NE(text.find("<no graph>"), std::string::npos) << text;
}

TEST(Text, ReadsWhatPeopleWrite) {
  const Graph graph = parse_text(R"(
    # a comment
    graph "hand made" { input %x: f32[ n , floordiv(n, 2) ] # another
      const %w: i8[2] = { 1 , -2 }
      const %b: bool[2] = {true, false}  const %e: u8[0] = {}
      %y = Identity(%x)
      output %y output %w })",
                                 {.infer = true});
  EXPECT_EQ(graph.values.size(), 5u);
  EXPECT_EQ(to_string(graph.value(graph.outputs[0]).type), "f32[n,floordiv(n,2)]");
  EXPECT_TRUE(looks_like_text("  # hello\n naru text 1"));
  EXPECT_TRUE(looks_like_text("graph \"x\" {"));
  EXPECT_FALSE(looks_like_text("graphite"));
}

TEST(Text, ErrorsNameLineAndColumn) {
  EXPECT_NE(error_of("naru text 1\ngraph \"g\" {\n  outptu %x\n}")
                .find("text line 3, column 3: got \"outptu\", expected a node"),
            std::string::npos);
  EXPECT_NE(error_of("graph \"g\" {\n %y = Identity(%x)\n}")
                .find("line 2, column 16: value %x is not defined"),
            std::string::npos);
  EXPECT_NE(error_of("graph \"g\" { input %x: f33[2] }")
                .find("while reading the text at line 1, column 23"),
            std::string::npos);
  EXPECT_NE(error_of("graph \"g\" { input %x: f32[1] %y = Nope(%x) }", ErrorCode::Unsupported)
                .find("operator 'Nope' is not known"),
            std::string::npos);
  EXPECT_NE(
      error_of("naru text 2 graph \"g\" {}", ErrorCode::Unsupported).find("got 2, expected 1"),
      std::string::npos);
}

TEST(Text, RejectsWhatIsWrong) {
  const std::string start = "graph \"g\" {\n input %x: f32[2]\n ";
  const char* const bodies[] = {
      "input %x: f32[2]",                    // defined twice
      "input %y",                            // no type
      "input %\"\": f32[2]",                 // empty name
      "const %w: f32[2] = {1.0}",            // too few elements
      "const %w: f32[2] = {1.0, 2.0, 3.0}",  // too many
      "const %w: f32[n] = {1.0}",            // open type
      "const %w: f32[-1] = {1.0}",
      "const %w: f32[1000000000000] = {1.0}",  // must not allocate
      "const %w: f32[1000000000000] = hex\"00\"",
      "const %w: f32[9000000000000000000,9] = hex\"00\"",
      "const %w: i8[1] = {128}",
      "const %w: u8[1] = {-1}",
      "const %w: bool[1] = {1}",
      "const %w: f16[1] = {1.0}",  // raw only
      "const %w: f16[1] = hex\"0\"",
      "const %w: f16[1] = hex\"00zz\"",
      "const %w: f16[1] = base64\"AAA\"",
      "const %w: f16[1] = base64\"AA=A\"",
      "const %w: f16[1] = hash\"12\"",
      "const %w: f32[1] = {nan(0x1)}",  // bits of a number
      "const %w: f32[1] = {1e999}",
      "const %w: string[1] = hex\"00\"",
      "%y = Identity(%x) {a=[1, 2.0]}",  // mixed list
      "%y = Identity(%x) {a=[[1]]}",
      "%y = Identity(%x) {a=[]}",
      "%y = Identity(%x) {a=1, a=2}",
      "%y = Identity(%x) {a=1}",  // not an attribute of Identity
      "%y = Identity(%x) {a=99999999999999999999999999999999999999999}",
      "%y = Identity()",
      "%y = Identity(%y)",  // a cycle
      "%x = Identity(%x)",
      "%y, %y = Identity(%x)",
      "state \"s\" tensor %h: f32[1] -> %nowhere",
      "state \"s\" other %h: f32[1] -> %x",
      "output _",
      "metadata \"a\" = \"1\" metadata \"a\" = \"2\"",
      "doc \"a\\q\"",
      "doc \"a",
      "output %x } trailing",
  };
  for (const char* body : bodies) {
    SCOPED_TRACE(body);
    EXPECT_NE(error_of(start + body + "\n}\n"), "no error");
  }
  EXPECT_EQ(error_of(start + "output %x\n}\n"), "no error");
}

TEST(Text, NestingIsBounded) {
  std::string graphs, types = "graph \"g\" { input %x: ";
  for (int i = 0; i < 10000; ++i) {
    graphs += "graph \"g\" { input %x: f32[1] %y = Identity(%x) { body = ";
    types += "seq(";
  }
  EXPECT_NE(error_of(graphs).find("nested over"), std::string::npos);
  EXPECT_NE(error_of(types), "no error");
  EXPECT_NE(error_of(types + "f32[1]" + std::string(10000, ')')).find("nested over"),
            std::string::npos);
  EXPECT_NE(error_of("graph \"g\" { input %x: f32[" + std::string(10000, '(') + "] }")
                .find("less nesting"),
            std::string::npos);
}

TEST(Text, GrowingDimensionsAreBounded) {
  std::string dim = "a";
  for (int i = 0; i < 40; ++i) dim = "(floordiv(" + dim + ",7)+b+c+d)*(" + std::string("a+b+c+d)");
  EXPECT_NE(error_of("graph \"g\" { input %x: f32[" + dim + "] }"), "no error");
}

TEST(Text, EveryTruncationIsAnError) {
  const std::string text = print(sample_graph(), kFull);
  for (std::size_t size = 0; size + 2 < text.size(); size += 7) {
    EXPECT_THROW(parse_text(std::string_view(text).substr(0, size)), Error) << size;
  }
}

TEST(TypeText, SmallestIntegerRoundTrips) {
  for (const char* text :
       {"-9223372036854775808", "n-9223372036854775808", "-9223372036854775808*n"}) {
    EXPECT_EQ(dim_to_text(dim_from_text(text)), text);
  }
}

TEST(Hash, IgnoresNamesAndNumbering) {
  const auto build = [](bool reversed, const char* name, float value) {
    Graph graph;
    graph.name = name;
    const ValueId early = reversed ? graph.add_constant("early", Tensor::scalar(value)) : kNoValue;
    const ValueId x = graph.add_input(name, Type::tensor(DType::F32));
    const ValueId w = reversed ? early : graph.add_constant("w", Tensor::scalar(value));
    graph.add_node("Identity", {x});
    graph.outputs = {graph.add_node("Identity", {w}).outputs[0]};
    return graph_hash(graph);
  };
  EXPECT_EQ(build(false, "a", 1.0f), build(true, "b", 1.0f));
  EXPECT_NE(build(false, "a", 1.0f), build(false, "a", 2.0f));
  const Hash128 hash = build(false, "a", 1.0f);
  EXPECT_EQ(hash_from_string(to_string(hash)), hash);
  EXPECT_FALSE(hash_from_string("12"));
}

}  // namespace
}  // namespace naru
