// Operators of language models: block formats in products and look-ups, and paged attention.
#include <cmath>

#include <gtest/gtest.h>

#include "naru/error.h"

#include "graph/block/block_format.h"
#include "tests/graph/op_runner.h"

namespace naru {
namespace {

Tensor waves(Shape shape, float phase) {
  Tensor tensor(DType::F32, std::move(shape));
  for (float& value : tensor.as_mutable<float>()) value = std::sin(phase += 0.7f);
  return tensor;
}

Tensor i32(Shape shape, std::vector<std::int32_t> values) {
  return Tensor::from<std::int32_t>(std::move(shape), values);
}

void expect_near(const Tensor& got, const Tensor& want, float tolerance) {
  ASSERT_EQ(got.shape(), want.shape());
  for (std::size_t i = 0; i < got.as<float>().size(); ++i) {
    ASSERT_NEAR(got.as<float>()[i], want.as<float>()[i], tolerance) << "element " << i;
  }
}

/// Rows [first, last) of `x`.
Tensor rows_of(const Tensor& x, std::int64_t first, std::int64_t last) {
  Tensor part(DType::F32, {last - first, x.shape()[1]});
  const auto* from = x.as<float>().data() + first * x.shape()[1];
  std::copy_n(from, part.numel(), part.as_mutable<float>().data());
  return part;
}

/// The outputs of the operator's decomposition.
std::vector<Datum> run_decomposed(const char* name, const std::vector<Datum>& inputs,
                                  Attributes attributes, std::size_t outputs) {
  Graph graph;
  Node node;
  node.op = &op_def(name);
  node.name = "test";
  node.attributes = std::move(attributes);
  for (const Datum& input : inputs) node.inputs.push_back(graph.add_input("", Type::of(input)));
  for (std::size_t i = 0; i < outputs; ++i) node.outputs.push_back(graph.add_value(""));
  DecomposeContext ctx(graph, node);
  EXPECT_TRUE(node.op->decompose(ctx));
  DecomposeContext::Result result = ctx.take();
  for (const Value& value : result.new_values)
    graph.value(graph.add_value(value.name, value.type)).constant = value.constant;
  graph.nodes = result.nodes;
  graph.outputs.resize(outputs);
  for (const auto& [index, value] : result.outputs) graph.outputs[index] = value;
  return evaluate(graph, inputs);
}

TEST(BlockOperands, ProductIsThatOfTheDecodedMatrix) {
  const Tensor x = waves({3, 64}, 0), w = waves({5, 64}, 1);
  for (const DType format : {DType::Q4_0, DType::Q4_1, DType::Q8_0}) {
    const Tensor blocks = quantize(w, format);
    const Tensor got = run_tensor("naru.FusedMatMul", {x, blocks}, {{"transB", std::int64_t{1}}});
    const Tensor want =
        run_tensor("naru.FusedMatMul", {x, dequantize(blocks)}, {{"transB", std::int64_t{1}}});
    expect_near(got, want, 1e-6f);
  }
}

TEST(BlockOperands, RowsAreLookedUp) {
  const Tensor table = quantize(waves({4, 32}, 0), DType::Q8_0);
  const Tensor rows = run_tensor("Gather", {table, ints({2, 0})});
  EXPECT_EQ(rows.dtype(), DType::Q8_0);
  const Tensor got = run_tensor("naru.Dequantize", {rows});
  const Tensor want = run_tensor("Gather", {dequantize(table), ints({2, 0})});
  expect_near(got, want, 0);
  EXPECT_THROW(run_tensor("Gather", {table, ints({0})}, {{"axis", std::int64_t{1}}}), Error);
}

TEST(BlockOperands, DequantizeRejectsOtherTypes) {
  EXPECT_THROW(run_tensor("naru.Dequantize", {waves({2, 32}, 0)}), Error);
}

// Experts

TEST(MoE, IsTheWeightedSumOfTheChosenLayers) {
  const Tensor x = waves({3, 32}, 0), chosen = i32({3, 2}, {0, 2, 1, 0, 2, 1}),
               weights = waves({3, 2}, 1);
  const Tensor gate = quantize(waves({3, 64, 32}, 2), DType::Q8_0), up = waves({3, 64, 32}, 3);
  const Tensor down = quantize(waves({3, 32, 64}, 4), DType::Q4_0);
  const std::vector<Datum> plain{x, chosen, weights, gate, up, down};
  std::vector<Datum> with_biases = plain;
  for (const std::int64_t size : {64, 64, 32}) with_biases.emplace_back(waves({3, size}, 5));
  const Attributes clamped{{"alpha", 1.7f}, {"limit", 0.8f}, {"up_offset", 1.0f}};
  for (const auto& inputs : {plain, with_biases}) {
    for (const Attributes& attributes : {Attributes{}, clamped}) {
      const Tensor want = run_tensor("naru.MoE", inputs, attributes);
      expect_near(run_decomposed("naru.MoE", inputs, attributes, 1)[0].tensor, want, 1e-3f);
    }
  }
  // One row, one expert, by hand.
  const Tensor row = rows_of(x, 1, 2);
  const auto product = [](const Tensor& a, const Tensor& b) {
    return run_tensor("naru.FusedMatMul", {a, b}, {{"transB", std::int64_t{1}}});
  };
  const auto matrix = [](const Tensor& stack, std::int64_t rows, std::int64_t columns) {
    return run_tensor("Gather", {dequantize(stack), Tensor::scalar<std::int64_t>(1)})
        .reshaped({rows, columns});
  };
  const Tensor inner =
      run_tensor("SwiGLU", {product(row, matrix(gate, 64, 32)), product(row, matrix(up, 64, 32))});
  const Tensor one = Tensor::from<float>({1, 1}, {1.0f});
  expect_near(run_tensor("naru.MoE", {row, i32({1, 1}, {1}), one, gate, up, down}),
              product(inner, matrix(down, 32, 64)), 1e-3f);
  EXPECT_THROW(run_tensor("naru.MoE", {row, i32({1, 1}, {3}), one, gate, up, down}), Error);
}

// Paged attention

constexpr std::int64_t kHeads = 4, kKvHeads = 2, kSize = 32, kPage = 4;

struct Step {
  Tensor q, k, v, starts, lengths, pages;
};

Attributes plain() { return {{"heads", kHeads}, {"kv_heads", kKvHeads}}; }

std::vector<Datum> run(const Step& step, const Tensor& k_cache, const Tensor& v_cache,
                       Attributes attributes, const Tensor& sinks = {}) {
  return run_op(
      "naru.PagedAttention",
      {step.q, step.k, step.v, k_cache, v_cache, step.starts, step.lengths, step.pages, sinks},
      std::move(attributes), 3);
}

Tensor zeros(DType dtype) {
  Tensor cache(dtype, {6, kPage, kKvHeads, kSize});
  std::fill_n(cache.mutable_data(), cache.size_bytes(), std::byte{0});
  return cache;
}

class PagedAttention : public ::testing::Test {
 protected:
  static constexpr std::int64_t kTokens = 10;
  const Tensor q = waves({kTokens, kHeads* kSize}, 0);
  const Tensor k = waves({kTokens, kKvHeads* kSize}, 1);
  const Tensor v = waves({kTokens, kKvHeads* kSize}, 2);

