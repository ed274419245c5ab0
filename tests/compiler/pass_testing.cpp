// What the tests of passes share.
#include "tests/compiler/pass_testing.h"

#include <cmath>
#include <map>
#include <random>

#include <gtest/gtest.h>

#include "graph/evaluate.h"
#include "graph/op_def.h"
#include "graph/scalar.h"
#include "graph/text.h"

namespace naru::testing {
namespace {

/// Sizes of symbols for one comparison.
class Sizes {
 public:
  explicit Sizes(unsigned seed) : random_(seed) {}

  Dim operator()(const std::string& name) {
    const auto [entry, added] = sizes_.try_emplace(name, 0);
    if (added) entry->second = std::uniform_int_distribution<int>(0, 3)(random_) * 2 + 1;
    return entry->second;
  }

 private:
  std::mt19937 random_;
  std::map<std::string, std::int64_t> sizes_;
};

Shape bind(const Type& type, Sizes& sizes) {
  Shape shape;
  for (const Dim& dim : *type.shape) {
    shape.push_back(
        dim.substitute([&](const std::string& name) { return std::optional<Dim>(sizes(name)); })
            .value());
  }
  return shape;
}

Tensor random_tensor(DType dtype, Shape shape, std::mt19937& random) {
  Tensor tensor(dtype, std::move(shape));
  std::uniform_real_distribution<double> real(-3.0, 3.0);
  std::uniform_int_distribution<std::int64_t> integer(0, 5);
  for (std::int64_t i = 0; i < tensor.numel(); ++i) {
    if (is_float(dtype)) {
      store_f64(dtype, tensor.mutable_data(), i, real(random));
    } else {
      store_i64(dtype, tensor.mutable_data(), i,
                dtype == DType::Bool ? integer(random) % 2 : integer(random));
    }
  }
  return tensor;
}

void expect_close(const Tensor& expected, const Tensor& got, double tolerance,
                  const std::string& name) {
  ASSERT_EQ(expected.dtype(), got.dtype()) << name;
  ASSERT_EQ(expected.shape(), got.shape()) << name;
  const std::vector<double> a = to_wide<double>(expected), b = to_wide<double>(got);
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (std::isnan(a[i]) && std::isnan(b[i])) continue;
    if (a[i] == b[i]) continue;
    ASSERT_LE(std::abs(a[i] - b[i]), tolerance * std::max(1.0, std::abs(a[i])))
        << "output '" << name << "' element " << i << ": " << a[i] << " before, " << b[i]
        << " after";
  }
}

}  // namespace

Graph graph_of(std::string_view statements) {
  return parse_text("graph \"test\" {\n" + std::string(statements) + "\n}", {.infer = true});
}

std::string ops_of(const Graph& graph) {
  std::string text;
  for (const Node& node : graph.nodes) text += (text.empty() ? "" : " ") + node.op->full_name();
  return text;
}

void run(Graph& graph, const std::vector<Pass>& passes) {
  optimize(graph, passes, {.verify_each = true, .log = [](const std::string&) {}});
}
void run(Graph& graph, bool (*pass)(Graph&)) { run(graph, {{"pass", pass, 1}}); }

void expect_equal(const Graph& expected, const Graph& got, double tolerance) {
  ASSERT_EQ(expected.inputs.size(), got.inputs.size());
  ASSERT_EQ(expected.outputs.size(), got.outputs.size());
  for (std::size_t i = 0; i < expected.outputs.size(); ++i) {
    EXPECT_EQ(expected.value(expected.outputs[i]).name, got.value(got.outputs[i]).name);
    EXPECT_EQ(expected.value(expected.outputs[i]).type.dtype, got.value(got.outputs[i]).type.dtype);
  }
  for (unsigned seed = 1; seed <= 3; ++seed) {
    Sizes sizes(seed);
    std::mt19937 random(seed);
    std::vector<Datum> inputs;
    for (ValueId id : expected.inputs) {
      const Type& type = expected.value(id).type;
      inputs.emplace_back(random_tensor(type.dtype, bind(type, sizes), random));
    }
    const std::vector<Datum> before = evaluate(expected, inputs);
    const std::vector<Datum> after = evaluate(got, inputs);
    for (std::size_t i = 0; i < before.size(); ++i) {
      expect_close(before[i].tensor, after[i].tensor, tolerance,
                   expected.value(expected.outputs[i]).name);
    }
  }
}

void expect_rewrite(const std::vector<Pass>& passes, std::string_view statements,
                    std::string_view ops, double tolerance) {
  const Graph before = graph_of(statements);
  Graph after = before;
  run(after, passes);
  EXPECT_EQ(ops_of(after), ops) << print(after);
  expect_equal(before, after, tolerance);
}

void expect_rewrite(bool (*pass)(Graph&), std::string_view statements, std::string_view ops,
                    double tolerance) {
  expect_rewrite({{"pass", pass, 1}}, statements, ops, tolerance);
}

}  // namespace naru::testing
