// What language models need of the cpu backend beside products, against the interpreter.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "backends/registry.h"
#include "graph/block/block_format.h"
#include "graph/infer.h"
#include "naru/error.h"
#include "tests/backends/compare.h"

namespace naru::test {
namespace {

Device& cpu() {
  static const std::unique_ptr<Device> device = open_device("cpu", {.threads = 2});
  return *device;
}

struct Step {
  std::vector<std::int32_t> rows;     ///< of each sequence
  std::vector<std::int32_t> lengths;  ///< with the rows of this step
  std::int64_t heads = 6;
  std::int64_t kv_heads = 2;
  std::int64_t size = 64;
  std::int64_t value_size = 64;
  std::int64_t page = 16;
  DType cache = DType::F32;
  Attributes attributes = {};
  bool sinks = false;
};

class Attention {
 public:
  explicit Attention(const Step& step) : step_(step) {
    std::int32_t total = 0;
    std::vector<std::int32_t> starts = {0};
    std::int64_t pages = 0;
    for (std::size_t s = 0; s < step.rows.size(); ++s) {
      starts.push_back(total += step.rows[s]);
      pages = std::max<std::int64_t>(pages, (step.lengths[s] + step.page - 1) / step.page);
    }
    const auto sequences = static_cast<std::int64_t>(step.rows.size());
    // Pages lie in falling order, one apart; what no sequence uses is not looked at.
    std::vector<std::int32_t> table;
    const std::int64_t all = sequences * pages + 3;
    for (std::int64_t i = 0; i < sequences * pages; ++i) table.push_back(static_cast<std::int32_t>(all - 2 - i));
    std::vector<ValueId> inputs = {
        test.input({total, step.heads * step.size}, -2, 2), test.input({total, step.kv_heads * step.size}, -2, 2),
        test.input({total, step.kv_heads * step.value_size}, -2, 2), cache(all, step.size), cache(all, step.value_size),
        ints({sequences + 1}, starts), ints({sequences}, step.lengths), ints({sequences, pages}, table)};
    if (step.sinks) inputs.push_back(test.input({step.heads}, -1, 1));
    Attributes attributes = step.attributes;
    attributes["heads"] = step.heads;
    attributes["kv_heads"] = step.kv_heads;
    for (const ValueId id : test.add_multi("naru.PagedAttention", inputs, 3, attributes)) test.output(id);
  }

  Case test;

 private:
  ValueId add(Tensor value) {
    test.feeds.push_back(value);
    return test.graph.add_input("x" + std::to_string(test.feeds.size()), Type::of(Datum(value)));
  }
  ValueId ints(const Shape& shape, const std::vector<std::int32_t>& values) {
    return add(Tensor::from<std::int32_t>(shape, std::span<const std::int32_t>(values)));
  }
  ValueId cache(std::int64_t pages, std::int64_t size) {
    const Shape shape{pages, step_.page, step_.kv_heads, size};
    if (!is_block(step_.cache)) return add(test.random.tensor(step_.cache, shape, -2, 2));
    return add(quantize(test.random.tensor(DType::F32, shape, -2, 2), step_.cache));
  }