  /// All tokens as one sequence in one step.
  Step whole() const {
    return {q, k, v, i32({2}, {0, kTokens}), i32({1}, {kTokens}), i32({1, 3}, {5, 0, 2})};
  }

  /// ONNX's Attention on the same rows as one batch.
  Tensor standard(Attributes attributes) const {
    const auto batch = [](const Tensor& x) { return x.reshaped({1, x.shape()[0], x.shape()[1]}); };
    attributes.emplace("q_num_heads", kHeads);
    attributes.emplace("kv_num_heads", kKvHeads);
    attributes.emplace("is_causal", std::int64_t{1});
    return run_tensor("Attention", {batch(q), batch(k), batch(v)}, std::move(attributes))
        .reshaped(q.shape());
  }
};

TEST_F(PagedAttention, IsAttentionOverTheSequence) {
  expect_near(run(whole(), zeros(DType::F32), zeros(DType::F32), plain())[0].tensor, standard({}),
              1e-5f);
  Attributes capped = plain();
  capped.emplace("softcap", 2.0f);
  capped.emplace("scale", 0.5f);
  expect_near(run(whole(), zeros(DType::F32), zeros(DType::F32), capped)[0].tensor,
              standard({{"softcap", 2.0f}, {"scale", 0.5f}}), 1e-5f);
}

TEST_F(PagedAttention, StepsAndCompanyDoNotMatter) {
  const Tensor want = standard({});
  Tensor k_cache = zeros(DType::F32), v_cache = zeros(DType::F32);
  // Two sequences with the same tokens: one in steps of 7, 2 and 1 rows, the other one row behind.
  const std::int64_t ends[] = {0, 7, 9, 10};
  for (int step = 0; step < 3; ++step) {
    const std::int64_t first = ends[step], last = ends[step + 1];
    const auto twice = [&](const Tensor& x) {
      const Tensor parts[] = {rows_of(x, first, last),
                              rows_of(x, std::max<std::int64_t>(first - 1, 0), last - 1)};
      return run_tensor("Concat", {parts[0], parts[1]}, {{"axis", std::int64_t{0}}});
    };
    const auto rows = static_cast<std::int32_t>(last - first);
    const auto behind = static_cast<std::int32_t>(last - 1 - std::max<std::int64_t>(first - 1, 0));
    const Step both{
        twice(q),
        twice(k),
        twice(v),
        i32({3}, {0, rows, rows + behind}),
        i32({2}, {static_cast<std::int32_t>(last), static_cast<std::int32_t>(last - 1)}),
        i32({2, 3}, {5, 0, 2, 1, 3, 4})};
    const std::vector<Datum> out = run(both, k_cache, v_cache, plain());
    k_cache = out[1].tensor;
    v_cache = out[2].tensor;
    expect_near(rows_of(out[0].tensor, 0, rows), rows_of(want, first, last), 1e-5f);
    expect_near(rows_of(out[0].tensor, rows, rows + behind),
                rows_of(want, last - 1 - behind, last - 1), 1e-5f);
  }
}

TEST_F(PagedAttention, CachesInNarrowTypesCostPrecisionOnly) {
  const Tensor want = standard({});
  const std::pair<DType, float> cases[] = {
      {DType::F16, 1e-3f}, {DType::BF16, 1e-2f}, {DType::Q8_0, 2e-2f}, {DType::Q4_0, 0.3f}};
  for (const auto& [dtype, tolerance] : cases) {
    expect_near(run(whole(), zeros(dtype), zeros(dtype), plain())[0].tensor, want, tolerance);
  }
}

TEST_F(PagedAttention, DecompositionMeansTheSame) {
  Attributes window = plain();
  window.emplace("window", std::int64_t{3});
  window.emplace("softcap", 1.5f);
  Attributes all = plain();
  all.emplace("causal", std::int64_t{0});
  for (const Attributes& attributes : {plain(), window, all}) {
    for (const bool with_sinks : {false, true}) {
      Step step = whole();
      step.pages = i32({1, 4}, {5, 0, 2, -7});
      std::vector<Datum> inputs{step.q,
                                step.k,
                                step.v,
                                waves({6, kPage, kKvHeads, kSize}, 3),
                                zeros(DType::F16),
                                step.starts,
                                step.lengths,
                                step.pages};
      if (with_sinks) inputs.emplace_back(waves({kHeads}, 4));
      const std::vector<Datum> want = run_op("naru.PagedAttention", inputs, attributes, 3);
      const std::vector<Datum> got = run_decomposed("naru.PagedAttention", inputs, attributes, 3);
      expect_near(got[0].tensor, want[0].tensor, 1e-3f);
      expect_near(got[1].tensor, want[1].tensor, 1e-6f);
    }
  }
}

TEST_F(PagedAttention, RejectsWhatLeavesTheCache) {
  const auto refuse = [&](Step step) {
    EXPECT_THROW(run(step, zeros(DType::F32), zeros(DType::F32), plain()), Error);
  };
  Step step = whole();
  step.pages = i32({1, 3}, {5, 6, 2});
  refuse(step);
  step.pages = i32({1, 3}, {5, -1, 2});
  refuse(step);
  step.pages = i32({1, 2}, {5, 0});
  refuse(step);
  step = whole();
  step.lengths = i32({1}, {9});
  refuse(step);
  step = whole();
  step.starts = i32({2}, {0, 9});
  refuse(step);
  step.starts = i32({2}, {1, 10});
  refuse(step);
  step = whole();
  step.k = waves({kTokens, kSize}, 0);
  refuse(step);
}

}  // namespace
}  // namespace naru
