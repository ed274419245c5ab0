// Construction of the sample graphs.
#include "tests/graph/sample_graphs.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <string>

namespace naru::testing {

Tensor sample_tensor(DType dtype, Shape shape) {
  if (dtype == DType::String) {
    std::vector<std::string> values(static_cast<std::size_t>(shape.numel()), "plain");
    const std::string awkward[] = {"", "a \"quoted\"\\ line\n\tend", std::string("\0\x01\xff", 3),
                                   "한글 # no comment"};
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = awkward[i % 4];
    return Tensor::from_strings(std::move(shape), std::move(values));
  }
  Tensor tensor(dtype, std::move(shape));
  for (std::int64_t i = 0; i < tensor.size_bytes(); ++i) {
    const int byte =
        dtype == DType::Bool ? static_cast<int>(i % 2) : static_cast<int>(i * 37 % 256);
    tensor.mutable_data()[i] = static_cast<std::byte>(byte);
  }
  return tensor;
}

namespace {

Dim sym(const char* name) { return Dim::symbol(name); }

void add_inputs(Graph& g) {
  g.add_input("x", Type::tensor(DType::F32, {sym("batch"), 3, floor_div(sym("h") + 3, 4) * 2 - 1}));
  g.add_input("any rank", Type::tensor(DType::F16));
  g.add_input("no dtype", Type::tensor(DType::Undefined, SymShape{2}));
  g.add_input("unknown:", Type{});
  g.add_input("scalar", Type::tensor(DType::I64, SymShape{}));
  g.add_input("seq", Type::sequence(Type::tensor(DType::String, {sym("batch")})));
  g.add_input("opt", Type::optional(Type::sequence(Type::tensor(DType::BF16))));
  g.add_input("odd symbols",
              Type::tensor(DType::I32, {sym("batch size"), sym("max") * 2, sym("2d"), sym("a$b"),
                                        sym(""), max(sym("n"), sym("한"))}));
}

}  // namespace

Graph sample_graph() {
  Graph g;
  g.name = "sample \"graph\"";
  g.doc = "first line\nsecond line";
  g.metadata = {{"author", "누구"}, {"key = odd", ""}};
  add_inputs(g);
  const ValueId h = g.add_value("h", Type::tensor(DType::F32, SymShape{1, 2}));
  const ValueId kv = g.add_value("kv", Type::tensor(DType::F16, SymShape{sym("past"), 8}));
  for (const DTypeInfo& info : all_dtypes()) {
    const std::string name(info.name);
    if (info.kind == DTypeKind::Block) {
      g.add_constant("w/" + name, sample_tensor(info.dtype, {2, info.block_elements}));
      continue;
    }
    g.add_constant("w/" + name, sample_tensor(info.dtype, {5}));
    g.add_constant("large/" + name, sample_tensor(info.dtype, {3, 7}));
    g.add_constant("empty/" + name, sample_tensor(info.dtype, {0, 4}));
  }
  g.add_constant("twin", sample_tensor(DType::F32, {3, 7}));
  const float inf = std::numeric_limits<float>::infinity();
  float odd_nan = 0;
  const std::uint32_t bits = 0xffc00123;
  std::memcpy(&odd_nan, &bits, sizeof bits);
  const ValueId floats = g.add_constant(
      "floats", Tensor::from<float>({10}, {0.1f, -0.0f, 1.0f, 1e-45f, 3.4028235e38f, inf, -inf,
                                           std::nanf(""), odd_nan, 1e20f}));
  g.add_constant("doubles", Tensor::from<double>({3}, {0.1, std::nan(""), 5e-324}));
  g.add_constant("limits",
                 Tensor::from<std::int64_t>({2}, {std::numeric_limits<std::int64_t>::min(),
                                                  std::numeric_limits<std::int64_t>::max()}));
  const ValueId x = g.inputs[0];
  const ValueId y = g.add_node("Identity", {x}, 1, {}, "name of \"y\"").outputs[0];
  const ValueId h_next = g.add_node("Identity", {h}).outputs[0];
  const ValueId kv_next = g.add_node("Identity", {kv}).outputs[0];
  Node& unused = g.add_node("Identity", {floats}, 0);
  unused.outputs = {kNoValue};
  g.value(y).type = g.value(x).type;
  g.outputs = {y, floats, y, h_next};
  g.states.push_back({"hidden", StateKind::Tensor, h, h_next});
  g.states.push_back({"cache 0", StateKind::KvPages, kv, kv_next});
  return g;
}

Graph attribute_graph() {
  Graph inner;
  inner.name = "inner";
  const ValueId a = inner.add_input("a", Type::tensor(DType::F32));
  const ValueId captured = inner.add_input("x", {});
  inner.add_node("Identity", {a});
  inner.outputs = {inner.add_node("Identity", {captured}).outputs[0]};
  const auto inner_ptr = std::make_shared<const Graph>(std::move(inner));

  Graph middle;
  middle.name = "middle";
  const ValueId p = middle.add_input("p", Type::tensor(DType::F32));
  const ValueId w = middle.add_constant("w", sample_tensor(DType::F32, {2}));
  Node& nested = middle.add_node("Identity", {w}, 1, {{"body", inner_ptr}, {"k", std::int64_t{1}}});
  nested.captures = {p};
  middle.outputs = {nested.outputs[0]};
  const auto middle_ptr = std::make_shared<const Graph>(std::move(middle));

  Graph g;
  g.name = "attributes";
  const ValueId x = g.add_input("x", Type::tensor(DType::F32, SymShape{1}));
  Attributes plain = {
      {"int", std::int64_t{-7}},
      {"float", 1.0f},
      {"float_nan", std::nanf("")},
      {"string", std::string("a,b}\"\n")},
      {"tensor", sample_tensor(DType::BF16, {2, 2})},
      {"strings_tensor", sample_tensor(DType::String, {4})},
      {"type", Type::optional(Type::tensor(DType::F32, SymShape{Dim::symbol("n")}))},
      {"ints", std::vector<std::int64_t>{1, -2, 3}},
      {"floats", std::vector<float>{0.5f, -1.0f, std::numeric_limits<float>::infinity()}},
      {"strings", std::vector<std::string>{"", "two words"}},
      {"tensors",
       std::vector<Tensor>{sample_tensor(DType::F32, {}), sample_tensor(DType::Q4_0, {32})}},
      {"no_ints", std::vector<std::int64_t>{}},
      {"no_floats", std::vector<float>{}},
      {"no_strings", std::vector<std::string>{}},
      {"no_tensors", std::vector<Tensor>{}},
      {"no_graphs", std::vector<GraphPtr>{}},
      {"odd name", std::int64_t{0}},
  };
  const ValueId y = g.add_node("Identity", {x}, 1, std::move(plain)).outputs[0];
  Node& control = g.add_node(
      "Identity", {x, kNoValue, y}, 3,
      {{"branches", std::vector<GraphPtr>{middle_ptr, inner_ptr}}, {"then_branch", middle_ptr}});
  control.captures = {x, y};
  control.outputs[1] = kNoValue;
  g.outputs = {control.outputs[2]};
  return g;
}

}  // namespace naru::testing