  Step step_;
};

void check(const Step& step) {
  Attention attention(step);
  const std::string steps = expect_like_reference(cpu(), attention.test, {2e-5, 2e-5});
  EXPECT_NE(steps.find("paged attention"), std::string::npos) << steps;
}

TEST(CpuRotaryEmbedding, LayoutsAndPositions) {
  for (const std::int64_t interleaved : {std::int64_t{0}, std::int64_t{1}}) {
    for (const std::int64_t dim : {std::int64_t{0}, std::int64_t{6}}) {
      const std::int64_t half = dim > 0 ? dim / 2 : 8;
      const Attributes attributes = {{"interleaved", interleaved}, {"rotary_embedding_dim", dim}, {"num_heads", std::int64_t{3}}};
      Case packed;
      packed.output(packed.add("RotaryEmbedding", {packed.input({2, 5, 48}), packed.input({2, 5, half}), packed.input({2, 5, half})}, attributes));
      EXPECT_NE(expect_like_reference(cpu(), packed).find("rotary embedding"), std::string::npos);
      Case split;
      const ValueId positions = split.graph.add_input("positions", Type::tensor(DType::I64, Shape{2, 5}));
      std::vector<ValueId> inputs = {kNoValue, kNoValue, kNoValue, positions};
      split.feeds.push_back(split.random.tensor(DType::I64, {2, 5}, 0, 19));
      inputs[0] = split.input({2, 3, 5, 16});
      inputs[1] = split.input({20, half});
      inputs[2] = split.input({20, half});
      split.output(split.add("RotaryEmbedding", inputs, attributes));
      EXPECT_NE(expect_like_reference(cpu(), split).find("rotary embedding"), std::string::npos);
    }
  }
}

TEST(CpuBlockRows, GatherAndDequantize) {
  for (const DType dtype : {DType::Q4_0, DType::Q8_0}) {
    Case test;
    const ValueId table = test.graph.add_constant("table", quantize(test.random.tensor(DType::F32, {40, 96}, -2, 2), dtype));
    const ValueId rows = test.add("Gather", {table, test.ints({3, 39, -1, 0, 3})});
    test.output(test.add("naru.Dequantize", {rows}));
    const std::string steps = expect_like_reference(cpu(), test);
    EXPECT_EQ(steps.find("reference"), std::string::npos) << steps;
  }
}

TEST(CpuSwiGlu, IsAChain) {
  Case test;
  test.output(test.add("SwiGLU", {test.input({3, 70}), test.input({3, 70})}, {{"alpha", 1.3f}}));
  EXPECT_NE(expect_like_reference(cpu(), test, {1e-6, 2e-6}).find("element-wise"), std::string::npos);
}

TEST(CpuPagedAttention, PromptsAndTokens) {
  check({.rows = {1}, .lengths = {1}});
  check({.rows = {37}, .lengths = {37}});
  check({.rows = {1}, .lengths = {700}});
  check({.rows = {1, 5, 0, 70}, .lengths = {33, 5, 12, 150}});
  check({.rows = {130}, .lengths = {300}, .heads = 4, .kv_heads = 4, .size = 32, .value_size = 96, .page = 7});
}

TEST(CpuPagedAttention, HeadsOfAnySize) {
  for (const std::int64_t size : {8, 40, 80, 128, 256}) {
    check({.rows = {3, 1}, .lengths = {20, 90}, .heads = 4, .kv_heads = 1, .size = size, .value_size = size});
  }
  check({.rows = {2}, .lengths = {40}, .size = 33, .value_size = 19});
}

TEST(CpuPagedAttention, WindowsCapsScalesAndSinks) {
  check({.rows = {50, 1}, .lengths = {120, 200}, .attributes = {{"window", std::int64_t{33}}}});
  check({.rows = {9}, .lengths = {100}, .attributes = {{"softcap", 3.0f}, {"scale", 0.3f}}});
  check({.rows = {9, 1}, .lengths = {100, 600}, .sinks = true});
  check({.rows = {20}, .lengths = {50}, .attributes = {{"causal", std::int64_t{0}}}});
}

TEST(CpuPagedAttention, CachesInNarrowTypes) {
  for (const DType dtype : {DType::F16, DType::BF16, DType::Q8_0, DType::Q4_0}) {
    SCOPED_TRACE(to_string(dtype));
    check({.rows = {40, 1}, .lengths = {90, 300}, .cache = dtype});
  }
}

TEST(CpuPagedAttention, WritesIntoTheCacheOfTheCaller) {
  const Step step{.rows = {1}, .lengths = {40}};
  Attention attention(step);
  infer_types(attention.test.graph);
  const auto graph = std::make_shared<const Graph>(attention.test.graph);
  const auto executable = cpu().compile(graph);
  const std::vector<Tensor> expected = run_on(cpu(), executable, *graph, attention.test.feeds);
  std::vector<std::unique_ptr<Buffer>> buffers;
  Submission submission;
  submission.executable = executable;
  const auto view = [&](const Tensor& tensor) {
    buffers.push_back(cpu().allocate(tensor.size_bytes()));
    return BufferView{buffers.back().get(), 0, tensor.size_bytes()};
  };
  for (const Tensor& feed : attention.test.feeds) {
    submission.inputs.push_back(view(feed));
    cpu().write(submission.inputs.back(), feed.data());
  }
  submission.outputs = {view(expected[0]), submission.inputs[3], submission.inputs[4]};
  cpu().submit(submission)->wait();
  for (std::size_t i = 0; i < 3; ++i) {
    Tensor got(expected[i].dtype(), expected[i].shape());
    cpu().read(submission.outputs[i], got.mutable_data());
    EXPECT_EQ(std::memcmp(got.data(), expected[i].data(), static_cast<std::size_t>(got.size_bytes())), 0) << i;
  }
}

TEST(CpuPagedAttention, RejectsPagesOutsideTheCache) {
  const auto expect_error = [](std::size_t feed, std::int32_t value, const char* text) {
    Attention attention({.rows = {2}, .lengths = {40}});
    infer_types(attention.test.graph);
    const auto graph = std::make_shared<const Graph>(attention.test.graph);
    const auto executable = cpu().compile(graph);
    std::vector<Tensor> feeds = attention.test.feeds;
    feeds[feed] = feeds[feed].clone();
    feeds[feed].as_mutable<std::int32_t>().back() = value;
    try {
      run_on(cpu(), executable, *graph, feeds);
      ADD_FAILURE() << "no error";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::InvalidArgument);
      EXPECT_NE(std::string(error.what()).find(text), std::string::npos) << error.what();
    }
  };
  expect_error(7, 1000, "pages: got 1000");
  expect_error(7, -1, "pages: got -1");
  expect_error(6, 1, "sequence 0: got 2 rows of 1 tokens");
  expect_error(6, 49, "at most 3 pages of 16");
  expect_error(5, 3, "sequence_starts: got 0 to 3");
}

}  // namespace
}  // namespace naru::test
